"""Secrets that lie in the database encrypted: AES-256-GCM under keys derived from SECRET_KEY.

Each purpose has keys of its own. SECRET_KEY_FALLBACKS still open what they encrypted.
"""

from __future__ import annotations

import base64
import secrets
from contextlib import suppress

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

NONCE = 12  # bytes, new for each secret, kept before what is encrypted


class Unreadable(ValueError):
    """No key opens this."""


class Seal:
    """Encrypts for one purpose."""

    def __init__(self, purpose: str) -> None:
        self.info = purpose.encode()

    def keys(self) -> list[bytes]:
        """Return today's key first, then those of former values of SECRET_KEY."""
        return [self.derived(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]

    def derived(self, secret: str) -> bytes:
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=self.info).derive(secret.encode())

    def close(self, text: str) -> str:
        nonce = secrets.token_bytes(NONCE)
        sealed = AESGCM(self.keys()[0]).encrypt(nonce, text.encode(), None)
        return base64.urlsafe_b64encode(nonce + sealed).decode()

    def open(self, text: str, candidates: list[bytes] | None = None) -> tuple[str, int]:
        """Return the secret, and the place of the key that opens it: 0 is today's. Raises Unreadable."""
        with suppress(ValueError):  # not base64, or too short
            sealed = base64.urlsafe_b64decode(text)
            for place, key in enumerate(candidates or self.keys()):
                with suppress(InvalidTag):
                    return AESGCM(key).decrypt(sealed[:NONCE], sealed[NONCE:], None).decode(), place
        raise Unreadable
