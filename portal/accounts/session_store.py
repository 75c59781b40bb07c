"""Where sessions are kept: Django's database store, in a table that also says whose they are and since when."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import VALID_KEY_CHARS
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.exceptions import SessionInterrupted
from django.db import transaction
from django.utils import timezone

from portal.accounts import sessions
from portal.accounts.models import Session
from portal.audit import origin
from portal.prepared import ByKey

KEY_LENGTH = 32
kept = ByKey(lambda: Session.objects.all())


class SessionStore(DatabaseStore):
    """Django's, with the columns of `Session`, and an end that nothing puts off."""

    row: Session | None = None
    over: Session | None = None  # the row that was found in its place, and is too old
    lost_key = ""  # the browser's, where no row was found

    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    @classmethod
    def clear_expired(cls) -> None:
        sessions.remove_old()

    @property
    def why_ended(self) -> str:
        """What a person reads whose session a limit has ended, or somebody."""
        return sessions.words_of(self.get(sessions.ENDED))

    def _validate_session_key(self, key: Any) -> bool:
        """Whatever else a cookie holds is no key of ours, and no database is asked for it."""
        return bool(key) and len(key) == KEY_LENGTH and set(key) <= set(VALID_KEY_CHARS)

    def load(self) -> dict[str, Any]:
        row = kept.get(self.session_key) if self.session_key else None
        if row is not None and not sessions.is_too_old(row):
            self.row = row
            return self.decode(row.session_data)
        self.over = row if row is not None and row.user_id else None
        self.lost_key = self.session_key or "" if row is None else ""
        self._session_key: Any = None
        return {}

    def cycle_key(self) -> None:
        """Take another key. Raises SessionInterrupted where the session was ended since it was read."""
        with transaction.atomic():
            self.keys()  # reads the row
            if self.row and not Session.objects.select_for_update().filter(pk=self.row.pk).first():
                raise SessionInterrupted("The session was ended while the request was under way.")
            super().cycle_key()

    def flush(self) -> None:
        super().flush()
        self.row = None

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        session: Any = super().create_model_instance(data)
        here, now = origin.current(), timezone.now()
        session.user_id = int(data[SESSION_KEY]) if SESSION_KEY in data else None
        old = self.row
        session.is_new = old is None or old.user_id != session.user_id
        session.ip = here.ip or (old.ip if old else None)
        session.user_agent = here.user_agent or (old.user_agent if old else "")
        session.created_at = session.active_at = now
        if old is not None and not session.is_new:
            session.created_at, session.active_at = old.created_at, old.active_at
        if session.user_id:  # what is saved later puts nothing off
            session.expire_date = session.created_at + timedelta(hours=settings.SESSION_HOURS)
        self.row = session
        return session
