"""The one form in which an event is hashed, so that anybody can compute the same hash again.

UTF-8 JSON with sorted keys and no spaces, NFC strings, and no floating-point numbers. Frozen: the
test vectors of `tests/audit/test_canonical.py` must never change for a version that was in use.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from typing import Any

VERSION = 1
GENESIS = "0" * 64  # what the first event has before it
LARGEST = 2**53  # beyond it other languages' JSON readers round

_EVENT = b"portal-audit-v1"
_DETAILS = b"portal-audit-details-v1"
_LEAF, _NODE = b"\x00", b"\x01"  # RFC 6962: leaves and nodes can never be mistaken for each other


def plain(value: Any) -> Any:
    """Return `value` as it may be hashed and stored, whatever somebody typed.

    Texts lose what PostgreSQL cannot store (NUL, lone surrogates); numbers beyond 2**53 become text.
    Raises TypeError for what is no plain JSON, floating-point numbers among it.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return storable(str(value))
    if isinstance(value, int):
        return int(value) if abs(value) <= LARGEST else str(value)
    if isinstance(value, dict):
        return {storable(str(name)): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no canonical form")


def storable(text: str) -> str:
    """Return `text` in NFC, without what a database cannot store."""
    if text.isascii() and "\x00" not in text:
        return text
    clean = text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    return unicodedata.normalize("NFC", clean)


def canonical(value: Any) -> str:
    """Return plain JSON as its canonical text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def hash_of(record: str) -> str:
    """Return the hash of an event's canonical record, which names the hash before it: 64 hex digits."""
    return _digest(_EVENT, record.encode())


def commitment(salt: str, details: str) -> str:
    """Return what a record says of its details. Without the salt nobody can guess them from it."""
    return _digest(_DETAILS, f"{salt}\n{details}".encode())


def _digest(domain: bytes, content: bytes) -> str:
    return hashlib.sha256(b"%s %d\n%s" % (domain, len(content), content)).hexdigest()


def leaf(event_hash: str) -> bytes:
    """Return the leaf of the Merkle tree (RFC 6962) for an event."""
    return hashlib.sha256(_LEAF + bytes.fromhex(event_hash)).digest()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(_NODE + left + right).digest()
