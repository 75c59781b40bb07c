"""Django's command, with the event that it happened; other sessions of the person end."""

from typing import Any

from django.contrib.auth.management.commands import changepassword

from portal import audit
from portal.accounts import sessions
from portal.accounts.management.recording import saving_with
from portal.accounts.models import User
from portal.audit.kinds import Result


class Command(changepassword.Command):
    def handle(self, *args: Any, **options: Any) -> Any:
        with saving_with(record_password):
            return super().handle(*args, **options)


def record_password(user: User) -> None:
    audit.record(
        "user.password_set",
        result=Result.OK,
        target_type="user",
        target_id=str(user.pk),
        target_label=user.username,
    )
    user.end_links()
    sessions.end_all(user, reason="password")
