"""The outbox: what is ordered is sent at least once, in order, by one process at a time, or given up in plain sight."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.core import mail
from django.core.exceptions import ValidationError
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from invitations import courier, outbox, sending
from invitations.models import Delivery, Entry, Invitation, Snapshot, Status, Webhook
from invitations.presentation import timeline
from invitations.sending import Outcome
from invitations.webhooks import Target, keep
from portal import audit, self_check
from portal.audit.models import Event
from tests.audit.test_unwritable import BREAK
from tests.conftest import whole_log
from tests.invitations.servers import MailServer, wait_for

ADDRESS, BODY = "tilda@example.org", "Your code is 123 456 789."


@pytest.fixture
def invitation(vendor, look):
    vendor.add("Tilda")
    look()
    return Invitation.objects.get()


@pytest.fixture
def order(invitation, agent):
    def make(**changes):
        usual = {"invitation": invitation, "to": ADDRESS, "subject": "Help", "body": BODY, "by": agent}
        return outbox.order_mail(**usual | changes)

    return make


def hook(name="Chat", **fields):
    webhook = Webhook(name=name, **fields)
    keep(webhook, Target("https://hooks.example.org/x", "k"))
    webhook.save()
    return webhook


def later(**delta):
    """Let time pass for everything that waits."""
    for row in Delivery.objects.filter(state="waiting"):
        back = {name: getattr(row, name) - timedelta(**delta) for name in ("next_at", "ordered_at")}
        Delivery.objects.filter(pk=row.pk).update(**back)


def kinds():
    return list(Event.objects.filter(kind__startswith="delivery.").order_by("seq").values_list("kind", flat=True))


@pytest.fixture
def outcomes(monkeypatch):
    """What each try comes to, and which deliveries were tried."""

    class Tries(list):
        tried: list

    told = Tries()
    told.tried = []

    def attempt(delivery):
        told.tried.append(delivery.pk)
        return told.pop(0) if told else Outcome()

    monkeypatch.setattr(outbox, "attempt", attempt)
    return told


# --- Mails that arrive ------------------------------------------------------------------------------


def test_a_mail_is_sent_once_and_then_forgotten(order, invitation):
    delivery = order()
    before = Snapshot.load().revision
    assert outbox.deliver_due() == 1
    assert outbox.deliver_due() == 0
    (sent,) = mail.outbox
    assert (sent.to, sent.subject, sent.body) == ([ADDRESS], "Help", BODY)
    assert sent.extra_headers["Message-ID"] == f"<{delivery.public_id}@testserver>"
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, delivery.trouble) == ("sent", 1, "")
    assert (delivery.to, delivery.subject, delivery.body, delivery.payload) == ("", "", "", {})
    assert Snapshot.load().revision > before, "open pages learn of it"
    assert kinds() == ["delivery.sent"]
    assert ADDRESS not in whole_log()
    assert BODY not in whole_log()


def test_an_order_that_is_rolled_back_is_none(order):
    with transaction.atomic():
        order()
        transaction.set_rollback(True)
    assert outbox.deliver_due() == 0


@pytest.mark.parametrize(
    "to", ["", "tilda", "a@example.org\nBcc: b@example.org", "a@example.org, b@example.org", "a@b\0.org"]
)
def test_what_is_no_address_is_refused(order, to):
    with pytest.raises(ValidationError):
        order(to=to)


@pytest.mark.parametrize(
    "subject", ["Hi\nBcc: all@example.org", "Hi\r\n\r\nbody", "Hi\x0b\x0c\x85\u2028there", "x" * 900]
)
def test_a_subject_stays_one_header(order, settings, subject):
    with MailServer() as server:
        settings.MAILERS = mailers(server)
        order(subject=subject)
        outbox.deliver_due()
        head = server.mails[0].partition("\r\n\r\n")[0]
    assert "\nBcc:" not in head
    assert server.commands.count(f"rcpt TO:<{ADDRESS}>") == 1
    assert [line for line in server.commands if line.lower().startswith("rcpt")] == [f"rcpt TO:<{ADDRESS}>"]
    assert Delivery.objects.get().state == "sent"


# --- Mail servers that do not ------------------------------------------------------------------------


def mailers(server, **options):
    usual = {"host": "127.0.0.1", "port": server.port, "timeout": 0.2}
    return {"default": {"BACKEND": "portal.mail.smtp.Backend", "OPTIONS": usual | options}}


SECRET = "hunter2-of-the-mail-server"
FINAL = [
    ({"RCPT": f"550 no such user, {SECRET}"}, "The mail server refuses this address (550)."),
    ({"MAIL": "553 not from you"}, "The mail server refuses this mail (553)."),
    ({"END": "554 spam"}, "The mail server refuses this mail (554)."),
]
FOR_NOW = [
    ({"RCPT": "450 greylisted"}, "The mail server refuses this address (450)."),
    ({"END": "451 later"}, "The mail server refuses this mail (451)."),
    ({"AUTH": f"535 wrong {SECRET}"}, "The mail server does not take the portal’s user name and password."),
    ({"EHLO": "250 mail"}, "The mail server does not offer what EMAIL_URL asks for."),
    ({"_": "554 no service"}, "The mail server takes nothing now (554)."),
    ({"_": "silence"}, "The mail server did not answer in time."),
    ({"_": "drip"}, "The mail server did not answer in time."),
    ({"DATA": "drip"}, "The mail server did not answer in time."),
    ({"END": "silence"}, "The mail server did not answer in time."),
    ({"_": "gone"}, "The mail server broke the connection off."),
]


@pytest.mark.parametrize(
    ("says", "trouble", "is_final"), [(*case, True) for case in FINAL] + [(*case, False) for case in FOR_NOW]
)
def test_each_way_a_mail_server_fails_has_its_words(order, settings, says, trouble, is_final):
    with MailServer(**says) as server:
        settings.MAILERS = mailers(server, username="portal", password=SECRET)
        order()
        outbox.deliver_due()
    delivery = Delivery.objects.get()
    assert delivery.trouble == trouble
    assert delivery.state == ("failed" if is_final else "waiting")
    assert SECRET not in whole_log() + str(Delivery.objects.values()) + str(Entry.objects.values())


def test_a_mail_server_that_is_down_is_tried_again(order, settings):
    with MailServer() as server:
        pass
    settings.MAILERS = mailers(server)
    order()
    outbox.deliver_due()
    assert Delivery.objects.get().trouble == "The mail server cannot be reached."
    with MailServer() as server:
        settings.MAILERS = mailers(server)
        later(seconds=31)
        outbox.deliver_due()
        assert len(server.mails) == 1
    sent = Delivery.objects.get()
    assert (sent.state, sent.attempts) == ("sent", 2)


def test_without_a_mail_server_mails_wait(order, settings):
    settings.MAILERS = {}
    order()
    outbox.deliver_due()
    assert Delivery.objects.get().trouble == "The portal has no mail server (EMAIL_URL)."


def test_the_self_check_s_question_to_a_mail_server_ends_as_well(settings, db):
    with MailServer(_="drip") as server:
        settings.MAILERS = mailers(server)
        (found,) = self_check.look_at_mail(self_check.Circumstances(None, calls=True))
    assert "TimeoutError" in found[1]


def test_what_nobody_foresaw_is_tried_again_and_says_nothing_of_the_mail(order, monkeypatch, caplog):
    def fail(self):
        raise RuntimeError(ADDRESS)

    monkeypatch.setattr(sending.EmailMessage, "send", fail)
    order()
    outbox.deliver_due()
    assert Delivery.objects.get().trouble == "The mail could not be sent."
    assert ADDRESS not in caplog.text


# --- Tries -------------------------------------------------------------------------------------------


def test_tries_lie_further_and_further_apart_and_end(order, outcomes, invitation, caplog):
    order()
    outcomes += [Outcome("No.")] * 9
    waits = []
    for _ in range(9):
        if outbox.deliver_due():
            row = Delivery.objects.get()
            waits.append(round((row.next_at - timezone.now()).total_seconds()) if row.state == "waiting" else "end")
        later(hours=2)
    assert waits == [30, 120, 600, 3600, 3600, "end"]
    row = Delivery.objects.get()
    assert (row.state, row.to, row.body, row.trouble) == ("failed", "", "", "No.")
    assert not [line for line in timeline(invitation) if line.kind == "not_sent"], "its own line says so"
    assert kinds() == ["delivery.failed"]
    lines = [record.message for record in caplog.records if record.name == "invitations.outbox"]
    assert lines[0] == f"Delivery {row.public_id} (mail), try 1: No. It is tried again later."
    assert lines[-1] == f"Delivery {row.public_id} (mail), try 6: No. It is given up."
    told = {one.says for one in self_check.run() if one.topic == "Outbox"}
    assert any("given up" in says and "No." in says for says in told)


def test_after_a_day_the_next_failure_is_the_last(order, outcomes):
    order()
    later(hours=25)
    outcomes += [Outcome("No.")]
    outbox.deliver_due()
    assert Delivery.objects.get().state == "failed"


def test_a_process_that_dies_loses_nothing(order, outcomes):
    order()
    assert outbox.claim(("mail",)) is not None  # and then nothing more is heard of it
    assert outbox.deliver_due() == 0, "it may still be at it"
    later(minutes=5)
    assert outbox.deliver_due() == 1
    assert (Delivery.objects.get().state, Delivery.objects.get().attempts) == ("sent", 2)


@pytest.mark.parametrize("way", BREAK)
def test_nothing_is_sent_while_its_end_could_not_be_recorded(order, outcomes, way):
    @transaction.atomic
    def deliver_without_a_log():
        with connection.cursor() as cursor:
            for statement in BREAK[way]:
                cursor.execute(statement)
        outbox.deliver_due()

    order()
    with pytest.raises(audit.Unavailable):
        deliver_without_a_log()
    assert not outcomes.tried, "or the client would get the same mail at each further try"
    assert Delivery.objects.get().attempts == 0
    assert outbox.deliver_due() == 1
    assert Delivery.objects.get().state == "sent"


def test_what_kills_whoever_tries_it_is_given_up(order, outcomes):
    order()
    for _ in range(outbox.MOST_TRIES):
        assert outbox.claim(("mail",)) is not None
        later(minutes=5)
    outbox.deliver_due()
    assert not outcomes.tried
    assert Delivery.objects.get().trouble == "The portal was interrupted at each try."


def test_a_late_outcome_of_a_lost_claim_changes_nothing(order, outcomes):
    order()
    slow = outbox.claim(("mail",))
    later(minutes=5)
    assert outbox.deliver_due() == 1
    outbox.settle(slow, Outcome("Too late."))
    assert Delivery.objects.get().state == "sent"
    assert kinds() == ["delivery.sent"]


def test_a_clock_that_goes_back_holds_nothing_up(order, outcomes):
    order()
    Delivery.objects.update(next_at=timezone.now() + timedelta(days=2), ordered_at=timezone.now() + timedelta(days=2))
    assert outbox.deliver_due() == 1


def test_two_replicas_never_send_one_at_the_same_time(order, outcomes, monkeypatch):
    order()
    seen = list(outbox.due(("mail",), timezone.now()))

    class AsSeen:
        def select_related(self, *names):
            return seen

    assert outbox.claim(("mail",)) is not None
    monkeypatch.setattr(outbox, "due", lambda kinds, now: AsSeen())  # looked at before the other one's claim
    assert outbox.claim(("mail",)) is None
    later(minutes=5)
    assert outbox.claim(("mail",)) is None, "nor is a claim that has run out what was seen"


# --- Order and end of webhooks ------------------------------------------------------------------------


def test_a_webhook_gets_nothing_before_what_was_earlier(db, outcomes):
    first, other = hook(), hook("Other")
    ordered = [
        outbox.order_webhook(webhook=one, invitation=None, payload={"n": n}).pk
        for n, one in enumerate([first, first, other])
    ]
    outcomes += [Outcome("No."), Outcome()]
    outbox.deliver_due()
    assert outcomes.tried == [ordered[0], ordered[2]], "another one is not held up"
    later(seconds=31)
    outbox.deliver_due()
    assert outcomes.tried[2:] == ordered[:2]


def test_what_is_later_goes_on_when_the_earlier_is_given_up(db, outcomes):
    webhook = hook()
    ordered = [outbox.order_webhook(webhook=webhook, invitation=None, payload={}).pk for _ in range(2)]
    outcomes += [Outcome("No.", is_final=True)]
    outbox.deliver_due()
    assert outcomes.tried == ordered
    assert [row.state for row in Delivery.objects.order_by("pk")] == ["failed", "sent"]


def test_a_wait_that_is_over_holds_nothing_up(invitation, outcomes):
    """The first client was helped while the receiver was away; it is back long before that call's next try."""
    webhook, since = hook(), timezone.now()
    Invitation.objects.update(status=1, joined_at=since, taken_by_name="")
    payload = {"waiting_since": since.isoformat()}
    first = outbox.order_webhook(webhook=webhook, invitation=invitation, payload=payload).pk
    outcomes.append(Outcome("No."))
    outbox.deliver_due()
    second = outbox.order_webhook(webhook=webhook, invitation=None, payload={}).pk
    outbox.deliver_due()
    assert outcomes.tried == [first], "as long as that client waits, it comes first"
    Invitation.objects.update(taken_by_name="Joss")
    outbox.deliver_due()
    assert outcomes.tried == [first, second]
    assert Delivery.objects.get(pk=first).state == "cancelled"


