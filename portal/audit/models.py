"""What the log keeps: events by value, their erasable details, and what proves them.

No foreign keys, so that names and roles stay as they were. The database itself refuses to change or
remove what stands here (`portal.audit.triggers`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, ClassVar, NoReturn, Protocol

from django.db import connection, models
from django.utils.translation import gettext_lazy as _

from portal.audit.kinds import Phase, Result

PORTAL, STRANGER = "portal", "stranger"  # actors without an account


class Person(Protocol):
    """As much of an account as the log knows."""

    pk: Any

    @property
    def display_name(self) -> str: ...

    @property
    def role_names(self) -> list[str]: ...

    def has_perm(self, perm: str) -> bool: ...

    def watched_people(self) -> set[int] | None:
        """Return whose actions are their team's: the numbers of accounts, or None for everybody."""


def actor_of(user: Person) -> str:
    return f"user:{user.pk}"


def actors_watched_by(user: Person) -> frozenset[str] | None:
    """Return who the team of somebody is, as the log calls them; None is everybody, also those without an account."""
    people = user.watched_people()
    return None if people is None else frozenset(f"user:{pk}" for pk in people)


class AppendOnly(Exception):
    """Somebody tried to change or remove what can only be added."""


class AppendOnlyQuerySet[M: models.Model](models.QuerySet[M]):
    """Reading only: what would change rows raises AppendOnly."""

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly("The audit log cannot be changed.")

    update = _refuse
    delete = _refuse
    bulk_update = _refuse
    bulk_create = _refuse
    update_or_create = _refuse
    _raw_delete = _refuse


class AppendOnlyModel(models.Model):
    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert. What is stored already raises AppendOnly."""
        if not self._state.adding:
            raise AppendOnly("The audit log cannot be changed.")
        kwargs["force_insert"] = True
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly("Nothing can be removed from the audit log.")


class SequenceField(models.BigIntegerField):  # type: ignore[type-arg]  # not subscriptable at run time
    """A number that on SQLite is the row's own, so that the newest is found without an index."""

    def db_type(self, connection: Any) -> str:
        return "integer" if connection.vendor == "sqlite" else "bigint"


# What else than the actor decides whether somebody sees an event about a thing: asked of whoever has the things.
Hidden = Callable[[Person], "models.Q | None"]
hidden_from: list[Hidden] = []


def hide(hidden: Hidden) -> None:
    """Have events left out of what is the team's. None leaves nothing out; one's own actions stay."""
    hidden_from.append(hidden)


class EventQuerySet(AppendOnlyQuerySet["Event"]):
    def visible_to(self, user: Person) -> EventQuerySet:
        """Auditors and administrators see all, leads what their team did as far as they may know, agents their own."""
        if user.has_perm("audit.view_all_events"):
            return self.all()
        own = models.Q(actor=actor_of(user))
        if user.has_perm("audit.view_team_events"):
            whose = actors_watched_by(user)
            seen = models.Q() if whose is None else models.Q(actor__in=whose)
            for hidden in hidden_from:
                if (found := hidden(user)) is not None:
                    seen &= own | ~found
            return self.filter(seen)
        return self.filter(own) if user.has_perm("audit.view_own_events") else self.none()


class Event(AppendOnlyModel):
    """What one person, or the portal itself, did or tried to do.

    `record` is the event; the other columns repeat parts of it to be searched by, and `audit_verify`
    compares them.
    """

    seq = SequenceField(primary_key=True)  # 1, 2, 3 … without gaps
    ts = models.BigIntegerField()  # UTC, microseconds since 1970
    kind = models.CharField(max_length=64)
    phase = models.CharField(max_length=12, choices=Phase)
    result = models.CharField(max_length=8, choices=Result, blank=True)
    reference = models.CharField(max_length=32, blank=True)  # the operation's id
    actor = models.CharField(max_length=32)  # "user:5", "stranger" or "portal"
    target = models.CharField(max_length=110, blank=True)  # "invitation:…", "user:5", "page"
    network = models.CharField(max_length=49, blank=True)  # /24 or /48
    prev = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)
    record = models.TextField()  # canonical JSON

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
        indexes: ClassVar = [
            # Each filter of the page reads its index from the newest end.
            models.Index(fields=["ts"], name="audit_event_ts"),
            models.Index(fields=["kind", "ts"], name="audit_event_kind"),
            models.Index(fields=["result", "ts"], name="audit_event_result"),
            models.Index(fields=["actor", "ts"], name="audit_event_actor"),
            models.Index(fields=["target", "ts"], name="audit_event_target", condition=~models.Q(target="")),
            models.Index(fields=["network", "ts"], name="audit_event_network", condition=~models.Q(network="")),
            models.Index(fields=["reference"], name="audit_event_reference", condition=~models.Q(reference="")),
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

    @cached_property
    def content(self) -> dict[str, Any]:
        """The record, read."""
        content: dict[str, Any] = json.loads(self.record)
        return content

    @cached_property
    def details(self) -> dict[str, Any]:
        """Personal details; empty if there were none or they are erased. Lists set it for many at once."""
        detail = Detail.objects.filter(pk=self.pk).first()
        return detail.content if detail else {}

    @property
    def has_lost_details(self) -> bool:
        return bool(self.content["details"]) and not self.details

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.ts // 1_000_000, UTC).replace(microsecond=self.ts % 1_000_000)

    @property
    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = self.content["facts"]
        return facts

    @property
    def actor_id(self) -> int | None:
        """The account's number, if it was somebody with one."""
        kind, _, number = self.actor.partition(":")
        return int(number) if kind == "user" else None

    @property
    def actor_name(self) -> str:
        return str(self.content["actor"]["name"] or self.details.get("claimed", ""))

    @property
    def actor_roles(self) -> str:
        return ", ".join(self.content["actor"]["roles"])

    @property
    def auth_method(self) -> str:
        return str(self.content["actor"]["method"])

    @property
    def target_type(self) -> str:
        return self.target.partition(":")[0]

    @property
    def target_id(self) -> str:
        return self.target.partition(":")[2]

    @property
    def target_label(self) -> str:
        return str(self.details.get("target", ""))

    @property
    def origin_ip(self) -> str | None:
        return self.details.get("ip")


class Detail(AppendOnlyModel):
    """An event's personal details, which may be erased: the event keeps a salted commitment to them."""

    seq = SequenceField(primary_key=True)
    salt = models.CharField(max_length=32)
    data = models.TextField()  # canonical JSON
    ticket = models.CharField(max_length=100, blank=True)  # repeated from the data, to be searched by

    objects = AppendOnlyQuerySet["Detail"].as_manager()

    class Meta:
        default_permissions: ClassVar[tuple[str, ...]] = ()
        indexes: ClassVar = [
            models.Index(fields=["ticket", "seq"], name="audit_detail_ticket", condition=~models.Q(ticket=""))
        ]

    def __str__(self) -> str:
        return f"details of {self.seq}"

    @property
    def content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.data)
        return content


