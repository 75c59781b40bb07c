"""Print a one-time enrolment link for the first administrator."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse

from portal import audit
from portal.accounts.management.recording import NOT_WRITABLE
from portal.accounts.models import OneTimeLink, administrators, lock_administrator_role
from portal.audit.kinds import Result


class Command(BaseCommand):
    help = "Print a one-time enrolment link, valid for 15 minutes, while no administrator exists."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            link = enrolment_link()
        except audit.Unavailable:
            raise CommandError(NOT_WRITABLE) from None
        self.stdout.write(f"Open this link within 15 minutes to enrol as the administrator:\n\n  {link}\n")


@audit.writing()
def enrolment_link() -> str:
    """Return a new link. Raises CommandError if an administrator exists."""
    lock_administrator_role()
    if administrators().exists():
        raise CommandError(
            "An administrator exists already. Sign in as an administrator to add others, or use "
            "`manage.py changepassword USER` to set a new password."
        )
    token = OneTimeLink.objects.issue(OneTimeLink.Purpose.ADMINISTRATOR)
    audit.record("enrolment.created", result=Result.OK)
    return f"{settings.PUBLIC_URL}{reverse('enrol', args=[token])}"
