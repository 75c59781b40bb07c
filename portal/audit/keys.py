"""The Ed25519 key under the log's checkpoints: made once, kept in a file of its own, never in the database.

Signed notes have the form of C2SP's `signed-note` and `tlog-checkpoint`, so that other tools read them.
"""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings

NAME = "getscreen-portal"  # of the signer in a note; the key is told by its hash
ED25519 = b"\x01"  # the signature type of C2SP's notes
DASH = "\u2014"


class KeyUnusable(Exception):
    """The signing key cannot be read, or others can read it as well."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What everybody may know of a key: 32 bytes."""

    raw: bytes

    @classmethod
    def from_hex(cls, text: str) -> PublicKey:
        return cls(bytes.fromhex(text))

    @property
    def hex(self) -> str:
        return self.raw.hex()

    @property
    def hash(self) -> bytes:
        """Four bytes that name the key in a note's signature line."""
        return hashlib.sha256(NAME.encode() + b"\n" + ED25519 + self.raw).digest()[:4]

    @property
    def id(self) -> str:
        return self.hash.hex()

    @property
    def verifier(self) -> str:
        """The key as C2SP's tools take it."""
        return f"{NAME}+{self.id}+{base64.b64encode(ED25519 + self.raw).decode()}"

    def verifies(self, signature: bytes, text: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, text)
        except InvalidSignature:
            return False
        return True


class SigningKey:
    """A private key. Shows only its public half."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        raw = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.public = PublicKey(raw)

    def __repr__(self) -> str:
        return f"<SigningKey {self.public.id}>"

    def sign(self, text: bytes) -> bytes:
        return self._private.sign(text)

    def note(self, text: str) -> str:
        """Return `text`, which ends in a newline, as a signed note."""
        signature = base64.b64encode(self.public.hash + self.sign(text.encode())).decode()
        return f"{text}\n{DASH} {NAME} {signature}\n"

    @classmethod
    def new(cls) -> SigningKey:
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, file: Path) -> SigningKey:
        """Return the key in `file` (PEM, PKCS 8). Raises KeyUnusable, and FileNotFoundError if there is none."""
        try:
            content = file.read_bytes()
            if stat.S_IMODE(file.stat().st_mode) & 0o077:
                raise KeyUnusable(f"{file} can be read by others than its owner. Run: chmod 600 {file}")
            private = serialization.load_pem_private_key(content, password=None)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise KeyUnusable(f"{file} cannot be read ({error.strerror}).") from None
        except (ValueError, TypeError):
            raise KeyUnusable(f"{file} holds no private key in PEM form.") from None
        if not isinstance(private, Ed25519PrivateKey):
            raise KeyUnusable(f"{file} holds a key of another kind: Ed25519 is needed.")
        return cls(private)

    def write_new(self, file: Path) -> None:
        """Store the key where there is none yet. Raises FileExistsError if somebody was quicker."""
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        pem = self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        draft = file.with_name(f".{file.name}.{os.getpid()}.{os.urandom(4).hex()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as handle:
                handle.write(pem)
                handle.flush()
                os.fsync(handle.fileno())
            os.link(draft, file)  # whole or not at all, and never over another
        finally:
            draft.unlink()
        sync_folder(file)


def sync_folder(file: Path) -> None:
    """Make a file's name survive a crash of the machine, as its content does."""
    descriptor = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def key_file() -> Path:
    file: Path = settings.AUDIT_KEY_FILE
    return file


def current() -> SigningKey:
    """Return the signing key, made at its first use. Raises KeyUnusable."""
    file = key_file()
    try:
        return SigningKey.read(file)
    except FileNotFoundError:
        pass
    try:
        SigningKey.new().write_new(file)
    except FileExistsError:
        pass  # another process has just made it
    except OSError as error:
        raise KeyUnusable(f"{file} cannot be written ({error.strerror}). Set AUDIT_KEY_FILE.") from None
    return SigningKey.read(file)


def signer_of(note: str) -> tuple[bytes, bytes, bytes]:
    """Return the text, the key hash and the signature of a note. Raises ValueError for what is none."""
    text, gap, line = note.rpartition(f"\n{DASH} {NAME} ")
    if not gap or not line.endswith("\n") or "\n" in line[:-1]:
        raise ValueError("not a signed note of the portal")
    both = base64.b64decode(line[:-1], validate=True)
    if len(both) != 4 + 64:
        raise ValueError("not an Ed25519 signature")
    return text.encode(), both[:4], both[4:]
