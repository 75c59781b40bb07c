"""Django's command, with the event that it happened."""

from typing import Any

from django.contrib.auth.management.commands import createsuperuser

from portal import audit
from portal.accounts.management.recording import saving_with
from portal.accounts.models import User
from portal.audit.kinds import Result


class Command(createsuperuser.Command):
    def handle(self, *args: Any, **options: Any) -> Any:
        with saving_with(record_created):
            return super().handle(*args, **options)


def record_created(user: User) -> None:
    audit.record(
        "user.created",
        result=Result.OK,
        target_type="user",
        target_id=str(user.pk),
        target_label=user.username,
        facts={"superuser": user.is_superuser},
    )