def test_a_webhook_that_is_switched_off_or_deleted_gets_nothing_more(db, outcomes):
    webhook = hook()
    outbox.order_webhook(webhook=webhook, invitation=None, payload={"url": "x"})
    Webhook.objects.update(is_active=False)
    outbox.deliver_due()
    row = Delivery.objects.get()
    assert (row.state, row.trouble, row.payload) == ("cancelled", "The webhook is switched off.", {})
    Webhook.objects.update(is_active=True)
    outbox.order_webhook(webhook=webhook, invitation=None, payload={})
    claimed = outbox.claim(("webhook",))
    webhook.delete()
    outbox.settle(claimed, Outcome("No."))
    assert not Delivery.objects.exists()
    assert not outcomes.tried


def test_an_order_about_a_wait_ends_with_that_wait(order, invitation, outcomes, colleague):
    since = timezone.now()
    for change in ({"taken_by_name": "Joss"}, {"status": 2}, {"joined_at": since + timedelta(minutes=1)}):
        Invitation.objects.update(status=1, joined_at=since, taken_by_name="")
        order(by=None, while_waiting_since=since)
        Invitation.objects.update(**change)
        outbox.deliver_due()
        assert Delivery.objects.first().trouble == "The client does not wait any more.", change
    Invitation.objects.update(status=1, joined_at=since, taken_by_name="")
    order(by=None, while_waiting_since=since)
    assert not outcomes.tried
    outbox.deliver_due()
    assert Delivery.objects.first().state == "sent"
    assert not Entry.objects.filter(kind="sent").exists(), "what leads get is no news of the client's"


