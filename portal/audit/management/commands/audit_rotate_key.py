"""Replace the key that signs checkpoints; the old one vouches for the new one."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal.audit import keys, rotation


class Command(BaseCommand):
    help = "Make a new key for the audit log's checkpoints. Restart the portal afterwards if its key file is a copy."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            old, new = rotation.rotate()
        except (keys.KeyUnusable, OSError) as error:
            raise CommandError(f"The key was not replaced: {error}") from None
        file = keys.key_file()
        self.stdout.write(
            f"Checkpoints are signed with {new.id} now. The old key {old.id} signed that and lies beside it, as "
            f"{file.name}.{old.id}: keep it away from this machine, or delete it.\n{new.verifier}"
        )
