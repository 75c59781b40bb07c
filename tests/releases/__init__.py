"""Small databases of every release, made by its own code, which each later release must be able to take over.

When a release is tagged: `python -m tests.releases.making` in it, and commit the folder that this makes.
"""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FOLDER = Path(__file__).parent
SECRET_KEY = "a-key-for-tests-only-and-nothing-else-0123456789-0123456789"
RELEASES = sorted(folder.name for folder in FOLDER.iterdir() if (folder / "portal.sqlite3.gz").exists())


def write_key(file: Path) -> None:
    """Write the key that signed the logs of these databases: it follows from a word, so none is kept here."""
    private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"releases").digest())
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.touch(mode=0o600)
    file.write_bytes(pem)


def unpacked(release: str, name: str) -> bytes:
    return gzip.decompress((FOLDER / release / name).read_bytes())
