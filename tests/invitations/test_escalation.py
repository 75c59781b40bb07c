"""Clients whom nobody takes: louder pages, then webhooks, then mails to leads; each once, and never for nothing."""

from __future__ import annotations

import re
from datetime import time, timedelta

import pytest
from django.contrib.admin import site
from django.core import mail
from django.utils import timezone

from invitations import claims, escalation, outbox, sync, urgency
from invitations.models import Delivery, Entry, Escalation, Invitation, Policy, Snapshot, Webhook
from invitations.presentation import Row, timeline
from invitations.webhooks import Target, keep
from portal.accounts.access import Access
from portal.accounts.models import Membership, Team
from portal.audit.models import Event
from portal.getscreen import configured
from tests.conftest import POLICY_LIMITS
from tests.invitations.test_reading import poll

QUIET_NIGHT = {"quiet_from": time(22), "quiet_until": time(6)}


def decide(**changes):
    Policy.load()
    Policy.objects.update(**changes)


def let_wait(seconds, **which):
    """Have everybody who waits have waited for so long."""
    at = timezone.now() - timedelta(seconds=seconds)
    Invitation.objects.filter(status=1, **which).update(joined_at=at)
    return at


def hook(name="Chat", **fields):
    webhook = Webhook(name=name, **fields)
    keep(webhook, Target("https://hooks.example.org/x", "k"))
    webhook.save()
    return webhook


def run(now=None):
    return escalation.take_due(Snapshot.load(), now or timezone.now())


def ordered():
    return [(row.kind, row.to or row.webhook.name) for row in Delivery.objects.order_by("pk")]


def taken():
    return [(row.step, row.held_back) for row in Escalation.objects.order_by("pk")]


@pytest.fixture
def client(vendor, look):
    """A client who has joined."""
    vendor.add("Tilda", status=1)
    look()
    Snapshot.objects.update(good_at=timezone.now())
    return Invitation.objects.get()


# --- Louder pages -------------------------------------------------------------------------------------


def row_of(user, policy=None):
    return Row(Invitation.objects.get(), Access(user), policy or Policy.load(), "", "")


def test_a_row_is_urgent_once_the_policy_s_seconds_are_over(client, agent):
    decide(escalate_page_seconds=60)
    for seconds, is_urgent in ((59, False), (61, True)):
        let_wait(seconds)
        assert row_of(agent).is_urgent == is_urgent
        assert Invitation.objects.filter(urgency.urgent(Policy.load(), timezone.now())).exists() == is_urgent
    calm = row_of(agent).facts
    for change in ({"taken_by_name": "Joss"}, {"status": 0}, {"status": 2}):
        Invitation.objects.update(**change)
        assert not row_of(agent).is_urgent
        Invitation.objects.update(status=1, taken_by_name="")
    let_wait(10)
    assert row_of(agent).facts != calm
    decide(escalate_page_seconds=0)
    let_wait(6000)
    assert not row_of(agent).is_urgent
    assert not Invitation.objects.filter(urgency.urgent(Policy.load(), timezone.now())).exists()


def test_the_round_in_which_the_seconds_are_over_tells_every_board(client, agent, browser_of, look):
    decide(escalate_page_seconds=60)
    let_wait(30)
    look()
    calm = poll(browser_of(agent))
    assert "is-urgent" not in calm.content.decode()
    assert poll(browser_of(agent), path="/board/waiting/").json()["urgent"] == []
    before = Snapshot.load()
    Snapshot.objects.update(good_at=timezone.now() - timedelta(seconds=40))
    let_wait(61)  # it was 21 then
    look()
    assert Snapshot.load().revision == before.revision + 1
    page = poll(browser_of(agent)).content.decode()
    assert 'class="row is-urgent"' in page
    assert "1 client has been waiting too long." in page
    waiting = poll(browser_of(agent), path="/board/waiting/").json()
    assert [one["name"] for one in waiting["urgent"]] == ["Tilda"]
    assert waiting["urgent"] == waiting["joined"]
    look()
    assert Snapshot.load().revision == before.revision + 1, "once"


def test_with_0_seconds_no_page_gets_louder(client, agent, browser_of):
    decide(escalate_page_seconds=0)
    let_wait(6000)
    assert "is-urgent" not in poll(browser_of(agent)).content.decode()
    assert poll(browser_of(agent), path="/board/waiting/").json()["urgent"] == []


