"""End the sessions of one person, or of everybody."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from portal import audit
from portal.accounts import sessions
from portal.accounts.management.recording import NOT_WRITABLE
from portal.accounts.models import User


class Command(BaseCommand):
    help = "Sign somebody out everywhere, or everybody. Whoever knows their password can sign in again."

    def add_arguments(self, parser: CommandParser) -> None:
        whose = parser.add_mutually_exclusive_group(required=True)
        whose.add_argument("user", nargs="?", metavar="USER", help="user name")
        whose.add_argument("--all", action="store_true", help="everybody")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with audit.writing():
                self.stdout.write(end_everybodys() if options["all"] else end_of(options["user"]))
        except audit.Unavailable:
            raise CommandError(NOT_WRITABLE) from None


def end_everybodys() -> str:
    people = sessions.end_everybodys()
    return f"{people} {'person was' if people == 1 else 'people were'} signed out."


def end_of(name: str) -> str:
    """Raises CommandError where nobody has that name."""
    user = User.objects.filter(username__iexact=name).first()
    if user is None:
        raise CommandError(f"There is nobody with the user name {name}.")
    count = sessions.end_all(user, reason="command")
    return f"{count} {'session' if count == 1 else 'sessions'} of {user.username} ended."
