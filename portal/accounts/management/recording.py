"""Events of Django's own commands about people, which know nothing of the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.core.management.base import CommandError
from django.db.models.signals import post_save, pre_save

from portal import audit
from portal.accounts.models import User

UNTYPED = [field.attname for field in User._meta.concrete_fields if field.attname != "password"]
NOT_WRITABLE = "The audit log cannot be written. Nothing was done."


@contextmanager
def saving_with(record: Callable[[User], None]) -> Iterator[None]:
    """Run a command that saves a person, and call `record` with them in the transaction of that save.

    Around the save alone: the command waits for somebody to type, and nobody else could write meanwhile.
    Raises CommandError if the event cannot be written; then nothing is saved.
    """
    saving = ExitStack()

    def begin(instance: User, **_: Any) -> None:
        saving.enter_context(audit.writing())
        if instance.pk:  # the command writes all that it has read before somebody typed
            instance.refresh_from_db(fields=UNTYPED)

    def end(instance: User, **_: Any) -> None:
        record(instance)
        saving.pop_all().close()

    pre_save.connect(begin, sender=User)
    post_save.connect(end, sender=User)
    try:
        with saving:
            yield
    except audit.Unavailable:
        raise CommandError(NOT_WRITABLE) from None
    finally:
        pre_save.disconnect(begin, sender=User)
        post_save.disconnect(end, sender=User)
