"""A file on its way to a person, between two events: that it was asked for, and what was sent.

The last bytes leave only when the second event is committed. Whoever gives up leaves one that says
how far it came.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Protocol

from django.http import StreamingHttpResponse
from django.utils import translation

from portal import audit
from portal.audit import origin
from portal.audit.kinds import Phase, Result

logger = logging.getLogger(__name__)


class Content(Protocol):
    """What is sent, and of how many rows it was made so far."""

    rows: int

    def __iter__(self) -> Iterator[bytes]: ...


class Download:
    """The bytes of a file, for as long as somebody takes them.

    `about` goes to both events. Raises audit.Unavailable, and whatever `make` raises, before the first byte.
    """

    def __init__(self, kind: str, make: Callable[[], Content], *, facts: dict[str, Any], **about: Any) -> None:
        self.kind, self.facts = kind, facts
        self.about = about | {"reference": audit.new_reference()}
        self.origin, self.language = origin.current(), translation.get_language()
        self.sent, self.digest = 0, hashlib.sha256()
        self.is_over = False
        self.content: Content | None = None
        with audit.writing(durable=True):
            audit.record(kind, phase=Phase.INTENT, facts=facts, **self.about)
        try:
            self.content = make()
            self.parts = iter(self.content)
            self.waiting = next(self.parts, None)
        except BaseException as error:
            self.end(Result.FAILED, error=type(error).__name__)
            raise

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self.waiting is None:
            raise StopIteration
        part = self.waiting
        self.sent += len(part)
        self.digest.update(part)
        with self.surroundings():
            try:
                self.waiting = next(self.parts, None)
                if self.waiting is None:
                    self.end(Result.OK, sha256=self.digest.hexdigest())
            except BaseException as error:
                self.waiting = None
                self.give_up(type(error).__name__)
                raise
        return part

    def close(self) -> None:
        """Called by the server in any case, also if nobody has taken a single byte."""
        with self.surroundings():
            self.give_up("Abandoned")

    def give_up(self, error: str) -> None:
        if self.is_over:
            return
        if hasattr(self.parts, "close"):
            self.parts.close()
        try:
            self.end(Result.FAILED, error=error)
        except audit.Unavailable:
            logger.exception("A download was given up, and the log cannot say so.")

    def end(self, result: str, **facts: str) -> None:
        told = {"rows": self.content.rows if self.content else 0, "bytes": self.sent}
        audit.record(self.kind, phase=Phase.OUTCOME, result=result, facts=self.facts | told | facts, **self.about)
        self.is_over = True

    def surroundings(self) -> ExitStack:
        """The request's origin and language: the middleware that set them has ended when bytes are taken."""
        stack = ExitStack()
        stack.enter_context(origin.remembered(self.origin))
        stack.enter_context(translation.override(self.language))
        return stack


def respond(download: Download, *, name: str, content_type: str) -> StreamingHttpResponse:
    """Return the answer that sends a download as a file to be saved."""
    return StreamingHttpResponse(
        download,
        content_type=content_type,
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )
