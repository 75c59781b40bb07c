"""What actions promise beyond their pages: rights, evidence, and two people at once."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied
from django.db import OperationalError

from invitations import actions, operations
from invitations.models import Invitation, Operation, Policy, Snapshot, Status
from invitations.refusals import (
    AlreadyClosed,
    NotCreated,
    OutcomeUnknown,
    RecordingNotChosen,
    SentTwice,
    UnderWay,
)
from portal.audit.models import Event
from portal.getscreen.errors import GetscreenError, QuotaExhausted
from tests.conftest import known


def events(kind):
    return [(event.phase, event.result) for event in Event.objects.filter(kind=kind).order_by("seq")]


def test_each_action_leaves_intent_and_outcome(lead, vendor, look):
    look()
    row = actions.create(by=lead, client_name="Lena")
    vendor.join(row.vendor_id)
    actions.rename(invitation=row, by=lead, client_name="Lena A.")
    actions.connect(invitation=row, by=lead)
    actions.close(invitation=row, by=lead)
    for verb in ("create", "rename", "connect", "close"):
        assert events(f"invitation.{verb}") == [("intent", ""), ("outcome", "ok")]
    kinds = [entry.kind for entry in row.entries.all()]
    assert kinds[0] == "created"
    assert kinds[-1] == "closed"
    assert {"joined", "renamed", "connected"} <= set(kinds)
    assert row.taken_by == lead


def test_an_intent_is_committed_before_the_vendor_hears_of_it(agent, vendor, look):
    look()
    seen = []
    vendor.before("create", lambda: seen.append(events("invitation.create")))
    actions.create(by=agent, client_name="Lena")
    assert seen == [[("intent", "")]]


def test_a_refused_connect_is_denied_in_the_log(agent, vendor, look):
    number = vendor.add("Tilda")
    look()
    with pytest.raises(Exception, match="not_ready"):
        actions.connect(invitation=known(number), by=agent)
    assert events("invitation.connect") == [("intent", ""), ("outcome", "denied")]
    assert known(number).taken_by is None


def test_a_closed_invitation_is_not_asked_for(agent, vendor, look):
    number = vendor.add("Tilda", status=1)
    look()
    vendor.close(number)
    look()
    before = len(vendor.ledger.requests)
    with pytest.raises(AlreadyClosed):
        actions.connect(invitation=known(number), by=agent)
    assert len(vendor.ledger.requests) == before


def test_a_bug_leaves_an_unknown_outcome(agent, vendor, look, monkeypatch):
    number = vendor.add("Tilda", status=1)
    look()

    def broken(*args, **kwargs):
        raise RuntimeError("a bug")

    monkeypatch.setattr(actions, "enter", broken)
    with pytest.raises(RuntimeError):
        actions.connect(invitation=known(number), by=agent)
    assert events("invitation.connect") == [("intent", ""), ("outcome", "unknown")]


@pytest.mark.parametrize("verb", ["create", "connect", "rename", "close", "look"])
def test_rights_are_checked_where_it_is_done(verb, auditor, agent, vendor, look):
    number = vendor.add("External", status=1)
    look()
    row = known(number)
    before = vendor.ledger.requests
    calls = {
        "create": lambda by: actions.create(by=by),
        "connect": lambda by: actions.connect(invitation=row, by=by),
        "rename": lambda by: actions.rename(invitation=row, by=by, client_name="x"),
        "close": lambda by: actions.close(invitation=row, by=by),
        "look": lambda by: actions.look(invitation=row, by=by),
    }
    with pytest.raises(PermissionDenied):
        calls[verb](auditor)
    if verb in ("rename", "close"):
        with pytest.raises(PermissionDenied):
            calls[verb](agent)
    assert vendor.ledger.requests == before
    assert not Operation.objects.exists()


@pytest.mark.parametrize("fault", ["status_402", "refused", "status_400"])
def test_a_failed_create_may_be_sent_again_with_the_same_form(agent, vendor, look, fault):
    look()
    vendor.fail("create", fault, times=None)
    with pytest.raises(GetscreenError):
        actions.create(by=agent, client_name="Lena", token="f" * 32)
    vendor.clear()
    look()
    assert actions.create(by=agent, client_name="Lena", token="f" * 32).client_name == "Lena"


def test_the_twin_of_a_failed_create_is_told_that_nothing_was_made(agent, vendor, look):
    look()
    twin = operations.begin("create", by=agent, account="x", invitation=None, token="f" * 32)
    twin.state = Operation.State.FAILED
    with pytest.raises(NotCreated):
        actions.result_of(twin)


def test_a_create_whose_outcome_cannot_be_stored_is_unknown_and_found(agent, vendor, look, monkeypatch):
    look()

    def broken(*args, **kwargs):
        raise OperationalError("database is locked")

    with monkeypatch.context() as broken_for_a_moment:
        broken_for_a_moment.setattr(actions, "succeed", broken)
        with pytest.raises(OperationalError):
            actions.create(by=agent, client_name="Lena")
    assert events("invitation.create") == [("intent", ""), ("outcome", "unknown")]
    look()
    assert Invitation.objects.get().created_by == agent


def test_what_happens_while_the_vendor_answers_is_not_undone(agent, lead, vendor, look):
    """A colleague closes the invitation while the look before connecting is under way."""
    number = vendor.add("Tilda", status=1)
    look()
    vendor.after("info", lambda: actions.close(invitation=known(number), by=lead))
    with pytest.raises(AlreadyClosed):
        actions.connect(invitation=known(number), by=agent)
    assert known(number).status == Status.CLOSED
    assert known(number).closed_at is not None


def test_a_look_that_finds_what_is_known_waits_for_no_turn_to_write(agent, vendor, look, monkeypatch):
    number = vendor.add("Somebody", status=1)
    look()
    monkeypatch.setattr(actions.observations, "apply", lambda *told, **more: pytest.fail("nothing differs"))
    assert actions.connect(invitation=known(number), by=agent).reveal()


def test_a_colleague_who_connects_meanwhile_stays_named(agent, lead, vendor, look):
    number = vendor.add("Tilda", status=1)
    look()

    def lead_is_quicker():
        actions.connect(invitation=known(number), by=lead, take_over=str(agent.pk))
        vendor.fail("connect", "status_400")

    vendor.after("info", lead_is_quicker)
    with pytest.raises(GetscreenError):
        actions.connect(invitation=known(number), by=agent)
    assert known(number).taken_by_name == lead.display_name


def test_the_policy_ask_wants_an_answer(agent, vendor, look):
    number = vendor.add("Tilda", status=1)
    look()
    Policy.objects.update_or_create(pk=1, defaults={"recording": "ask"})
    with pytest.raises(RecordingNotChosen):
        actions.connect(invitation=known(number), by=agent)
    assert not vendor.ledger.links


def test_one_form_serves_all_rows_of_the_board(agent, vendor, look):
    numbers = [vendor.add("Tilda", status=1), vendor.add("Bo", status=1)]
    look()
    for number in numbers:
        actions.connect(invitation=known(number), by=agent, token="7" * 32)
    with pytest.raises(SentTwice):
        actions.connect(invitation=known(numbers[0]), by=agent, token="7" * 32)


def test_an_unknown_create_is_not_sent_again_with_the_same_form(agent, vendor, look):
    look()
    vendor.fail("create", "hang")
    vendor.fail("list", "refused", times=None)
    with pytest.raises(GetscreenError):
        actions.create(by=agent, client_name="Lena", token="f" * 32)
    with pytest.raises(OutcomeUnknown):
        actions.create(by=agent, client_name="Lena", token="f" * 32)
    assert len(vendor.ledger.find("/v1/support/create")) == 1


def test_a_402_stops_creating_until_the_next_good_list(agent, vendor, look):
    look()
    vendor.fail("create", "status_402")
    with pytest.raises(QuotaExhausted):
        actions.create(by=agent)
    assert Snapshot.load().trouble == Snapshot.Trouble.QUOTA
    calls = len(vendor.ledger.find("/v1/support/create"))
    with pytest.raises(QuotaExhausted):
        actions.create(by=agent)
    assert len(vendor.ledger.find("/v1/support/create")) == calls
    look()
    assert actions.create(by=agent).status == Status.WAITING


def test_a_second_submit_while_the_first_is_running_is_told_so(agent, vendor, look, monkeypatch):
    number = vendor.add("Tilda", status=1)
    look()
    row = known(number)
    operations.begin("connect", by=agent, account=row.account, invitation=row, token="")
    with pytest.raises(UnderWay):
        actions.connect(invitation=row, by=agent)
    monkeypatch.setattr(actions, "TWIN_WAIT", 0)
    operations.begin("create", by=agent, account=row.account, invitation=None, token="9" * 32)
    with pytest.raises(UnderWay):
        actions.create(by=agent, token="9" * 32)


def test_a_used_token_is_refused_for_connect(agent, vendor, look):
    number = vendor.add("Tilda", status=1)
    look()
    actions.connect(invitation=known(number), by=agent, token="8" * 32)
    with pytest.raises(SentTwice):
        actions.connect(invitation=known(number), by=agent, token="8" * 32)


def test_previews_that_are_off_are_off_for_everybody(admin, vendor, look):
    number = vendor.add("Tilda", status=1)
    look()
    Policy.objects.update_or_create(pk=1, defaults={"previews": "off"})
    with pytest.raises(PermissionDenied):
        actions.look(invitation=known(number), by=admin)
