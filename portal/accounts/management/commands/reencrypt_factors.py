"""Bring stored second factors to a new SECRET_KEY."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal import audit
from portal.accounts import seeds
from portal.accounts.management.recording import NOT_WRITABLE
from portal.audit.kinds import Result


class Command(BaseCommand):
    help = "After a change of SECRET_KEY: encrypt second factors with the new key. Needs SECRET_KEY_FALLBACKS."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            count = reencrypt()
        except audit.Unavailable:
            raise CommandError(NOT_WRITABLE) from None
        self.stdout.write(f"Encrypted anew: {count}. Nobody has to set anything up again.\n")
        if lost := seeds.ages().lost:
            raise CommandError(
                f"No key opens the second factors of: {', '.join(lost)}. Add the former key to SECRET_KEY_FALLBACKS "
                "and run this again, or reset their second factors in the list of people."
            )


@audit.writing()
def reencrypt() -> int:
    """Encrypt what only a former key opens, and record it; return how much that was."""
    count = seeds.reencrypt()
    if count:
        audit.record("factor.reencrypted", result=Result.OK, facts={"count": count})
    return count
