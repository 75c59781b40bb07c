"""Invitations expire: set when they are made, put off by people, closed by the watcher under narrow conditions."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.db.models import F
from django.utils import timezone

from invitations import actions, expiry, operations, sync
from invitations.models import Entry, Invitation, Operation, Policy, Snapshot, Status
from invitations.refusals import (
    AlreadyClosed,
    ExpiresAlready,
    ExtendedEnough,
    NeverExpires,
    OtherAccount,
)
from portal.audit.models import Event
from portal.getscreen.errors import GetscreenError
from tests.conftest import known
from tests.invitations.watching import kinds

HOUR = timedelta(hours=1)
State = Operation.State


@pytest.fixture
def make(agent, vendor, look):
    """Make an invitation so many hours ago: here, at the vendor, or at both."""
    Policy.load()
    look()

    def make(hours: float = 0, *, at_vendor: float | None = None, **fields) -> Invitation:
        invitation = actions.create(by=agent, client_name="Tilda")
        age(vendor, invitation, hours, hours if at_vendor is None else at_vendor)
        Invitation.objects.filter(pk=invitation.pk).update(**fields)
        invitation.refresh_from_db()
        return invitation

    return make


def age(vendor, invitation: Invitation, hours: float, at_vendor: float) -> None:
    delta = timedelta(hours=hours)
    Invitation.objects.filter(pk=invitation.pk).update(
        created_at=F("created_at") - delta, expires_at=F("expires_at") - delta
    )
    vendor._rows[invitation.vendor_id].created_at -= 3600 * at_vendor


def closes(vendor) -> int:
    return len(vendor.ledger.find("/v1/support/close"))


def expired(invitation: Invitation) -> bool:
    invitation.refresh_from_db()
    return invitation.expired_at is not None


def a_minute_later() -> None:
    """Let the pause after trouble be over, and all that the watcher remembers of it."""
    Operation.objects.update(started_at=F("started_at") - 7 * HOUR, finished_at=F("finished_at") - 7 * HOUR)


# When it expires.


@pytest.mark.parametrize("hours", [1, 24, 10_000])
def test_what_is_made_expires_by_the_policy_of_that_moment(make, hours):
    Policy.objects.update(expires_after_hours=hours)
    invitation = make()
    assert abs(invitation.expires_at - invitation.created_at - hours * HOUR) < timedelta(seconds=5)
    before = invitation.expires_at
    Policy.objects.update(expires_after_hours=2)
    invitation.refresh_from_db()
    assert invitation.expires_at == before


def test_without_a_policy_nothing_expires(make, vendor, look):
    Policy.objects.update(expires_after_hours=0)
    invitation = make(1000)
    assert invitation.expires_at is None
    look()
    assert not closes(vendor)


@pytest.mark.parametrize("fault", ["hang", "hang_after"])
def test_what_is_taken_for_a_lost_create_never_expires(agent, vendor, look, fault):
    """Whoever gets no answer may go to the vendor's dashboard and make the same there: nobody can tell which it is."""
    look()
    vendor.fail("create", fault)
    vendor.after("create", lambda: vendor.add("Tilda") if fault == "hang" else None)
    invitation = actions.create(by=agent, client_name="Tilda")
    assert not invitation.is_external
    assert invitation.expires_at is None


def test_a_vendor_whose_clock_is_late_takes_nothing_off(agent, vendor, look):
    look()
    vendor._clock = lambda: timezone.now().timestamp() - 30 * 3600
    invitation = actions.create(by=agent)
    assert invitation.expires_at > timezone.now() + 23 * HOUR


def test_what_was_made_elsewhere_never_expires(vendor, look):
    number = vendor.add("Payroll", created_at=0)
    look()
    look()
    assert known(number).expires_at is None
    assert known(number).is_open


def test_whoever_leaves_may_come_back_for_an_hour(make, vendor, look):
    invitation = make(23.9)
    vendor.join(invitation.vendor_id)
    look()
    age(vendor, invitation, 1, 1)
    look()
    invitation.refresh_from_db()
    assert invitation.expires_at < timezone.now()
    vendor.leave(invitation.vendor_id)
    look()
    look()
    assert not expired(invitation)
    assert timedelta(minutes=59) < invitation.expires_at - timezone.now() <= HOUR
    age(vendor, invitation, 2, 2)
    look()
    assert expired(invitation)


