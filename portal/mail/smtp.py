"""Mail by SMTP that comes to an end: no server keeps whoever sends longer than its share of time.

Timeouts of sockets never fire on one byte per second, so a guard shuts the connection down.
"""

from __future__ import annotations

import smtplib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.core.mail.backends.smtp import EmailBackend

from portal.getscreen.watch import current, watching

USUAL = 10.0  # seconds for one answer
SHARE = 4  # times the timeout of one answer, for a whole mail with its connection


class Guarded(smtplib.SMTP):
    """A connection whose socket the guard follows from its first byte, so while TLS is agreed on as well."""

    def _get_socket(self, host: str, port: int, timeout: float) -> Any:
        connected = super()._get_socket(host, port, timeout)  # type: ignore[misc]
        if current.watch is not None:
            current.watch.follow(connected)
        return connected


class GuardedSSL(smtplib.SMTP_SSL, Guarded):
    """The same, encrypted from the beginning."""


class Backend(EmailBackend):
    """Django's own, under guard."""

    _partial_connection: smtplib.SMTP | None

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return GuardedSSL if self.use_ssl else Guarded

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Shut the connection down when time is up. What fails then fails because the server was too slow."""
        if current.watch is not None:  # sending opens and closes
            yield
            return
        with watching(SHARE * (self.timeout or USUAL), keeps_connection=False) as watch:
            if self.connection is not None and self.connection.sock is not None:
                watch.follow(self.connection.sock)
            try:
                yield
            except OSError as error:  # smtplib's are such as well
                self.discard()
                if watch.is_late:
                    raise TimeoutError("the mail server took too long") from error
                raise

    def discard(self) -> None:
        """Close what was opened in part: Django leaves it to whoever opens next, and here that is nobody."""
        partial: smtplib.SMTP | None = self._partial_connection
        self._partial_connection = None
        if partial is not None:
            partial.close()

    def open(self) -> bool | None:
        with self.guarded():
            return super().open()

    def close(self) -> None:
        with self.guarded():
            super().close()

    def send_messages(self, email_messages: Sequence[Any]) -> int:
        with self.guarded():
            return super().send_messages(email_messages)
