"""One row per event, by value: no foreign keys, so that names and roles stay as they were.

Rows are numbered without gaps under a lock and can be appended only; the database refuses the rest.
"""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn, Protocol

from django.contrib.auth.models import AnonymousUser
from django.db import connection, models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.audit import origin
from portal.audit.kinds import KINDS, Phase, Result

APPEND_LOCK = 7_203_911  # any constant; held until the appending transaction ends


class Person(Protocol):
    """As much of an account as the log knows."""

    pk: Any

    @property
    def display_name(self) -> str: ...

    @property
    def role_names(self) -> list[str]: ...

    def has_perm(self, perm: str) -> bool: ...


class AppendOnly(Exception):
    """Somebody tried to change or remove an event."""


class EventQuerySet(models.QuerySet["Event"]):
    """Reading only: what would change rows raises AppendOnly."""

    def visible_to(self, user: Person) -> EventQuerySet:
        """Auditors and administrators see all, leads their team's (everybody's, for now), agents their own."""
        if user.has_perm("audit.view_all_events") or user.has_perm("audit.view_team_events"):
            return self.all()
        if user.has_perm("audit.view_own_events"):
            return self.filter(actor_id=user.pk)
        return self.none()

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly("Events of the audit log cannot be changed or removed.")

    update = _refuse
    delete = _refuse
    bulk_update = _refuse
    bulk_create = _refuse
    update_or_create = _refuse
    _raw_delete = _refuse


class Event(models.Model):
    """What one person, or the portal itself, did or tried to do."""

    seq = models.PositiveBigIntegerField(primary_key=True)  # 1, 2, 3 … without gaps
    at = models.DateTimeField(db_index=True)
    kind = models.CharField(max_length=64, db_index=True)
    phase = models.CharField(max_length=12, choices=Phase)
    reference = models.CharField(max_length=32, blank=True, db_index=True)  # the operation's id
    result = models.CharField(max_length=8, choices=Result, blank=True)
    actor_id = models.BigIntegerField(null=True, db_index=True)
    actor_name = models.CharField(max_length=150, blank=True)
    actor_roles = models.CharField(max_length=200, blank=True)
    auth_method = models.CharField(max_length=40, blank=True)
    origin_ip = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=200, blank=True)
    target_type = models.CharField(max_length=40, blank=True)
    target_id = models.CharField(max_length=64, blank=True, db_index=True)
    target_label = models.CharField(max_length=250, blank=True)
    data = models.JSONField(default=dict)

    objects = EventQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-seq"]
        verbose_name = _("event")
        verbose_name_plural = _("events")
        default_permissions = ("view",)
        permissions: ClassVar = [
            ("view_own_events", "See one's own actions in the audit log"),
            ("view_team_events", "See the team's actions in the audit log"),
            ("view_all_events", "See every action in the audit log"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(seq__gte=1), name="audit_event_seq_positive"),
            models.CheckConstraint(
                condition=models.Q(phase=Phase.INTENT, result="") | ~models.Q(phase=Phase.INTENT),
                name="audit_event_intent_has_no_result",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.kind}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert. An event that is stored already raises AppendOnly."""
        if not self._state.adding:
            raise AppendOnly("Events of the audit log cannot be changed.")
        kwargs["force_insert"] = True
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly("Events of the audit log cannot be removed.")

    @property
    def sentence(self) -> str:
        return str(KINDS.get(self.kind, self.kind))


def append(
    kind: str,
    *,
    phase: str = Phase.SINGLE,
    result: str = "",
    reference: str = "",
    actor: Person | AnonymousUser | None = None,
    actor_name: str = "",
    target_type: str = "",
    target_id: str = "",
    target_label: str = "",
    data: dict[str, Any] | None = None,
) -> Event:
    """Append one event in the caller's transaction (or its own) and return it.

    `actor` is kept by value; `actor_name` is for people without an account. `data` holds plain
    JSON facts, never secrets. Raises KeyError for a kind that is not registered.
    """
    KINDS[kind]
    where = origin.current()
    event = Event(
        at=timezone.now(),
        kind=kind,
        phase=phase,
        result=result,
        reference=reference,
        auth_method=where.auth_method,
        origin_ip=where.ip,
        user_agent=where.user_agent,
        target_type=target_type,
        target_id=target_id[:64],
        target_label=storable(target_label)[:250],
        data=storable_facts(data or {}),
        **_actor_by_value(actor, actor_name),
    )
    with transaction.atomic():
        event.seq = _next_seq()
        event.save()
    return event


def storable(text: str) -> str:
    """Return `text` without what PostgreSQL cannot store: an address somebody typed must not stop an event."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def storable_facts(facts: Any) -> Any:
    """Return plain JSON facts with every text storable."""
    if isinstance(facts, dict):
        return {storable(str(name)): storable_facts(fact) for name, fact in facts.items()}
    if isinstance(facts, list | tuple):
        return [storable_facts(fact) for fact in facts]
    return storable(facts) if isinstance(facts, str) else facts


def _actor_by_value(actor: Person | AnonymousUser | None, name: str) -> dict[str, Any]:
    if actor is None or isinstance(actor, AnonymousUser):
        return {"actor_name": storable(name)[:150]}
    return {
        "actor_id": actor.pk,
        "actor_name": actor.display_name[:150],
        "actor_roles": ", ".join(actor.role_names)[:200],
    }


def lock() -> None:
    """Hold the log until the current transaction ends. SQLite's write lock is held already."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [APPEND_LOCK])


def _next_seq() -> int:
    """Return the next number, holding the lock that keeps the row before it the last one."""
    lock()
    with connection.cursor() as cursor:
        cursor.execute("SELECT COALESCE(MAX(seq), 0) + 1 FROM audit_event")
        return int(cursor.fetchone()[0])