# What the watcher closes.


def test_what_nobody_used_in_time_is_closed_with_all_that_is_told_of_it(make, vendor, look):
    invitation = make(25)
    before = Snapshot.load().revision
    look()
    assert expired(invitation)
    assert (invitation.status, invitation.closed_at) == (Status.CLOSED, invitation.expired_at)
    assert not vendor.open_rows()
    assert kinds(invitation) == [Entry.Kind.CREATED, Entry.Kind.EXPIRED]
    assert Snapshot.load().revision > before
    op = Operation.objects.get(verb="expire")
    assert (op.state, op.by) == (State.OK, None)
    told = Event.objects.filter(reference=op.reference).order_by("seq")
    assert [(event.phase, event.result, event.actor) for event in told] == [
        ("intent", "", "portal"),
        ("outcome", "ok", "portal"),
    ]
    look()
    assert closes(vendor) == 1


def test_before_its_time_nothing_is_asked(make, vendor, look):
    make(23)
    look()
    assert not vendor.ledger.find("/v1/support/info")


@pytest.mark.parametrize("what", ["join", "activate"])
def test_whoever_joins_after_the_list_keeps_the_invitation(make, vendor, look, what):
    invitation = make(25)
    vendor.before("info", lambda: getattr(vendor, what)(invitation.vendor_id))
    look()
    assert not closes(vendor)
    invitation.refresh_from_db()
    assert invitation.status == {"join": Status.JOINED, "activate": Status.ACTIVE}[what]
    assert Operation.objects.get(verb="expire").state == State.FAILED
    event = Event.objects.get(kind="invitation.expire", phase="outcome")
    assert (event.result, event.facts) == ("denied", {"refused": "in use or closed"})


def test_what_is_closed_elsewhere_just_before_is_not_ours(make, vendor, look):
    invitation = make(25)
    vendor.before("info", lambda: vendor.close(invitation.vendor_id))
    look()
    assert not closes(vendor)
    assert not expired(invitation)
    assert kinds(invitation)[-1] == Entry.Kind.CLOSED_OUTSIDE


def test_whoever_is_faster_than_the_watcher_keeps_it(make, agent, vendor, look):
    invitation = make(25)
    vendor.after("info", lambda: actions.save(Invitation.objects.get(), taken_by=agent, taken_by_name="Mika"))
    look()
    assert not closes(vendor)
    a_minute_later()
    look()
    assert not closes(vendor), "nobody takes away what somebody has claimed"
    actions.save(Invitation.objects.get(), taken_by=None, taken_by_name="")
    look()
    assert expired(invitation)


def test_during_the_look_it_cannot_be_extended(make, agent, vendor, look):
    invitation = make(25)
    refused = []

    def extend():
        with pytest.raises(ExpiresAlready) as caught:
            expiry.extend(invitation=Invitation.objects.get(), by=agent, hours=1)
        refused.append(caught)

    vendor.after("info", extend)
    look()
    assert refused
    assert expired(invitation)


@pytest.mark.parametrize(
    "fields",
    [
        {"is_external": True},
        {"account": "another"},
        {"status": Status.JOINED},
        {"status": Status.UNKNOWN},
        {"code": "999999999"},
    ],
    ids=str,
)
def test_what_is_not_ours_or_not_waiting_is_left_alone(make, vendor, fields):
    make(25, **fields)
    expiry.close_due(actions.configured.client(), told_at=int(vendor.now()), is_ours=lambda: True)
    assert not closes(vendor)


