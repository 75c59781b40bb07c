"""Print a one-time link with which one person signs in, for the day on which single sign-on is broken."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.urls import reverse

from portal import audit
from portal.accounts.management.recording import NOT_WRITABLE
from portal.accounts.models import LIFETIMES, OneTimeLink, User
from portal.audit.kinds import Result

MINUTES = int(LIFETIMES[OneTimeLink.Purpose.SIGN_IN].total_seconds() // 60)


class Command(BaseCommand):
    help = f"Print a link with which a person signs in once within {MINUTES} minutes, also past single sign-on."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="the person's user name")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            link = sign_in_link(options["user"])
        except audit.Unavailable:
            raise CommandError(NOT_WRITABLE) from None
        self.stdout.write(
            f"Whoever opens this link within {MINUTES} minutes signs in as {options['user']}, once. Their second "
            f"factor is still asked for. The audit log says that it was made.\n\n  {link}\n"
        )


@audit.writing()
def sign_in_link(name: str) -> str:
    """Return a new link. Raises CommandError where nobody could sign in by it."""
    user = User.objects.filter(username__iexact=name).first()
    if user is None:
        raise CommandError(f"There is nobody with the user name {name}.")
    if not user.is_active or user.awaits_approval:
        raise CommandError(f"{user.username} may not sign in: the account is disabled or awaits approval.")
    token = OneTimeLink.objects.issue(OneTimeLink.Purpose.SIGN_IN, user)
    about = {"target_type": "user", "target_id": str(user.pk), "target_label": user.username}
    audit.record("signin.link_made", result=Result.OK, **about)
    return f"{settings.PUBLIC_URL}{reverse('sign_in_link', args=[token])}"
