"""Whatever the syslog server does, every event arrives at least once and in order, and nobody waits for it."""

import json
import time

import pytest
from django.core.cache import cache
from django.db import OperationalError, connection

from portal import audit
from portal.audit import checkpoints, forwarding, syslog, triggers
from portal.audit.checkpoints import Statement
from portal.audit.forwarding import Forwarder, Lease, Sender, lag, send_test
from portal.audit.keys import PublicKey, signer_of
from portal.audit.models import Checkpoint, Event, Standing, Watermark
from tests.audit.receivers import Authority, Receiver, wait_for

BOUND = 10.0  # seconds, generously more than a call may take


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Breaks are tried again at once, and an event is settled soon."""
    monkeypatch.setattr(forwarding, "SETTLE", 0.05)
    monkeypatch.setattr(forwarding, "LONGEST_REST", 0.0)


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture(params=["tcp", "tls"])
def receiver(request, authority, settings):
    with Receiver(authority.server() if request.param == "tls" else None) as receiver:
        settings.SYSLOG_URL, settings.SYSLOG_CA_FILE = receiver.url, str(authority.file)
        yield receiver


@pytest.fixture
def plain(settings):
    with Receiver() as receiver:
        settings.SYSLOG_URL = receiver.url
        yield receiver


@pytest.fixture
def sender(db):
    sender = Sender()
    yield sender
    sender.drop()


def write(count, size=0):
    for _ in range(count):
        audit.record("signout", result="ok", facts={"x": "x" * size} if size else {})


def every():
    return list(Event.objects.order_by("seq").values_list("seq", flat=True))


def deliver(sender, receiver):
    """Drain until everything has arrived and is settled."""

    def is_done():
        sender.drain()
        return receiver.events() == every() and Standing.load().forwarded_seq == every()[-1]

    wait_for(is_done)


def drain_until(sender, what):
    def look():
        sender.drain()
        return what()

    return wait_for(look)


def told():
    events = Event.objects.filter(kind="audit.forward").order_by("seq")
    return list(events.values_list("result", flat=True))


def test_events_arrive_once_and_in_order(db, sender, receiver):
    write(450)
    deliver(sender, receiver)
    write(3)
    deliver(sender, receiver)
    assert receiver.numbers() == every()
    assert receiver.accepted == 1, "the connection stays open between calls"
    assert [each.body for each in receiver.read()] == list(
        Event.objects.order_by("seq").values_list("record", flat=True)
    )
    assert told() == []
    assert lag() == (0, 0)


def test_without_an_address_nothing_happens(db, sender, settings):
    write(1)
    settings.SYSLOG_URL = ""
    assert sender.drain() is False
    assert lag() is None
    forwarder = Forwarder()
    forwarder.start()
    forwarder.ask()
    forwarder.join(1)
    assert not forwarder.thread.is_alive()


def test_checkpoints_go_there_as_well_and_prove_themselves(db, sender, plain, settings, tmp_path):
    settings.AUDIT_KEY_FILE = tmp_path / "keys" / "audit.pem"
    write(5)
    checkpoints.make()
    deliver(sender, plain)
    write(2)
    checkpoints.make()
    drain_until(sender, lambda: len([each for each in plain.read() if each.kind == "checkpoint"]) == 2)
    first, second = (each for each in plain.read() if each.kind == "checkpoint")
    body, stored = json.loads(second.body), Checkpoint.objects.order_by("-size").first()
    assert body["note"] == stored.note
    assert second.data["audit@32473"] == {"seq": str(stored.size), "hash": stored.head}
    public = PublicKey.from_hex(Event.objects.get(kind="audit.key_created").facts["public"])
    text, key, signature = signer_of(body["note"])
    assert key == public.hash
    assert public.verifies(signature, text)
    assert Statement.read(text.decode()).size == body["size"] == stored.size
    assert json.loads(first.body)["size"] < stored.size
    # After a break the newest goes out once more: it covers those before it.
    plain.break_off()
    drain_until(sender, lambda: [each.kind for each in plain.read()].count("checkpoint") >= 3)


# --- faults


@pytest.mark.parametrize("after", [0, 1, 5_000, 20_000])
def test_a_server_that_dies_in_the_middle_misses_nothing(db, sender, receiver, after):
    receiver.dies_after = after
    write(60)
    deliver(sender, receiver)
    assert receiver.accepted > 1


def test_a_server_that_dies_and_returns_misses_nothing(db, sender, receiver):
    write(20)
    deliver(sender, receiver)
    receiver.die()
    drain_until(sender, lambda: Standing.load().forward_error)
    write(20)
    for _ in range(3):
        sender.drain()
    assert lag().events >= 20
    receiver.start()
    deliver(sender, receiver)
    wait_for(lambda: sender.drain() or told()[-1:] == ["ok"])
    assert told() == ["failed", "ok"], "once each, however often it was tried"
    deliver(sender, receiver)
    assert Standing.load().forward_error == ""


def test_a_server_that_ends_idle_connections_is_no_trouble(db, sender, receiver):
    write(3)
    deliver(sender, receiver)
    receiver.break_off(politely=True)
    write(3)
    deliver(sender, receiver)
    assert told() == []
    assert receiver.accepted == 2


def test_a_server_that_never_reads_holds_nobody_up_and_misses_nothing(db, sender, plain, monkeypatch):
    monkeypatch.setattr(forwarding, "STUCK", 0.2)
    monkeypatch.setattr(forwarding, "BUDGET", 0.3)
    plain.reads = False
    write(400, size=20_000)
    for _ in range(4):
        before = time.monotonic()
        sender.drain(within=0.3)
        assert time.monotonic() - before < BOUND
    drain_until(sender, lambda: "nothing any more" in Standing.load().forward_error)
    assert Standing.load().forwarded_seq < 400
    plain.die()
    plain.reads = True
    plain.start()
    deliver(sender, plain)


def test_what_a_server_has_acknowledged_and_not_read_is_sent_again_when_it_dies(db, sender, plain):
    """The gap of TCP: the host says that it has the bytes, and the program never sees them."""
    plain.reads = False
    write(10)
    drain_until(sender, lambda: Standing.load().forwarded_seq == 10)
    assert plain.events() == []
    plain.die()
    drain_until(sender, lambda: Standing.load().forwarded_seq == 0)
    plain.reads = True
    plain.start()
    deliver(sender, plain)


def test_a_server_that_says_nothing_in_tls_holds_nobody_up(db, sender, authority, settings):
    with Receiver(authority.server()) as receiver:
        receiver.reads = False
        settings.SYSLOG_URL, settings.SYSLOG_CA_FILE = receiver.url, str(authority.file)
        write(1)
        before = time.monotonic()
        assert sender.drain(within=0.3) is False
        assert time.monotonic() - before < BOUND
        assert Standing.load().forward_error == "The server does not answer."
        receiver.reads = True
        deliver(sender, receiver)


@pytest.mark.parametrize(
    ("name", "trusted", "reason"), [("elsewhere", True, "Hostname mismatch"), ("localhost", False, "unable to get")]
)
def test_a_certificate_that_is_not_the_server_s_is_refused(
    db, sender, authority, tmp_path, settings, name, trusted, reason
):
    other = Authority(tmp_path, "stranger")
    with Receiver(authority.server(name)) as receiver:
        settings.SYSLOG_URL = receiver.url
        settings.SYSLOG_CA_FILE = str((authority if trusted else other).file)
        write(1)
        sender.drain()
        standing = Standing.load()
        assert "certificate is not accepted" in standing.forward_error
        assert reason in standing.forward_error
        assert standing.forwarded_seq == 0
        assert receiver.messages == []
    with Receiver(authority.server()) as receiver:
        settings.SYSLOG_URL, settings.SYSLOG_CA_FILE = receiver.url, str(authority.file)
        deliver(sender, receiver)


def test_tls_older_than_1_2_is_refused(authority):
    assert syslog.context(str(authority.file)).minimum_version.name == "TLSv1_2"
    assert syslog.context("").check_hostname


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("syslog+tcp://nowhere.invalid", "The name of the server is not known."),
        ("syslog+tcp://127.0.0.1:1", "The server refuses the connection."),
        ("syslog+tls://127.0.0.1:1", "The server refuses the connection."),
    ],
)
def test_reasons_are_words(db, sender, settings, monkeypatch, url, reason):
    def unknown(*args, **kwargs):
        raise syslog.socket.gaierror(-2, "Name or service not known")

    if "invalid" in url:
        monkeypatch.setattr(syslog.socket, "getaddrinfo", unknown)
    settings.SYSLOG_URL = url
    write(1)
    sender.drain()
    assert Standing.load().forward_error == reason
    assert told() == ["failed"]
    assert Event.objects.get(kind="audit.forward").facts == {"reason": reason}


def test_a_name_that_nobody_resolves_holds_nobody_up(db, sender, settings, monkeypatch):
    never = syslog.threading.Event()
    monkeypatch.setattr(syslog.socket, "getaddrinfo", lambda *args, **kwargs: never.wait(30) and [])
    settings.SYSLOG_URL = "syslog+tcp://slow.invalid"
    before = time.monotonic()
    sender.drain(within=0.2)
    assert time.monotonic() - before < BOUND
    never.set()
    assert Standing.load().forward_error == "The server does not answer."


# --- several processes


def test_only_one_process_sends(db, plain):
    first, second = Sender(), Sender()
    write(5)
    deliver(first, plain)
    write(5)
    assert second.drain() is False
    assert second.link is None
    deliver(first, plain)
    assert plain.numbers() == every()
    first.close()
    write(5)
    deliver(second, plain)
    assert plain.numbers() == every(), "a clean end leaves nothing to send again"
    second.close()


def test_a_dead_process_is_replaced(db, plain):
    dead, second = Sender(), Sender()
    write(5)
    deliver(dead, plain)
    cache.delete(Lease.KEY)  # which it no longer renews
    write(5)
    deliver(second, plain)
    dead.lease.renew_at = 0.0
    assert dead.drain() is False
    assert dead.link is None
    second.close()


def test_two_processes_that_both_think_they_may_lose_nothing(db, plain, monkeypatch):
    monkeypatch.setattr(Lease, "take", lambda self: True)
    first, second = Sender(), Sender()

    def both():
        first.drain()
        second.drain()
        return plain.events() == every() and Standing.load().forwarded_seq == every()[-1]

    for count in range(5):
        write(20)
        wait_for(both)
        plain.break_off(politely=bool(count % 2))
    write(1)
    wait_for(both)
    first.close()
    second.close()


def test_what_one_process_has_in_doubt_is_sent_again_by_another(db, plain, monkeypatch):
    monkeypatch.setattr(Lease, "take", lambda self: True)
    first, second = Sender(), Sender()
    plain.reads = False
    write(10)
    drain_until(first, lambda: Standing.load().forwarded_seq == 10)
    plain.reads = True
    write(10)
    drain_until(second, lambda: Standing.load().forwarded_seq == 20)
    assert plain.events() == list(range(11, 21))
    plain.break_off()
    drain_until(first, lambda: Standing.load().forwarded_seq < 10)
    seen = set()

    def complete():
        second.drain()
        seen.update(plain.events())
        return seen >= set(range(1, 21))

    wait_for(complete)
    first.close()
    second.close()


def test_an_end_that_the_server_does_not_confirm_is_sent_again(db, sender, plain):
    plain.reads = False
    write(4)
    drain_until(sender, lambda: Standing.load().forwarded_seq == 4)
    sender.close()
    assert Standing.load().forwarded_seq == 0


# --- the log's own life


def test_the_very_last_events_are_sent_before_the_program_is_gone(db, plain, settings, monkeypatch, caplog):
    write(3)
    forwarding.flush()
    assert plain.events() == every()
    assert Standing.load().forwarded_seq == every()[-1]
    assert Lease().take(), "given back"
    monkeypatch.setattr(Sender, "drain", lambda self: 1 / 0)
    forwarding.flush()
    assert "could not be sent" in caplog.text
    settings.SYSLOG_URL = ""
    forwarding.flush()


def test_purged_events_are_left_out_and_it_is_said(db, sender, plain):
    write(6)
    head = Event.objects.get(seq=4)
    Watermark(upto=4, head=head.hash, root="0" * 64, ts=0, note="").save()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM audit_event WHERE seq <= 4")
    assert lag().events == 2
    deliver(sender, plain)
    event = Event.objects.get(kind="audit.forward_skipped")
    assert (event.result, event.facts) == ("failed", {"count": 4, "upto": 4})
    assert plain.events() == every()
    assert triggers.are_installed(connection)


def test_a_cursor_beyond_the_log_comes_back(db, sender, plain):
    write(2)
    Standing.load()
    Standing.note(forwarded_seq=900)
    assert lag().events == 0
    sender.drain()
    assert Standing.load().forwarded_seq == 2
    write(1)
    drain_until(sender, lambda: plain.events() == [3])


def test_the_lag_is_in_events_and_seconds(db, settings, monkeypatch):
    settings.SYSLOG_URL = "syslog+tcp://127.0.0.1:1"
    assert lag() == (0, 0)
    write(3)
    now = time.time_ns()
    monkeypatch.setattr(forwarding.time, "time_ns", lambda: now + 75 * 10**9)
    found = lag()
    assert found.events == 3
    assert 75 <= found.seconds < 90


def test_a_round_without_a_database_is_survived(db, monkeypatch, caplog, plain):
    forwarder = Forwarder()

    def fail(*args):
        raise OperationalError("gone")

    monkeypatch.setattr(forwarder.sender, "drain", fail)
    assert forwarder.tick() is False
    assert "could not use the database" in caplog.text
    monkeypatch.setattr(forwarder.sender, "drain", lambda: 1 / 0)
    assert forwarder.tick() is False
    assert "A round of the forwarder failed" in caplog.text


# --- the test message


def test_a_test_message_arrives_and_is_an_event(db, receiver, admin):
    assert send_test(admin) == ""
    (message,) = wait_for(receiver.read)
    assert (message.kind, message.severity) == ("test", 6)
    assert json.loads(message.body)["test"] is True
    event = Event.objects.get()
    assert (event.kind, event.result, event.actor_id) == ("audit.forward_tested", "ok", admin.pk)


def test_a_test_message_that_cannot_be_sent_says_why(db, settings, admin):
    settings.SYSLOG_URL = "syslog+tcp://127.0.0.1:1"
    assert send_test(admin) == "The server refuses the connection."
    event = Event.objects.get()
    assert (event.result, event.facts) == ("failed", {"reason": "The server refuses the connection."})
