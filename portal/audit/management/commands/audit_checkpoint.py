"""Make a checkpoint now and print it, to be kept elsewhere."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal.audit import checkpoints, keys
from portal.audit.models import Checkpoint


class Command(BaseCommand):
    help = "Sign what the audit log adds up to now and print it: kept elsewhere, it shows later changes."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            checkpoints.seal()
        except keys.KeyUnusable as error:
            raise CommandError(str(error)) from None
        newest = Checkpoint.objects.order_by("-size").first()
        if newest is None:
            raise CommandError("The database is busy. Try again.")
        self.stdout.write(newest.note)
