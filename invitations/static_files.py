"""Static files for `serve` without a separate step: collected and hashed when they differ from the last time.

Files of another release stay beside them: pages that a replica of that release has rendered still ask for them.
"""

from __future__ import annotations

import fcntl
import hashlib
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command


def ensure_collected() -> None:
    """Collect into STATIC_ROOT unless what is there was made from the same files; one process at a time."""
    root, wanted = Path(settings.STATIC_ROOT), fingerprint()
    if is_there(root, wanted):
        return
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_there(root, wanted):
            call_command("collectstatic", interactive=False, verbosity=0)
            (root / ".stamp").write_text(wanted, encoding="ascii")


def is_there(root: Path, wanted: str) -> bool:
    stamp = root / ".stamp"
    return stamp.exists() and stamp.read_text(encoding="ascii") == wanted


def fingerprint() -> str:
    """Return a digest over the names, sizes and contents' times of all source files."""
    digest = hashlib.blake2b(digest_size=16)
    for finder in get_finders():
        for name, storage in finder.list([]):
            status = Path(storage.path(name)).stat()
            digest.update(f"{name}:{status.st_size}:{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
