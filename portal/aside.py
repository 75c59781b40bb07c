"""Commands of the portal in processes of their own: what takes long must not slow down whoever answers people."""

from __future__ import annotations

import subprocess
import sys

from django.conf import settings


def start(*words: str) -> subprocess.Popen[bytes]:
    """Start `manage.py` with these words, which are always our own, and wait for nothing."""
    return subprocess.Popen(  # noqa: S603  # nothing of it comes from outside
        [sys.executable, str(settings.BASE_DIR / "manage.py"), *words],
        cwd=settings.BASE_DIR,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