def test_a_clock_that_has_jumped_forward_closes_nothing(make, vendor, look):
    invitations = [make(25, at_vendor=0) for _ in range(3)]
    look()
    assert not closes(vendor), "the vendor knows how old they are"
    assert {op.state for op in Operation.objects.filter(verb="expire")} == {State.FAILED}
    Operation.objects.filter(verb="expire").delete()
    vendor._clock = lambda: timezone.now().timestamp() - 48 * 3600
    look()
    assert not Operation.objects.filter(verb="expire").exists(), "the vendor's clock says that it is not time"
    assert all(invitation.is_open for invitation in invitations)


@pytest.mark.parametrize("fault", ["odd_time"])
def test_an_age_nobody_tells_is_none(make, vendor, look, fault):
    make(25)
    vendor.fail("info", fault, times=None)
    look()
    assert not closes(vendor)


def test_a_vendor_who_does_not_tell_the_time_is_no_second_opinion(make, vendor):
    make(25)
    expiry.close_due(actions.configured.client(), told_at=None, is_ours=lambda: True)
    assert not vendor.ledger.find("/v1/support/info")


def test_an_answer_counts_for_two_seconds(make, vendor, look, monkeypatch):
    make(25)
    monkeypatch.setattr(expiry, "FRESH_FOR", 0.0)
    look()
    assert not closes(vendor)


def test_few_are_closed_in_one_round(make, vendor, look):
    for _ in range(5):
        make(25)
    look()
    assert closes(vendor) == expiry.PER_ROUND
    look()
    assert closes(vendor) == 5


@pytest.mark.parametrize(("name", "value"), [("CLOSE_WITHIN", -1.0), ("PER_ROUND", 0)])
def test_a_round_that_has_lasted_long_begins_no_other(make, vendor, look, monkeypatch, name, value):
    make(25)
    monkeypatch.setattr(expiry, name, value)
    look()
    assert not vendor.ledger.find("/v1/support/info")


def test_a_watcher_that_has_lost_its_lease_closes_nothing(make, vendor):
    make(25)
    lease = sync.Lease()
    lease.take()
    vendor.after(
        "list", lambda: Snapshot.objects.update(lease_token="another", attempted_at=Snapshot.load().attempted_at)
    )
    sync.run_round(actions.configured.client(), lease=lease)
    assert not closes(vendor)
    expiry.close_due(actions.configured.client(), told_at=int(vendor.now()), is_ours=lease.take)
    assert not closes(vendor)


# Trouble.


@pytest.mark.parametrize("fault", ["status_503", "refused", "html", "status_402", "hang"])
def test_trouble_with_the_look_is_tried_again_later(make, vendor, look, fault):
    invitation = make(25)
    vendor.fail("info", fault, times=None)
    look()
    calls = len(vendor.ledger.find("/v1/support/info"))
    look()
    assert len(vendor.ledger.find("/v1/support/info")) == calls, "not in every round"
    assert not closes(vendor)
    vendor.clear()
    a_minute_later()
    look()
    assert expired(invitation)


def test_after_trouble_with_one_all_others_wait_for_a_minute(make, vendor, look):
    make(25)
    vendor.fail("info", "status_503", times=3)
    look()
    other = make(25)
    look()
    assert not expired(other)
    Operation.objects.update(started_at=F("started_at") - 2 * timedelta(minutes=1))
    look()
    assert expired(other)


def test_what_fails_again_and_again_is_tried_less_and_less():
    now, five = timezone.now(), timedelta(minutes=5)
    for failures, wait in [(1, five), (2, 2 * five), (3, 4 * five), (50, 6 * HOUR)]:
        assert not expiry.is_over(now, failures, now - wait)
        assert expiry.is_over(now, failures, now - wait - timedelta(seconds=1))
        assert expiry.is_over(now, failures, now + wait + timedelta(seconds=1)), "the clock has gone back"


@pytest.mark.parametrize("fault", ["hang_after", "reset_after"])
def test_a_close_whose_answer_is_lost_is_settled_by_the_list_as_expired(make, vendor, look, fault):
    invitation = make(25)
    vendor.fail("close", fault)
    look()
    assert Operation.objects.get(verb="expire").state == State.UNKNOWN
    assert not expired(invitation)
    look()
    assert Operation.objects.get(verb="expire").state == State.OK
    assert expired(invitation)
    assert kinds(invitation) == [Entry.Kind.CREATED, Entry.Kind.EXPIRED]
    assert closes(vendor) == 1


