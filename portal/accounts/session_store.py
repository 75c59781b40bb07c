"""Where sessions are kept: Django's database store, in a table that also says whose they are and since when."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.utils import timezone

from portal.accounts.models import Session
from portal.audit import origin


class SessionStore(DatabaseStore):
    """Django's, with the columns of `Session`."""

    row: Session | None = None

    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    def load(self) -> dict[str, Any]:
        self.row = self._get_session_from_db()  # type: ignore[attr-defined]  # Django's own, unknown to its types
        return self.decode(self.row.session_data) if self.row else {}

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        session: Any = super().create_model_instance(data)
        here, now = origin.current(), timezone.now()
        old = self.row
        session.user_id = int(data[SESSION_KEY]) if SESSION_KEY in data else None
        session.created_at = old.created_at if old else now
        session.active_at = old.active_at if old else now
        session.ip = here.ip or (old.ip if old else None)
        session.user_agent = here.user_agent or (old.user_agent if old else "")
        return session
