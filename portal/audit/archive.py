"""A ZIP that is sent while it is written: it never goes back and keeps only what was not taken yet."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator

from django.utils import timezone

CHUNK = 64 * 1024  # bytes
LEVEL = 2  # of 9: hashes do not shrink, and the rest does at once


class Outlet:
    """What the ZIP writes to. Cannot seek, so sizes follow their file."""

    def __init__(self) -> None:
        self.waiting = bytearray()

    def write(self, data: bytes) -> int:
        self.waiting += data
        return len(data)

    def flush(self) -> None:
        pass

    def take(self, at_least: int = 1) -> Iterator[bytes]:
        if len(self.waiting) >= at_least:
            data, self.waiting = bytes(self.waiting), bytearray()
            yield data


def pack(files: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[bytes]:
    """Yield the ZIP of files given by name and content."""
    outlet, now = Outlet(), timezone.localtime()
    archive = zipfile.ZipFile(outlet, "w")  # type: ignore[call-overload]  # it needs no more of a file
    for name, parts in files:
        entry = zipfile.ZipInfo(name, now.timetuple()[:6])
        entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
        entry._compresslevel = LEVEL  # type: ignore[attr-defined]  # public as compress_level from Python 3.13 on
        with archive.open(entry, "w", force_zip64=True) as file:
            for part in parts:
                file.write(part)
                yield from outlet.take(CHUNK)
    archive.close()
    yield from outlet.take()