def test_a_close_that_never_came_is_not_sent_again_before_that_is_clear(make, vendor, look):
    invitation = make(25)
    vendor.fail("close", "hang")
    look()
    look()
    assert closes(vendor) == 1
    assert Operation.objects.get(verb="expire").state == State.UNKNOWN
    Operation.objects.update(started_at=F("started_at") - HOUR, finished_at=F("finished_at") - HOUR)
    look()
    assert list(Operation.objects.filter(verb="expire").order_by("pk").values_list("state", flat=True)) == [
        "failed",
        "ok",
    ]
    assert expired(invitation)
    assert closes(vendor) == 2


def test_a_watcher_that_dies_while_closing_leaves_an_unknown_one(make, vendor, look):
    class Died(BaseException):
        pass

    def die():
        raise Died

    invitation = make(25)
    vendor.after("close", die)
    with pytest.raises(Died):
        look()
    assert Operation.objects.get(verb="expire").state == State.PENDING
    look()
    assert closes(vendor) == 1, "another watcher does not begin the same"
    Operation.objects.update(started_at=F("started_at") - timedelta(minutes=2))
    operations.abandon_interrupted()
    look()
    assert expired(invitation)
    assert closes(vendor) == 1


def test_whoever_closes_in_the_same_moment_is_the_one_who_has(make, agent, vendor, look):
    invitation = make(25)

    def close():
        actions.close(invitation=Invitation.objects.get(), by=agent)

    vendor.after("info", close)
    look()
    assert not expired(invitation)
    assert kinds(invitation)[-1] == Entry.Kind.CLOSED


def test_what_shows_up_again_has_not_expired(make, vendor, look):
    invitation = make(25)
    look()
    assert expired(invitation)
    vendor._rows[invitation.vendor_id].status = 0
    look()
    assert not expired(invitation)
    assert invitation.is_open


# Extending.


def test_extending_puts_its_end_off_and_tells_it(make, agent, vendor, look):
    invitation = make(23)
    before, revision = invitation.expires_at, Snapshot.load().revision
    expiry.extend(invitation=invitation, by=agent, hours=8)
    assert invitation.expires_at == before + 8 * HOUR
    assert Snapshot.load().revision > revision
    entry = invitation.entries.last()
    assert (entry.kind, entry.actor_name) == (Entry.Kind.EXTENDED, agent.display_name)
    event = Event.objects.get(kind="invitation.extended")
    assert event.facts["hours"] == 8
    age(vendor, invitation, 2, 2)
    look()
    assert not expired(invitation)


def test_what_is_overdue_is_extended_from_now(make, agent):
    invitation = make(100)
    expiry.extend(invitation=invitation, by=agent, hours=1)
    assert timedelta(minutes=59) < invitation.expires_at - timezone.now() <= HOUR


def test_nobody_extends_beyond_a_week(make, agent):
    invitation = make()
    for _ in range(6):
        expiry.extend(invitation=invitation, by=agent, hours=24)
    before = invitation.expires_at
    with pytest.raises(ExtendedEnough):
        expiry.extend(invitation=invitation, by=agent, hours=24)
    invitation.refresh_from_db()
    assert invitation.expires_at == before


def test_who_may_extend(make, agent, colleague, lead, auditor):
    invitation = make()
    for person in (agent, lead):
        expiry.extend(invitation=invitation, by=person, hours=1)
    for person in (colleague, auditor):
        with pytest.raises(PermissionDenied):
            expiry.extend(invitation=invitation, by=person, hours=1)
    actions.save(invitation, taken_by=colleague)
    expiry.extend(invitation=invitation, by=colleague, hours=1)
    with pytest.raises(PermissionDenied):
        expiry.extend(invitation=invitation, by=agent, hours=1000)


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"expires_at": None}, NeverExpires),
        ({"status": Status.CLOSED, "closed_at": timezone.now()}, AlreadyClosed),
        ({"account": "another"}, OtherAccount),
    ],
)
def test_what_cannot_be_extended(make, agent, fields, refusal):
    invitation = make(**fields)
    with pytest.raises(refusal):
        expiry.extend(invitation=invitation, by=agent, hours=1)


