"""Print a one-time link with which one person signs in, for the day on which single sign-on is broken."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q
from django.urls import reverse

from portal import audit
from portal.accounts.management.recording import NOT_WRITABLE
from portal.accounts.models import LIFETIMES, OneTimeLink, User, administrators
from portal.audit.kinds import Result

MINUTES = int(LIFETIMES[OneTimeLink.Purpose.SIGN_IN].total_seconds() // 60)


class Command(BaseCommand):
    help = f"Print a link with which a person signs in once within {MINUTES} minutes, also past single sign-on."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="the person's user name or e-mail address")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            user, link = sign_in_link(options["user"])
        except audit.Unavailable:
            raise CommandError(NOT_WRITABLE) from None
        self.stdout.write(
            f"Whoever opens this link within {MINUTES} minutes signs in as {user.username}, once. Their second "
            f"factor is still asked for. The audit log says that it was made.\n\n  {link}\n"
        )


@audit.writing()
def sign_in_link(name: str) -> tuple[User, str]:
    """Return whose it is, and a new link. Raises CommandError where nobody could sign in by it."""
    user = find(name)
    if not user.is_active or user.awaits_approval:
        raise CommandError(f"{user.username} may not sign in: the account is disabled or awaits approval.")
    token = OneTimeLink.objects.issue(OneTimeLink.Purpose.SIGN_IN, user)
    about = {"target_type": "user", "target_id": str(user.pk), "target_label": user.username}
    audit.record("signin.link_made", result=Result.OK, **about)
    return user, f"{settings.PUBLIC_URL}{reverse('sign_in_link', args=[token])}"


def find(name: str) -> User:
    """Return the one person with that user name or e-mail address. Raises CommandError, which names administrators."""
    found = list(User.objects.filter(Q(username__iexact=name) | Q(email__iexact=name)).order_by("username"))
    if len(found) == 1 and name:
        return found[0]
    names = ", ".join(administrators().order_by("username").values_list("username", flat=True)) or "nobody yet"
    there = f"These administer the portal: {names}"
    if found and name:
        raise CommandError(f"Several people are meant: {', '.join(user.username for user in found)}. {there}")
    raise CommandError(f"There is nobody with the user name or e-mail address “{name}”. {there}")
