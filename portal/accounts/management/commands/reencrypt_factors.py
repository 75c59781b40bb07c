"""Bring stored second factors to a new SECRET_KEY."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal.accounts import seeds


class Command(BaseCommand):
    help = "After a change of SECRET_KEY: encrypt second factors with the new key. Needs SECRET_KEY_FALLBACKS."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"Encrypted anew: {seeds.reencrypt()}. Nobody has to set anything up again.\n")
        if lost := seeds.ages().lost:
            raise CommandError(
                f"No key opens the second factors of: {', '.join(lost)}. Add the former key to SECRET_KEY_FALLBACKS "
                "and run this again, or reset their second factors in the list of people."
            )