class Block(AppendOnlyModel):
    """The Merkle root over 256 events, so that a proof need not read all of them. Follows from the events."""

    number = SequenceField(primary_key=True)  # from 0
    root = models.CharField(max_length=64)

    objects = AppendOnlyQuerySet["Block"].as_manager()

    class Meta:
        default_permissions: ClassVar[tuple[str, ...]] = ()

    def __str__(self) -> str:
        return f"block {self.number}"


class Checkpoint(AppendOnlyModel):
    """A signed statement of how many events there are and what they add up to."""

    size = SequenceField(primary_key=True)
    root = models.CharField(max_length=64)
    head = models.CharField(max_length=64)  # the hash of event number `size`
    ts = models.BigIntegerField()
    note = models.TextField()  # as it is anchored: text and signature

    objects = AppendOnlyQuerySet["Checkpoint"].as_manager()

    class Meta:
        default_permissions: ClassVar[tuple[str, ...]] = ()

    def __str__(self) -> str:
        return f"checkpoint {self.size}"


class Watermark(AppendOnlyModel):
    """Up to where events were removed for their age, with the signed checkpoint that covers them."""

    upto = SequenceField(primary_key=True)
    head = models.CharField(max_length=64)
    root = models.CharField(max_length=64)
    ts = models.BigIntegerField()
    note = models.TextField()

    objects = AppendOnlyQuerySet["Watermark"].as_manager()

    class Meta:
        default_permissions: ClassVar[tuple[str, ...]] = ()

    def __str__(self) -> str:
        return f"purged up to {self.upto}"


class Erasure(AppendOnlyModel):
    """One range of events whose details were erased, and the event that says so."""

    first = models.BigIntegerField()
    last = models.BigIntegerField()
    event = models.BigIntegerField()

    objects = AppendOnlyQuerySet["Erasure"].as_manager()

    class Meta:
        default_permissions: ClassVar[tuple[str, ...]] = ()

    def __str__(self) -> str:
        return f"details of {self.first} to {self.last}"


class Standing(models.Model):
    """Where the log stands with the world outside: one row that may change and proves nothing."""

    anchored_size = models.BigIntegerField(default=0)  # events under the last checkpoint in the second place
    anchored_at = models.DateTimeField(null=True)
    anchor_error = models.CharField(max_length=200, blank=True)
    forwarded_seq = models.BigIntegerField(default=0)  # the last event that syslog has
    forwarded_at = models.DateTimeField(null=True)
    forward_error = models.CharField(max_length=200, blank=True)
    verify_requested_at = models.DateTimeField(null=True)
    verify_began_at = models.DateTimeField(null=True)
    verified_at = models.DateTimeField(null=True)
    verified_state = models.CharField(max_length=12, blank=True)  # "intact", "tampered", "incomplete" or "failed"
    verified_upto = models.BigIntegerField(default=0)  # the last event that an outside copy covers
    verified_size = models.BigIntegerField(default=0)
    verified_findings = models.JSONField(default=list)  # what was found, in the order of importance
    triggers_checked_at = models.DateTimeField(null=True)
    triggers_missing_since = models.DateTimeField(null=True)
    settings_digests = models.JSONField(default=dict)  # of the last start, by name

    class Meta:
        default_permissions: ClassVar[tuple[str, ...]] = ()

    def __str__(self) -> str:
        return f"anchored {self.anchored_size}, forwarded {self.forwarded_seq}"

    @classmethod
    def load(cls) -> Standing:
        return cls.objects.get_or_create(pk=1)[0]

    @classmethod
    def note(cls, **changes: Any) -> None:
        """Store what has changed, and nothing else: several processes write here."""
        if not cls.objects.filter(pk=1).update(**changes):
            cls.objects.update_or_create(pk=1, defaults=changes)


def first_event() -> int:
    """Return the number of the oldest event that is still kept, or would be the next."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT COALESCE(MAX(upto), 0) + 1 FROM audit_watermark")
        return int(cursor.fetchone()[0])