@pytest.mark.parametrize(
    ("waited", "ago", "moves"), [(61, 40, True), (59, 40, False), (200, 40, False), (61, -40, False)]
)
def test_time_moves_the_revision_only_when_a_wait_becomes_too_long(client, waited, ago, moves):
    decide(escalate_page_seconds=60)
    let_wait(waited)
    now = timezone.now()
    assert sync.time_has_passed(now - timedelta(seconds=ago), now) == moves


def test_without_anybody_who_waits_no_policy_is_read(vendor, look, django_assert_num_queries):
    vendor.add("Nobody yet")
    look()
    now = timezone.now()
    with django_assert_num_queries(1):
        assert not urgency.has_become_urgent(now - timedelta(seconds=3), now)


def test_what_is_too_old_to_rely_on_calls_nobody(client, agent, browser_of, settings):
    decide(escalate_page_seconds=60)
    let_wait(4000)
    Snapshot.objects.update(good_at=timezone.now() - timedelta(seconds=settings.STALE_SECONDS + 60))
    assert "waiting too long" not in poll(browser_of(agent)).content.decode()
    hook()
    assert run() == escalation.LOOK_AGAIN
    assert not Escalation.objects.exists()


# --- Steps --------------------------------------------------------------------------------------------


def test_each_step_is_taken_once_for_each_wait(client, lead):
    decide(escalate_webhook_seconds=120, escalate_mail_seconds=300)
    hook()
    hook("Off", is_active=False)
    let_wait(119)
    run()
    assert ordered() == []
    let_wait(121)
    run()
    assert ordered() == [("webhook", "Chat")]
    run()
    assert len(ordered()) == 1
    Escalation.objects.update(joined_at=let_wait(301))
    run(), run()
    assert ordered()[1:] == [("mail", lead.email)]
    assert [line.detail for line in timeline(client) if line.kind == "escalated"] == [
        "1 webhook is called",
        "1 lead gets a mail",
    ]
    events = Event.objects.filter(kind="invitation.escalated").order_by("seq")
    assert [(event.facts["step"], event.facts["count"]) for event in events] == [("webhook", 1), ("mail", 1)]
    assert events[1].facts["seconds"] == 301
    let_wait(150)  # came back: another wait
    run()
    assert ordered()[2:] == [("webhook", "Chat")]


def test_a_client_who_is_given_back_waits_anew(client, agent, colleague):
    decide(escalate_webhook_seconds=120, escalate_mail_seconds=0)
    hook()
    let_wait(600)
    run()
    assert len(ordered()) == 1
    claims.claim(invitation=client, by=agent)
    claims.hand_over(invitation=client, by=agent, to=colleague)
    run()
    claims.release(invitation=client, by=colleague)
    run()
    assert len(ordered()) == 1, "not at once"
    run(timezone.now() + timedelta(seconds=121))
    run(timezone.now() + timedelta(seconds=122))
    assert ordered() == [("webhook", "Chat")] * 2
    payload = Delivery.objects.order_by("pk").last().payload
    assert payload["waiting_since"] == client.joined_at.isoformat(), "of the client, not of the step"
    assert payload["waiting_seconds"] > 600


def test_a_webhook_is_told_where_to_look_and_nobody_s_name(client, agent):
    decide(escalate_webhook_seconds=60)
    team = Team.objects.create(name="Second line")
    Invitation.objects.update(team=team, client_name="Tilda", ticket="HD-1", note="private")
    hook()
    since = let_wait(90)
    run()
    client.refresh_from_db()
    payload = Delivery.objects.get().payload
    assert payload.pop("time")
    assert payload == {
        "event": "client.waiting",
        "invitation": client.public_id,
        "url": f"https://testserver/invitations/{client.public_id}/",
        "status": "joined",
        "team": "Second line",
        "waiting_since": since.isoformat(),
        "waiting_seconds": 90,
    }