# --- By hand ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["closed_at", "expires_at"])
def test_no_client_is_sent_a_code_that_opens_nothing_any_more(order, invitation, outcomes, end):
    """The mail server was away, and meanwhile the helpdesk has closed it: perhaps because the address was wrong."""
    outcomes.append(Outcome("Server down."))
    order()
    assert outbox.deliver_due() == 1
    later(minutes=1)
    changes = {"closed_at": {"status": Status.CLOSED}}.get(end, {})
    Invitation.objects.filter(pk=invitation.pk).update(**changes, **{end: timezone.now()})
    assert outbox.deliver_due() == 1
    assert len(outcomes.tried) == 1
    row = Delivery.objects.get()
    assert (row.state, row.trouble, row.to) == ("cancelled", "The invitation is closed or has expired.", "")
    assert kinds() == ["delivery.cancelled"]


def test_what_waits_can_be_tried_at_once(order, outcomes, admin):
    delivery = order()
    outcomes += [Outcome("No.")]
    outbox.deliver_due()
    assert outbox.hasten(delivery, by=admin)
    assert outbox.deliver_due() == 1
    assert not outbox.hasten(delivery, by=admin), "it has ended"
    assert kinds() == ["delivery.hastened", "delivery.sent"]


def test_what_is_under_way_cannot_be_hastened_and_its_cancelling_does_not_deny_that_it_was_sent(order, admin):
    delivery = order()
    claimed = outbox.claim(("mail",))
    assert not outbox.hasten(delivery, by=admin)
    assert outbox.drop(delivery, "Cancelled", by=admin)
    assert not outbox.drop(delivery, "Cancelled", by=admin)
    outbox.settle(claimed, Outcome("No."))
    assert Delivery.objects.get().state == "cancelled"
    outbox.settle(claimed, Outcome())
    assert Delivery.objects.get().state == "sent"


