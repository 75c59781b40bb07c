"""What is personal in invitations that were closed long ago goes after the days that the policy says."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from invitations import actions, observations, retention
from invitations.models import Entry, Invitation, Note, Operation, Policy
from invitations.watcher import Watcher
from portal.audit.models import Event
from portal.getscreen.types import RemoteInvitation, Secret
from portal.getscreen.types import Status as RemoteStatus

TYPED = ("Tilda Brandtner", "Her password hint", "HD-7", "Tilda-again")


@pytest.fixture
def closed(vendor, look, agent):
    """One that was named twice, noted upon and closed today."""
    look()
    row = actions.create(by=agent, client_name="Tilda Brandtner", ticket="HD-7")
    actions.rename(invitation=row, client_name="Tilda-again", by=agent)
    actions.annotate(invitation=row, by=agent, note="Her password hint")
    actions.close(invitation=row, by=agent)
    row.refresh_from_db()
    return row


def age(days: float, keep: int) -> None:
    """Let all that is closed be so old, and the policy keep names so long."""
    Policy.load()
    Policy.objects.update(erased_after_days=keep)
    Invitation.objects.filter(closed_at__isnull=False).update(closed_at=timezone.now() - timedelta(days=days))
    Operation.objects.update(started_at=timezone.now() - timedelta(days=days))


def everything() -> str:
    tables = (Invitation, Entry, Note, Operation)
    return str([list(table.objects.values()) for table in tables])


@pytest.mark.parametrize(("days", "keep"), [(4000, 0), (89, 90)])
def test_nothing_goes_before_its_time(closed, days, keep):
    age(days, keep)
    before = everything()
    assert retention.erase_old() == 0
    assert everything() == before
    assert not Event.objects.filter(kind="invitation.erase")


def test_after_it_only_ticket_times_and_colleagues_are_left(closed, agent, browser_of):
    age(91, 90)
    assert all(text in everything() for text in TYPED)
    assert retention.erase_old() == 1
    assert [text for text in (*TYPED, closed.code, closed.invite_url) if text in everything()] == ["HD-7"]
    row = Invitation.objects.get()
    assert (row.ticket, row.created_by, row.closed_at is not None) == ("HD-7", agent, True)
    assert [entry.kind for entry in row.entries.all()] == [entry.kind for entry in closed.entries.all()]
    event = Event.objects.get(kind="invitation.erase")
    assert (event.facts, event.actor_name) == ({"count": 1, "days": 90}, "")
    assert retention.erase_old() == 0, "once"
    browser = browser_of(agent)
    for path in ("/history/", f"/invitations/{row.public_id}/", f"/invitations/{row.public_id}/note/"):
        assert "Name erased" in browser.get(path).content.decode()


def test_open_ones_stay_whatever_their_age(closed, vendor, agent):
    row = actions.create(by=agent, client_name="Ilse")
    age(91, 90)
    Invitation.objects.filter(pk=row.pk).update(created_at=timezone.now() - timedelta(days=4000))
    assert retention.erase_old() == 1
    row.refresh_from_db()
    assert (row.client_name, row.erased_at) == ("Ilse", None)


def test_many_are_done_in_batches(closed, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    for number in range(4):
        closed.pk, closed.vendor_id, closed.public_id = None, closed.vendor_id + 1, f"copy-{number}"
        closed._state.adding = True
        closed.save()
    age(91, 90)
    assert retention.erase_old() == 5
    batches = Event.objects.filter(kind="invitation.erase").order_by("seq")
    assert [event.facts["count"] for event in batches] == [2, 2, 1]


def test_the_vendor_does_not_bring_it_back_unless_it_is_open_again(closed):
    age(91, 90)
    retention.erase_old()
    row, now = Invitation.objects.get(), timezone.now()
    said = RemoteInvitation(row.vendor_id, RemoteStatus.CLOSED, "3", None, "123456", "", "Tilda", "win", Secret(""))
    assert not observations.apply(row, said, at=now, precision=3)
    assert Invitation.objects.get().client_name == ""
    assert observations.apply(row, replace(said, status=RemoteStatus.WAITING), at=now, precision=3)
    again = Invitation.objects.get()
    assert (again.client_name, again.erased_at) == ("Tilda", None)


def test_the_watcher_does_it(closed):
    age(91, 90)
    Watcher().tidy()
    assert Invitation.objects.get().erased_at is not None