def test_a_mail_to_a_lead_has_no_code_no_link_but_ours_and_no_name(client, lead):
    decide(escalate_mail_seconds=300, helpdesk_name="Quillmere\nBcc: x@example.org")
    let_wait(400)
    run()
    outbox.deliver_due()
    (sent,) = mail.outbox
    client.refresh_from_db()
    assert sent.to == [lead.email]
    assert "\n" not in sent.subject
    assert "for 6 minutes" in sent.body
    assert re.findall(r"https?://\S+", sent.body) == [f"https://testserver/invitations/{client.public_id}/"]
    for secret in (client.code, client.code_grouped, client.invite_url, "Tilda"):
        assert secret not in sent.body + sent.subject


@pytest.mark.parametrize(
    "change",
    [
        {"taken_by_name": "Joss"},
        {"status": 0, "joined_at": None},
        {"status": 2},
        {"status": 3, "closed_at": timezone.now()},
    ],
)
def test_nobody_is_called_for_a_client_who_waits_no_more(client, change, monkeypatch):
    decide(escalate_webhook_seconds=60)
    hook()
    since = let_wait(90)
    wait, policy = escalation.Wait(client.pk, since), Policy.load()
    Invitation.objects.update(**change)  # between the look and the step
    escalation.take(wait, Escalation.Step.WEBHOOK, policy, timezone.now())
    assert not Escalation.objects.exists()
    assert not Delivery.objects.exists()
    assert run() is None


def test_two_watchers_take_a_step_once(client):
    decide(escalate_webhook_seconds=60)
    hook()
    wait = escalation.Wait(client.pk, let_wait(90))
    for _ in range(2):
        escalation.take(wait, Escalation.Step.WEBHOOK, Policy.load(), timezone.now())
    assert len(ordered()) == 1


def test_0_switches_a_step_off(client, lead):
    decide(escalate_webhook_seconds=0, escalate_mail_seconds=0)
    hook()
    let_wait(90_000)
    run()
    assert not Escalation.objects.exists()


def test_an_invitation_of_another_key_is_nobody_s_to_take_care_of(client):
    decide(escalate_webhook_seconds=60)
    hook()
    let_wait(90)
    Invitation.objects.update(account="another")
    assert run() is None


# --- Whom ---------------------------------------------------------------------------------------------


def test_leads_of_the_team_are_told_and_else_whoever_may_manage_all(client, lead, agent, colleague, make_person):
    team = Team.objects.create(name="Second line")
    Invitation.objects.update(team=team)
    client.refresh_from_db()
    Membership.objects.create(user=agent, team=team)
    assert escalation.leads_for(client) == [lead], "the team has no lead"
    Membership.objects.create(user=colleague, team=team, is_lead=True)
    Membership.objects.create(user=agent, team=Team.objects.create(name="Other"), is_lead=True)
    assert escalation.leads_for(client) == [colleague]
    type(colleague).objects.filter(pk=colleague.pk).update(email="")
    assert escalation.leads_for(client) == [lead]
    root = make_person("rut", is_superuser=True)
    make_person("gone", "Team lead", is_active=False)
    make_person("new", "Team lead", awaits_approval=True)
    assert escalation.leads_for(client) == [lead, root]


def test_who_may_not_see_it_is_not_told(client, lead, monkeypatch):
    monkeypatch.setattr(type(Invitation.objects.all()), "visible_to", lambda rows, user: rows.none())
    monkeypatch.setattr(Invitation.objects, "visible_to", lambda user: Invitation.objects.none(), raising=False)
    assert escalation.leads_for(client) == []


@pytest.mark.parametrize("is_mailing", [True, False])
def test_with_nobody_to_tell_nothing_is_said(client, settings, is_mailing):
    decide(escalate_webhook_seconds=60, escalate_mail_seconds=60)
    if not is_mailing:
        settings.MAILERS = {}
    let_wait(90)
    run()
    assert taken() == [("webhook", "nobody"), ("mail", "nobody")]
    assert not Entry.objects.filter(kind="escalated").exists()
    assert not Event.objects.filter(kind="invitation.escalated").exists()


