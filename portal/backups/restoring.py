"""Restoring a backup: what is checked before anything is touched, and what a portal from the past must not bring back.

A restored portal lets nobody in by what was open then, sends nothing that was waiting then, and says in its own log
which events were after the backup and are lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from invitations import outbox, webhooks
from invitations.models import Delivery, Snapshot
from portal import audit
from portal.accounts import seeds
from portal.accounts.models import OneTimeLink, Session, User
from portal.audit import anchors, checkpoints, keys
from portal.audit.anchors import Anchors
from portal.audit.appending import newest
from portal.audit.findings import Report
from portal.audit.keys import PublicKey
from portal.audit.kinds import Result
from portal.audit.models import Event, Standing
from portal.audit.verification import Verification
from portal.backups import schema, targets
from portal.backups.archive import Backup, open_backup

CHANGES_LISTED = timedelta(days=7)  # before the backup
ABOUT_PEOPLE = ("user.", "factor.", "password.", "role.", "team.", "enrolment.")


class Refused(Exception):
    """This backup is not restored here: why, and what to do."""


@dataclass
class Restored:
    """What a restore has found and done."""

    backup: Backup
    report: Report | None
    told_outside: int  # the last event that anything outside speaks of
    lost_kinds: dict[str, int]  # of lost events, as far as lines of the portal's output tell
    counts: dict[str, int] = field(default_factory=dict)
    applied: list[str] = field(default_factory=list)  # migrations

    @property
    def cut(self) -> tuple[int, int] | None:
        """The events that are known to be lost: first and last."""
        last = self.backup.manifest.events
        return (last + 1, self.told_outside) if self.told_outside > last else None


def restore(file: Path, *, outside: list[Path], trusted: list[PublicKey], anyway: bool = False) -> Restored:
    """Restore `file` into this portal's empty database.

    `outside` are files and folders of anchors, `trusted` the keys whose signatures count. With `anyway` a backup is
    taken whose signature or log is not as it should be. Raises Refused, Damaged, Occupied, AnchorsUnreadable and what
    the database raises.
    """
    backup = open_backup(file)
    refuse_foreign(backup)
    if not anyway and not backup.is_signed_by(trusted):
        raise Refused(
            f"{file} is not signed by a key that is trusted here. Put the signing key back first ({keys.key_file()}), "
            "or give the public one with --pubkey. With --anyway it is restored all the same."
        )
    backup.check()
    known = anchors.read(outside)
    with targets.filled(backup):
        refuse_other_head(backup)
        before = schema.applied()
        call_command("migrate", interactive=False, verbosity=0)
        applied = sorted(set(schema.applied()) - set(before))
        report = checked(up_to(known, backup.manifest.events), trusted)
        if report is not None and report.state == "tampered" and not anyway:
            raise Refused(
                "The audit log in this backup is not as it was written: "
                f"{' '.join(report.sentences)} Try an older backup. With --anyway it is restored all the same."
            )
        found = Restored(backup, report, known.newest, kinds_after(backup.manifest.events, outside), applied=applied)
        leave_behind(found)
    checkpoints.seal()
    return found


def refuse_foreign(backup: Backup) -> None:
    """Raise Refused for a backup of another kind of database, or of a newer release."""
    said = backup.manifest
    if said.database != connection.vendor:
        raise Refused(f"The backup is of {said.database}, and DATABASE_URL names {connection.vendor}.")
    if (names := schema.unknown(said.migrations)) or schema.is_newer(said.release):
        raise Refused(
            f"The backup is of release {said.release}, which is newer than this one ({settings.RELEASE}). Install that "
            f"release or a later one, then restore.{f' Unknown here: {", ".join(names)}.' if names else ''}"
        )


def refuse_other_head(backup: Backup) -> None:
    said, head = backup.manifest, newest()
    if (head.seq, head.hash) != (said.events, said.head):
        raise Refused(f"The backup's log ends at event {head.seq}, and its manifest says {said.events}.")


def up_to(known: Anchors, last: int) -> Anchors:
    """Return what is known outside of the events that the backup has: only these can be compared."""
    return Anchors(
        [note for note in known.notes if note.statement.size <= last],
        {seq for seq in known.conflicts if seq <= last},
        {seq: event_hash for seq, event_hash in known.hashes.items() if seq <= last},
    )


def checked(known: Anchors, trusted: list[PublicKey]) -> Report | None:
    """Check the whole log; None without any key to check it with."""
    return Verification(known, trusted).run() if trusted else None


def kinds_after(last: int, outside: Iterable[Path]) -> dict[str, int]:
    """Count the kinds of events after `last` of which lines of the portal's output tell."""
    return dict(sorted(anchors.kinds_in(outside, after=last).items()))


# --- What must not come back -------------------------------------------------------------------------


def leave_behind(found: Restored) -> None:
    """End what was open when the backup was made, and record the restore, in one transaction."""
    with audit.writing():
        Standing.note(verify_requested_at=timezone.now(), forward_error="", anchor_error="")
        Snapshot.objects.update(lease_token="", lease_until=None)  # of a process that is no more
        found.counts = {
            "sessions": Session.objects.all().delete()[0],
            "links": OneTimeLink.objects.all().delete()[0],
            "deliveries": cancel_deliveries(),
        }
        User.objects.update(links_ended_at=timezone.now())  # those that lie in mailboxes
        said = found.backup.manifest
        facts = {
            "head": said.events,
            "hash": said.head,
            "cut": list(found.cut or ()),
            "made_at": said.made_at,
            "release": said.release,
            "sha256": said.sha256,
            "log": found.report.state if found.report else "unchecked",
        }
        audit.record("backup.restored", result=Result.OK, facts=facts | found.counts)


def cancel_deliveries() -> int:
    """End what waited to be sent: it was sent long ago, or is of no use any more."""
    waiting = Delivery.objects.filter(state=Delivery.State.WAITING).select_related("webhook", "invitation")
    return sum(outbox.drop(delivery, "A backup was restored: this may have been sent before.") for delivery in waiting)


# --- What an administrator has to look at ------------------------------------------------------------


def sealed_by_another_key() -> list[str]:
    """Return what this installation's SECRET_KEY and its fallbacks do not open."""
    factors = [f"second factors of {name}" for name in seeds.ages().lost]
    return factors + [f"webhook {name}" for name in webhooks.unreadable()]


def people_who_may_enter() -> list[str]:
    """Return who can sign in now, with their roles: whoever was disabled after the backup is among them."""
    people = User.objects.filter(is_active=True, awaits_approval=False).order_by("username")
    return [f"{user.username} ({', '.join(user.role_names) or 'no role'})" for user in people]


def changes_before(backup: Backup) -> list[str]:
    """Return what was changed about people in the week before the backup, the newest first."""
    since = int((backup.manifest.at - CHANGES_LISTED).timestamp()) * 1_000_000
    events = Event.objects.filter(ts__gte=since, seq__lte=backup.manifest.events).order_by("-seq")
    told = [event for event in events if event.kind.startswith(ABOUT_PEOPLE)]
    return [line_of(event) for event in told]


def line_of(event: Event) -> str:
    at: Any = datetime.fromtimestamp(event.ts // 1_000_000, UTC)
    return f"{at:%Y-%m-%d %H:%M} {event.kind} {event.target_label or event.actor_name or 'nobody'} (event {event.seq})"
