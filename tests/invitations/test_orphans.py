"""Clients of people who are away, or may not serve them any more: they return to the queue. Running sessions stay."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from invitations import actions, claims, orphans, recipients, rows
from invitations.models import CONNECTING_FOR, Entry, Invitation, Policy, Snapshot, Status
from portal.accounts.models import Session, User
from portal.audit.models import Event
from tests.conftest import known
from tests.invitations.watching import pass_time, tick


@pytest.fixture
def client(vendor, look, agent, browser_of):
    """Somebody who has joined and whom the agent has, who is there."""
    number = vendor.add("Tilda", status=1)
    look()
    browser_of(agent)
    row = known(number)
    claims.claim(invitation=row, by=agent)
    return row


def be_away(minutes: float, of: float | None = None) -> None:
    """Let the last activity, and the claim, be so long ago."""
    Session.objects.update(active_at=timezone.now() - timedelta(minutes=minutes))
    Invitation.objects.update(taken_at=timezone.now() - timedelta(minutes=minutes if of is None else of))


def test_who_is_there_keeps_the_client(client):
    assert orphans.return_orphans() == 0
    be_away(14)
    assert orphans.return_orphans() == 0


def test_the_client_of_whoever_is_away_calls_everybody_again(agent, colleague, browser_of, client):
    be_away(16)
    assert orphans.return_orphans() == 1
    client.refresh_from_db()
    assert (client.taken_by, client.taken_by_name) == (None, "")
    entry = client.entries.last()
    assert (entry.kind, entry.actor_name, entry.detail) == ("returned", "", "Mika Lind")
    event = Event.objects.get(kind="invitation.return")
    assert (event.facts, event.details["holder"]) == ({"reason": "away"}, "Mika Lind")
    assert 'data-needs="1"' in browser_of(colleague).get("/").content.decode()
    assert "Mika Lind was not there" in browser_of(colleague).get(f"/invitations/{client.public_id}/").content.decode()


def test_while_nobody_knows_what_became_of_a_connection_its_client_stays(client, agent):
    """The vendor is away since they have connected: the session may run all the time."""
    actions.connect(invitation=client, by=agent)
    be_away(16)
    Snapshot.objects.update(good_at=timezone.now() - timedelta(minutes=16))
    assert orphans.return_orphans() == 0
    Snapshot.objects.update(good_at=timezone.now())
    assert orphans.return_orphans() == 1


def test_what_was_taken_a_moment_ago_stays(client):
    be_away(60, of=1)
    assert orphans.return_orphans() == 0


@pytest.mark.parametrize("status", [Status.ACTIVE, Status.WAITING, Status.UNKNOWN])
def test_only_who_waits_is_returned(client, status):
    Invitation.objects.update(status=status)
    be_away(600)
    User.objects.update(is_active=False)
    assert orphans.return_orphans() == 0
    client.refresh_from_db()
    assert client.taken_by_name


def test_the_policy_switches_it_off_for_those_who_are_only_away(client):
    Policy.objects.update_or_create(pk=1, defaults={"orphaned_after_minutes": 0})
    be_away(600)
    assert orphans.return_orphans() == 0
    User.objects.update(is_active=False)
    assert orphans.return_orphans() == 1


@pytest.mark.parametrize("change", ["disabled", "waiting", "no role", "gone", "blind"])
def test_who_cannot_serve_the_client_loses_them_at_once(agent, client, monkeypatch, change):
    if change == "no role":
        agent.groups.clear()
    elif change == "blind":
        monkeypatch.setattr(recipients, "sees", lambda person, invitation: False)
    elif change == "gone":
        monkeypatch.setattr(recipients, "people", lambda: User.objects.none())
    else:
        User.objects.filter(pk=agent.pk).update(is_active=change != "disabled", awaits_approval=change == "waiting")
    assert orphans.return_orphans() == 1
    assert Event.objects.get(kind="invitation.return").facts == {"reason": "unable"}


def test_a_client_handed_over_to_somebody_away_waits_for_them_as_long(agent, colleague, client):
    claims.hand_over(invitation=client, by=agent, to=colleague)
    assert orphans.return_orphans() == 0
    Entry.objects.update(at=timezone.now() - timedelta(minutes=16))
    assert orphans.return_orphans() == 1


def test_who_comes_back_in_this_moment_keeps_the_client(agent, client, monkeypatch):
    be_away(16)
    lock = rows.lock

    def meanwhile(row):
        Invitation.objects.update(taken_at=timezone.now())
        lock(row)

    monkeypatch.setattr(orphans, "lock", meanwhile)
    assert orphans.return_orphans() == 0


@pytest.mark.parametrize("is_mine", [True, False])
@pytest.mark.parametrize("status", [Status.JOINED, Status.ACTIVE])
def test_a_connection_that_died_leaves_the_client_as_it_was(agent, client, is_mine, status):
    early = timezone.now() - CONNECTING_FOR - timedelta(seconds=1)
    taken_at = early - timedelta(minutes=1) if is_mine else early
    Invitation.objects.update(connecting_at=timezone.now(), status=status)
    assert orphans.return_orphans() == 0, "it may still be under way"
    Invitation.objects.update(connecting_at=early, taken_at=taken_at)
    is_returned = not is_mine and status == Status.JOINED
    assert orphans.return_orphans() == is_returned
    client.refresh_from_db()
    assert client.connecting_at is None
    assert bool(client.taken_by_name) != is_returned
    assert [event.facts for event in Event.objects.filter(kind="invitation.return")] == (
        [{"reason": "interrupted"}] if is_returned else []
    )


def test_the_watcher_does_it_while_the_lease_is_its_own(client, watcher):
    be_away(16)
    other = type(watcher)()
    assert other.lease.take()
    tick(watcher)
    client.refresh_from_db()
    assert client.taken_by_name
    other.lease.release()
    watcher.orphans_due.last = None
    tick(watcher)
    client.refresh_from_db()
    assert not client.taken_by_name
    pass_time(1)
