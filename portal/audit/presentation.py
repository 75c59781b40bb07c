"""One event as its page shows it: every fact in plain words, what was changed, and the proof."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.audit import sentences
from portal.audit.canonical import canonical
from portal.audit.checkpoints import Prover
from portal.audit.merkle import BLOCK, climb
from portal.audit.models import Checkpoint, Detail, Event, first_event

# Facts by their name in the record. Others are shown under that name.
LABELS = {
    "claimed": gettext_lazy("Name that was typed"),
    "target": gettext_lazy("What it is about"),
    "ticket": gettext_lazy("Ticket"),
    "note": gettext_lazy("Note"),
    "reason": gettext_lazy("Reason"),
    "name": gettext_lazy("New name"),
    "code": gettext_lazy("Code"),
    "what": gettext_lazy("What"),
    "finding": gettext_lazy("Finding"),
    "filters": gettext_lazy("Filters"),
    "fields": gettext_lazy("Fields"),
    "refused": gettext_lazy("Why it was refused"),
    "error": gettext_lazy("What went wrong"),
    "event": gettext_lazy("Event"),
    "rows": gettext_lazy("Rows"),
    "count": gettext_lazy("Count"),
    "team": gettext_lazy("Team"),
    "private": gettext_lazy("Private"),
    "joined": gettext_lazy("New, by number"),
    "left": gettext_lazy("Gone, by number"),
    "led": gettext_lazy("Led now, by number"),
    "upto": gettext_lazy("Up to event"),
    "size": gettext_lazy("Last event"),
    "state": gettext_lazy("State"),
    "bad": gettext_lazy("First event that does not fit"),
    "in": gettext_lazy("Where"),
    "precision_seconds": gettext_lazy("Seen within (seconds)"),
    "left_out_before": gettext_lazy("Left out before it"),
    "public": gettext_lazy("Public key"),
    "seconds": gettext_lazy("Seconds"),
}
VENDOR = {
    "method": gettext_lazy("Call"),
    "status": gettext_lazy("HTTP status"),
    "class": gettext_lazy("Kind of failure"),
    "reason": gettext_lazy("Reason"),
    "ms": gettext_lazy("Duration"),
    "key": gettext_lazy("API key, fingerprint"),
    "host": gettext_lazy("Host of the link"),
    "link": gettext_lazy("Link, keyed digest"),
    "record": gettext_lazy("Recording"),
}
ELSEWHERE = ("changes", "ip", "agent", "target", "claimed")  # shown in their own places


@dataclass(frozen=True)
class Fact:
    label: str
    value: str
    is_code: bool = False


@dataclass(frozen=True)
class Section:
    title: str
    facts: list[Fact]


def sections_of(event: Event, *, sees_all: bool) -> list[Section]:
    """Return what the record and the details say. Addresses only for those who see everything."""
    found = (
        Section(_("Who"), list(who_facts(event, sees_all=sees_all))),
        Section(_("What"), list(what_facts(event))),
        Section(
            _("At Getscreen"), list(facts_in(event.content["up"], VENDOR, codes=("key", "link", "host", "method")))
        ),
        Section(_("Written by"), list(system_facts(event))),
    )
    return [section for section in found if section.facts]


def who_facts(event: Event, *, sees_all: bool) -> Iterator[Fact]:
    origin, details = event.content["origin"], event.details
    yield Fact(_("Who"), sentences.who(event))
    if event.actor_roles:
        yield Fact(_("Roles then"), event.actor_roles)
    if event.auth_method:
        yield Fact(_("Signed in by"), event.auth_method)
    if event.content["actor"]["session"]:
        yield Fact(_("Session, tag"), event.content["actor"]["session"], is_code=True)
    if event.network:
        through = f" ({_('told by a trusted proxy')})" if origin["proxied"] else ""
        yield Fact(_("Network"), event.network + through, is_code=True)
    if sees_all and event.network:
        erased = _("erased") if event.has_lost_details else _("not kept")
        yield Fact(_("IP address"), str(details.get("ip", erased)), is_code="ip" in details)
        yield Fact(_("Browser"), str(details.get("agent", erased)))


def what_facts(event: Event) -> Iterator[Fact]:
    if event.target:
        yield Fact(_("What it is about"), event.target_label or (_("erased") if event.has_lost_details else "–"))
    if event.target_id:
        yield Fact(_("Its id"), event.target, is_code=True)
    yield from facts_in(event.facts, LABELS)
    yield from facts_in({name: value for name, value in event.details.items() if name not in ELSEWHERE}, LABELS)
    if event.has_lost_details:
        yield Fact(_("Personal details"), _("erased; the event itself is unchanged"))


def system_facts(event: Event) -> Iterator[Fact]:
    program = event.content["sys"]
    yield Fact(_("Release"), str(program.get("release", "")))
    yield Fact(_("Machine"), f"{program.get('node', '')} · {program.get('program', '')} {program.get('pid', '')}")


def facts_in(source: dict[str, Any], labels: dict[str, Any], codes: tuple[str, ...] = ()) -> Iterator[Fact]:
    for name, value in source.items():
        if value not in (None, "", [], {}):
            label = str(labels.get(name, name.replace("_", " ").capitalize()))
            yield Fact(label, in_words(f"{value} ms" if name == "ms" else value), is_code=name in codes)


def in_words(value: Any) -> str:
    """Return plain JSON as a person reads it."""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if value in (None, ""):
        return "–"
    if isinstance(value, list):
        return ", ".join(map(in_words, value)) or "–"
    return canonical(value) if isinstance(value, dict) else str(value)


@dataclass(frozen=True)
class Change:
    """One field before and after."""

    field: str
    before: str
    after: str


def changes_of(event: Event) -> list[Change]:
    changes = event.details.get("changes")
    if not isinstance(changes, dict):
        return []
    pairs = {name: pair for name, pair in changes.items() if isinstance(pair, list) and len(pair) == 2}
    return [Change(name.replace("_", " "), in_words(old), in_words(new)) for name, (old, new) in pairs.items()]


@dataclass(frozen=True)
class Commitment:
    """What an event's commitment was made from: with the salt anybody can compute it again."""

    salt: str
    data: str


