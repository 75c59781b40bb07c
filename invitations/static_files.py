"""Static files for `serve` without a separate step: collected and hashed when they differ from the last time."""

from __future__ import annotations

import hashlib
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command


def ensure_collected() -> None:
    """Collect into STATIC_ROOT unless what is there was made from the same files."""
    root = Path(settings.STATIC_ROOT)
    stamp, wanted = root / ".stamp", fingerprint()
    if stamp.exists() and stamp.read_text(encoding="ascii") == wanted:
        return
    call_command("collectstatic", interactive=False, clear=True, verbosity=0)
    stamp.write_text(wanted, encoding="ascii")


def fingerprint() -> str:
    """Return a digest over the names, sizes and contents' times of all source files."""
    digest = hashlib.blake2b(digest_size=16)
    for finder in get_finders():
        for name, storage in finder.list([]):
            status = Path(storage.path(name)).stat()
            digest.update(f"{name}:{status.st_size}:{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