# Pages.


def url(invitation: Invitation, what: str = "") -> str:
    return f"/invitations/{invitation.public_id}/{what}"


def test_a_page_extends_and_says_until_when(make, agent, browser_of):
    invitation = make()
    browser = browser_of(agent)
    page = browser.get(url(invitation)).content.decode()
    assert 'name="hours" value="8"' in page
    assert "data-until=" in page
    assert "Valid until" in page
    answer = browser.post(url(invitation, "extend/"), {"hours": "8"}, follow=True)
    assert "The invitation is valid until" in answer.content.decode()
    assert "Extended by Mika Lind" in answer.content.decode()


@pytest.mark.parametrize("hours", ["", "0", "-1", "2", "8.0", "1e3", "٨", "\x00"])
def test_other_hours_are_refused(make, agent, browser_of, hours):
    invitation = make()
    assert browser_of(agent).post(url(invitation, "extend/"), {"hours": hours}).status_code == 400
    assert Invitation.objects.get().expires_at == invitation.expires_at


def test_refusals_say_what_to_do(make, agent, browser_of):
    invitation = make(expires_at=None)
    answer = browser_of(agent).post(url(invitation, "extend/"), {"hours": "1"})
    assert answer.status_code == 409
    assert "This invitation does not expire" in answer.content.decode()


def test_others_see_the_time_and_no_buttons(make, colleague, browser_of):
    page = browser_of(colleague).get(url(make())).content.decode()
    assert "Valid until" in page
    assert 'name="hours"' not in page


def test_the_board_counts_down_the_last_two_hours(make, agent, vendor, look, browser_of):
    early, late = make(21), make(22.5)
    page = browser_of(agent).get("/").content.decode()
    assert page.count("data-until") == 1
    assert f'data-until="{int(late.expires_at.timestamp())}"' in page
    before = Snapshot.load().revision
    age(vendor, early, 1.5, 1.5)
    Snapshot.objects.update(good_at=F("good_at") - 1.5 * HOUR)
    look()
    assert Snapshot.load().revision > before, "time alone moves it"


def test_a_claimed_one_says_that_it_does_not_expire(make, agent, browser_of):
    invitation = make(22.5, taken_by=agent, taken_by_name="Mika Lind")
    assert "data-until" not in browser_of(agent).get("/").content.decode()
    assert (
        "It does not expire while Mika Lind has claimed it." in browser_of(agent).get(url(invitation)).content.decode()
    )


def test_what_has_expired_says_so(make, agent, look, browser_of):
    invitation = make(25)
    look()
    page = browser_of(agent).get(url(invitation)).content.decode()
    assert "<dt>Expired</dt>" in page
    assert "<b>Expired</b>" in page


def test_an_unknown_one_is_told_on_its_page(make, agent, vendor, look, browser_of):
    invitation = make(25)
    vendor.fail("close", "hang")
    look()
    assert "which has expired" in browser_of(agent).get(url(invitation)).content.decode()


def test_nobody_loses_what_failed_for_the_vendor_s_fault_only(make, vendor, agent):
    """The same way of closing by hand works at any time."""
    invitation = make(25)
    vendor.fail("close", "status_503")
    with pytest.raises(GetscreenError):
        actions.close(invitation=invitation, by=agent)
    assert invitation.is_open


def test_a_page_that_is_open_over_midnight_says_no_longer_tomorrow(make, agent, browser_of, monkeypatch):
    invitation, browser = make(), browser_of(agent)
    live = f"/invitations/{invitation.public_id}/live/"
    first = browser.get(live)
    assert "tomorrow, " in first.text
    day = timezone.localdate() + timedelta(days=1)
    monkeypatch.setattr(timezone, "localdate", lambda: day)
    later = browser.get(live, headers={"HX-PTag": first.headers["HX-PTag"]})
    assert later.status_code == 200
    assert "tomorrow, " not in later.text
