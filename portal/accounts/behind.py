"""What happens behind an answer: so that nobody can measure from outside whether there was anything to do."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from threading import BoundedSemaphore
from typing import Any

from django.db import connections
from django.utils import translation

logger = logging.getLogger(__name__)

MOST = 100  # in one process at a time; mail servers can be slow
_places = BoundedSemaphore(MOST)
# One thread, which a process that ends waits for: it begins with the first task, so no fork takes it along.
_pool = ThreadPoolExecutor(1, thread_name_prefix="behind")


def run(task: Callable[..., Any], *arguments: Any, **more: Any) -> None:
    """Do it soon, in the context of the request that runs now. What fails is logged, and what finds no place too."""
    if not _places.acquire(blocking=False):
        logger.error("%s things wait to be done behind answers. One was dropped: is the mail server slow?", MOST)
        return
    language = translation.get_language()
    _pool.submit(copy_context().run, finish, language, task, *arguments, **more)


def finish(language: str | None, task: Callable[..., Any], *arguments: Any, **more: Any) -> None:
    try:
        with translation.override(language):
            task(*arguments, **more)
    except Exception:
        logger.exception("Something behind an answer went wrong")
    finally:
        _places.release()
        connections.close_all()
