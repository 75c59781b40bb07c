"""The file that a backup is: a ZIP of the database, a manifest that says what it holds, and its signature.

Any program that reads ZIP files gets the database out of it, should there be no portal any more.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from portal.audit import keys

FORMAT = 1
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
PURPOSE = b"getscreen-portal/backup\n"  # before what is signed: no checkpoint of the log can stand in for it
CHUNK = 1 << 20  # bytes
ABOUT = 1 << 20  # bytes that a manifest or a signature has at most
LEVEL = 3  # of compression: twice as quick as the usual one, and a tenth larger
# What reading a ZIP raises where it is none, or not as it was; the fourth is about names of its members.
UNREADABLE = (zipfile.BadZipFile, zlib.error, KeyError, UnicodeDecodeError, EOFError, NotImplementedError, RuntimeError)


class Damaged(Exception):
    """The file is no backup, or not as it was made."""


@dataclass(frozen=True)
class Manifest:
    """What a backup says of itself."""

    made_at: str  # ISO, UTC
    release: str
    database: str  # "sqlite" or "postgresql"
    server: str  # its version
    content: str  # the name of the member with the database
    size: int  # bytes, unpacked
    sha256: str
    migrations: list[str]
    events: int  # the number of the last event in it
    head: str  # that event's hash
    checkpoint: str  # the last signed statement about the log, as it is anchored
    format: int = FORMAT

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(self.made_at)

    @classmethod
    def read(cls, text: bytes) -> Manifest:
        """Raises Damaged."""
        try:
            said = cls(**json.loads(text))
            if said.format != FORMAT or said.at.tzinfo is None or type(said.size) is not int:
                raise ValueError
        except (ValueError, TypeError, RecursionError):
            raise Damaged("its manifest cannot be read by this release") from None
        return said

    def as_bytes(self) -> bytes:
        return (json.dumps(asdict(self), indent=1, sort_keys=True) + "\n").encode()


@dataclass(frozen=True)
class Backup:
    """One file whose manifest was read. `signer` names the key that signed it."""

    file: Path
    manifest: Manifest
    raw: bytes
    signer: str
    signature: bytes

    def is_signed_by(self, trusted: Iterable[keys.PublicKey]) -> bool:
        return any(key.id == self.signer and key.verifies(self.signature, PURPOSE + self.raw) for key in trusted)

    @contextmanager
    def chunks(self) -> Iterator[Iterator[bytes]]:
        """Yield the database in parts. They raise Damaged unless they are what was written, at their end at the latest.

        Whoever uses them sees to that themselves: the file may be another one than when it was checked.
        """
        with ExitStack() as stack:
            with reading(self.file):
                archive = stack.enter_context(zipfile.ZipFile(self.file))
                member = stack.enter_context(archive.open(self.manifest.content))
            yield self.compared(self.read_from(member))

    def read_from(self, member: IO[bytes]) -> Iterator[bytes]:
        """Yield what is read. What goes wrong where it is written is nothing of the backup's."""
        while True:
            with reading(self.file):
                part = member.read(CHUNK)
            if not part:
                return
            yield part

    def compared(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        digest, size = hashlib.sha256(), 0
        for part in parts:
            digest.update(part)
            size += len(part)
            if size > self.manifest.size:
                break
            yield part
        if (digest.hexdigest(), size) != (self.manifest.sha256, self.manifest.size):
            raise Damaged(f"{self.file}: its content is not what was written into it")

    def check(self) -> None:
        """Read all of it. Raises Damaged unless it is what was written."""
        with self.chunks() as parts:
            for _ in parts:
                pass


@contextmanager
def reading(file: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise Damaged(f"{file}: there is no such file") from None
    except OSError as error:
        raise Damaged(f"{file}: {error.strerror or error}") from None
    except UNREADABLE as error:
        raise Damaged(f"{file}: it is damaged, or no backup ({error})") from None


def open_backup(file: Path) -> Backup:
    """Return the backup in `file`, of which only the manifest has been read. Raises Damaged."""
    with reading(file), zipfile.ZipFile(file) as archive:
        raw, signed = beginning(archive, MANIFEST), beginning(archive, SIGNATURE)
    try:
        signer, text = signed.decode("ascii", "replace").split()
        signature = bytes.fromhex(text)
    except ValueError:
        signer, signature = "", b""
    return Backup(file, Manifest.read(raw), raw, signer, signature)


def beginning(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a small member. Nobody has signed the file yet, and what fills the memory is none of ours."""
    with archive.open(name) as member:
        return member.read(ABOUT)


def write(draft: Path, parts: Iterable[bytes], about: Manifest) -> Manifest:
    """Write a whole backup to `draft`, through to the disk, and return what it says of itself.

    Only its owner may read it. Size and checksum of `about` are what is counted here.
    """
    digest, size = hashlib.sha256(), 0
    with os.fdopen(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as handle:
        with zipfile.ZipFile(handle, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
            with archive.open(about.content, "w", force_zip64=True) as member:
                for part in parts:
                    member.write(part)
                    digest.update(part)
                    size += len(part)
            manifest = Manifest(**asdict(about) | {"sha256": digest.hexdigest(), "size": size})
            raw, key = manifest.as_bytes(), keys.current()
            archive.writestr(MANIFEST, raw)
            archive.writestr(SIGNATURE, f"{key.public.id} {key.sign(PURPOSE + raw).hex()}\n")
        handle.flush()
        os.fsync(handle.fileno())
    return manifest