# --- Quiet hours and the flood limit -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begin", "end", "quiet", "loud"),
    [
        (time(22), time(6), [time(22), time(23, 59), time(0), time(5, 59)], [time(6), time(12), time(21, 59)]),
        (time(12), time(13), [time(12), time(12, 59)], [time(13), time(11, 59), time(0)]),
        (None, None, [], [time(0), time(12)]),
        (time(6), None, [], [time(0), time(12)]),
        (time(6), time(6), [], [time(6), time(12)]),
    ],
)
def test_quiet_hours_are_those_of_the_portal_s_time_zone(settings, begin, end, quiet, loud):
    settings.TIME_ZONE = "Europe/Berlin"
    policy = Policy(quiet_from=begin, quiet_until=end)
    zone = timezone.get_default_timezone()
    day = timezone.now().astimezone(zone).replace(month=7, day=1, second=0, microsecond=0)
    for hour, is_quiet in [(hour, True) for hour in quiet] + [(hour, False) for hour in loud]:
        at = day.replace(hour=hour.hour, minute=hour.minute)
        assert escalation.is_quiet(policy, at) == is_quiet, hour


def test_who_still_waits_when_the_quiet_hours_end_is_escalated_then(client, monkeypatch):
    decide(escalate_webhook_seconds=60, **QUIET_NIGHT)
    hook()
    let_wait(90)
    quiet = [True]
    monkeypatch.setattr(escalation, "is_quiet", lambda policy, now: quiet[0])
    run(), run()
    assert taken() == [("webhook", "quiet")]
    assert not Delivery.objects.exists()
    quiet[0] = False
    run(), run()
    assert taken() == [("webhook", "")]
    assert len(ordered()) == 1


def test_beyond_the_limit_steps_are_held_back_and_one_event_says_so(client, vendor, look):
    decide(escalate_webhook_seconds=60, escalations_per_hour=3)
    hook()
    for number in range(6):
        vendor.add(f"Client {number}", status=1)
    look()
    Snapshot.objects.update(good_at=timezone.now())
    let_wait(90)
    run()
    assert sorted(taken()) == [("webhook", "")] * 3 + [("webhook", "flood")] * 4
    assert len(ordered()) == 3
    event = Event.objects.get(kind="invitation.escalation_limited")
    assert event.facts == {"allowed": 3}
    run()
    assert len(ordered()) == 3
    Escalation.objects.update(at=timezone.now() - timedelta(minutes=61))
    let_wait(70)
    run()
    assert len(ordered()) == 6
    assert Event.objects.filter(kind="invitation.escalation_limited").count() == 2, "once for each flood"
    decide(escalations_per_hour=0)
    let_wait(80)
    run()
    assert len(ordered()) == 13


# --- The watcher ---------------------------------------------------------------------------------------


def test_the_watcher_asks_for_nothing_while_nobody_waits(vendor, look, django_assert_num_queries):
    vendor.add("Nobody yet")
    snapshot, escalator = look(), escalation.Escalator()
    with django_assert_num_queries(1):
        escalator.run(snapshot)
    with django_assert_num_queries(0):
        escalator.run(snapshot)
        escalator.run(snapshot)


def test_the_watcher_looks_again_when_a_step_can_be_due(client, monkeypatch):
    decide(escalate_webhook_seconds=60, escalate_mail_seconds=0)
    hook()
    let_wait(50)
    clock = [1000.0]
    monkeypatch.setattr(escalation.time, "monotonic", lambda: clock[0])
    escalator, snapshot = escalation.Escalator(), Snapshot.load()
    escalator.run(snapshot)
    assert 9 < escalator.due_at - 1000 < 10
    let_wait(61)
    escalator.run(snapshot)
    assert not ordered(), "not yet"
    clock[0] += 10
    escalator.run(snapshot)
    assert len(ordered()) == 1


def test_only_the_watcher_with_the_lease_escalates(client, watcher):
    decide(escalate_webhook_seconds=60)
    hook()
    let_wait(90)
    watcher.rest()
    watcher.escalate()
    assert not ordered(), "it has no lease"
    watcher.tick()
    let_wait(90)
    watcher.rest()
    watcher.tick()
    assert len(ordered()) == 1
    assert configured.client().fingerprint == Snapshot.load().account


# --- The policy's form ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begin", "end", "is_good"),
    [("", "", True), ("22:00", "06:00", True), ("22:00", "", False), ("", "06:00", False), ("25:00", "x", False)],
)
def test_quiet_hours_need_both_times(db, begin, end, is_good):
    values = POLICY_LIMITS | {
        "helpdesk_name": "Desk",
        "recording": "on",
        "previews": "off",
        "quiet_from": begin,
        "quiet_until": end,
    }
    form = site.get_model_admin(Policy).get_form(None)
    assert form(values, instance=Policy.load()).is_valid() == is_good