def commitment_of(event: Event) -> Commitment | None:
    detail = Detail.objects.filter(pk=event.pk).first()
    return Commitment(detail.salt, detail.data) if detail else None


@dataclass(frozen=True)
class Proof:
    """That the event is under a signed checkpoint, or why that cannot be shown."""

    state: str  # "proven", "waiting", "purged" or "broken"
    checkpoint: Checkpoint | None = None
    steps: tuple[str, ...] = ()
    text: str = ""  # all of it as JSON, to be copied

    @property
    def path(self) -> str:
        return "\n".join(self.steps) or _("Empty: it is the only event.")


def proof_of(event: Event) -> Proof:
    """Return the proof against the newest checkpoint. It was tried: what does not lead to the root is none."""
    checkpoint = Checkpoint.objects.filter(size__gte=event.seq).order_by("-size").first()
    if checkpoint is None:
        return Proof("waiting")
    try:
        steps = Prover(checkpoint).path(event.seq)
        root = climb(event.hash, event.seq - 1, checkpoint.size, [bytes.fromhex(step) for step in steps])
    except (ValueError, IndexError):
        root = b""
    if root.hex() != checkpoint.root:
        return Proof("purged" if is_beside_purged(event, checkpoint) else "broken", checkpoint)
    content = {
        "seq": event.seq,
        "hash": event.hash,
        "record": event.record,
        "proof": steps,
        "checkpoint": checkpoint.note,
    }
    return Proof("proven", checkpoint, tuple(steps), json.dumps(content, ensure_ascii=False, indent=2))


def is_beside_purged(event: Event, checkpoint: Checkpoint) -> bool:
    """Say whether events were removed that the proof needs: of its own block, or of the last one."""
    last = (checkpoint.size // BLOCK) * BLOCK
    needed: int = min((event.seq - 1) // BLOCK * BLOCK, last) + 1
    return first_event() > needed