def test_what_ended_a_month_ago_is_removed(order, watcher):
    order()
    outbox.deliver_due()
    order()
    Delivery.objects.filter(state="sent").update(ended_at=timezone.now() - timedelta(days=31))
    watcher.tidy()
    assert [row.state for row in Delivery.objects.all()] == ["waiting"]


# --- Threads ------------------------------------------------------------------------------------------


def test_the_courier_looks_at_once_when_its_process_orders(order, monkeypatch, django_capture_on_commit_callbacks):
    looks = []
    monkeypatch.setattr(courier, "TICK", 60)
    monkeypatch.setattr(courier, "close_old_connections", lambda: None)
    monkeypatch.setattr(outbox, "deliver_due", lambda kind: looks.append(kind) or 0)
    one = courier.Courier()
    one.start()
    wait_for(lambda: sorted(looks) == ["mail", "webhook"])
    with django_capture_on_commit_callbacks(execute=True):
        order()
        assert len(looks) == 2, "not before the order is certain"
    wait_for(lambda: sorted(looks) == ["mail", "mail", "webhook", "webhook"])
    one.ask()
    one.join(10)
    assert not outbox._wakers


def test_a_lane_outlives_whatever_happens_in_it(db, monkeypatch, caplog):
    monkeypatch.setattr(courier, "close_old_connections", lambda: None)
    lane = courier.Lane("mail", threading.Event())
    for error in (OperationalError("locked"), RuntimeError("bug")):

        def fail(*kinds, error=error):
            raise error

        monkeypatch.setattr(outbox, "deliver_due", fail)
        assert lane.tick() == 0
    assert "could not use the database" in caplog.text
    assert "A round of the outbox failed" in caplog.text


def test_mails_that_nobody_sends_are_wrong_in_the_self_check(order):
    order()
    later(minutes=10)
    (found,) = [one for one in self_check.run() if one.topic == "Outbox"]
    assert (found.state, found.says) == ("wrong", "1 delivery waits.")
