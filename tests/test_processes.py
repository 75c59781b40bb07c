"""Real processes: many requests at once, two processes on one database, and kill -9 in the middle of a call.

The simulator's ledger says what happened at the vendor, the portal's database what it knows.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep, time

import pytest
import requests

from portal.getscreen.simulator import Simulator
from tests import chain
from tests.accounts import second_steps
from tests.installation import PASSWORD, Installation, vendor_on_a_port, wait_until
from tests.metrics.conftest import Scrape

AT_ONCE = 20


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Simulator, Installation]]:
    with (
        vendor_on_a_port(seed=3) as (simulator, server),
        Installation(tmp_path_factory.mktemp("processes"), server) as installation,
    ):
        simulator.remaining = 1000
        installation.prepare()
        installation.set_policy(creates_per_hour="0", connects_per_ten_minutes="0")
        installation.serving = installation.serve(workers=2)
        yield simulator, installation


class Person:
    """Somebody with a browser, as far as HTTP goes."""

    def __init__(self, portal: Installation, name: str) -> None:
        self.url = portal.url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.get(f"{self.url}/accounts/login/", timeout=20)
        answer = self.post("/accounts/login/", login=name, password=PASSWORD)
        assert answer.status_code == 302, answer.text

    def post(self, path: str, **fields: str) -> requests.Response:
        data = fields | {"csrfmiddlewaretoken": self.session.cookies["csrftoken"]}
        return self.session.post(f"{self.url}{path}", data=data, allow_redirects=False, timeout=60)


def at_once(call, times=AT_ONCE):
    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(lambda number: call(number), range(times)))


def test_twenty_identical_forms_make_one_invitation(running):
    vendor, portal = running
    agent = Person(portal, "agent")
    token = "7" * 32
    answers = at_once(lambda _: agent.post("/invitations/new/", client_name="Once only", token=token))
    assert Counter(answer.status_code for answer in answers) == {302: AT_ONCE}
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert [row.client_name for row in vendor.rows().values()].count("Once only") == 1


def test_different_forms_at_once_all_arrive(running):
    vendor, portal = running
    people = [Person(portal, "agent"), Person(portal, "lead")]
    answers = at_once(
        lambda number: people[number % 2].post(
            "/invitations/new/", client_name=f"Crowd {number}", token=f"{number:032x}"
        )
    )
    assert Counter(answer.status_code for answer in answers) == {302: AT_ONCE}
    names = [row.client_name for row in vendor.rows().values() if row.client_name.startswith("Crowd")]
    assert sorted(names) == sorted(f"Crowd {number}" for number in range(AT_ONCE))
    gapless(portal)


def test_one_connect_form_sent_many_times_mints_one_link(running):
    vendor, portal = running
    number = vendor.add("Tilda", status=1)
    path = f"/invitations/{portal.known(number, 1)}/connect/"
    agent = Person(portal, "agent")
    before = len(vendor.ledger.links)
    answers = at_once(lambda _: agent.post(path, token="6" * 32), times=8)
    assert Counter(answer.status_code for answer in answers) == {303: 1, 409: 7}
    assert len(vendor.ledger.links) == before + 1


def test_of_two_agents_one_gets_the_link_and_the_other_is_asked_before_taking_over(running):
    vendor, portal = running
    before = len(vendor.ledger.links)
    number = vendor.add("Tilda", status=1)
    path = f"/invitations/{portal.known(number, 1)}/connect/"
    people = [Person(portal, "agent"), Person(portal, "colleague")]
    answers = at_once(lambda n: people[n].post(path), times=2)
    assert sorted(answer.status_code for answer in answers) == [303, 409]
    assert len(vendor.ledger.links) == before + 1


def test_a_limit_holds_across_the_workers(running):
    vendor, portal = running
    numbers = [vendor.add("Tilda", status=1) for _ in range(12)]
    paths = [f"/invitations/{portal.known(number, 1)}/connect/" for number in numbers]
    lead = Person(portal, "lead")
    links = len(vendor.ledger.links)
    portal.set_policy(connects_per_ten_minutes="5")
    try:
        answers = at_once(lambda n: lead.post(paths[n]), times=12)
    finally:
        portal.set_policy(connects_per_ten_minutes="0")
    assert Counter(answer.status_code for answer in answers) == {303: 5, 429: 7}
    assert len(vendor.ledger.links) == links + 5
    assert portal.ask("SELECT COUNT(*) FROM audit_event WHERE kind = 'limit.reached'") == [(1,)]


def test_two_processes_ask_the_vendor_once_per_interval(running):
    vendor, _portal = running

    def asked() -> list[float]:
        return [request.at for request in vendor.ledger.requests if request.operation == "list"]

    start = wait_until(asked)[-1]
    later = wait_until(lambda: [at for at in asked() if at > start + 6])[0]
    during = [at for at in asked() if start < at <= later]
    assert len(during) <= (later - start) + 2, "one process too many is asking"


def gapless(portal: Installation) -> None:
    assert portal.ask("SELECT 1 FROM audit_event")
    assert chain.faults_in(portal.ask) == []


def family(pid: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return [pid, *map(int, children)]


@pytest.mark.parametrize("operation", ["create", "connect", "update", "close"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_kill_9_in_the_middle_loses_nothing(operation, moment, tmp_path):
    """The vendor kills the portal before or after acting; after the restart everything is settled or unknown."""
    with vendor_on_a_port(seed=5) as (vendor, server), Installation(tmp_path, server) as portal:
        portal.prepare((("lead", "Ada", "Ferreira", "Team lead"),))
        process = portal.serve()
        number = vendor.add("Tilda", status=1)
        path = f"/invitations/{portal.known(number, 1)}"
        lead = Person(portal, "lead")

        def kill() -> None:
            for pid in family(process.pid):
                os.kill(pid, signal.SIGKILL)

        getattr(vendor, moment)(operation, kill)
        calls = {
            "create": lambda: lead.post("/invitations/new/", client_name="Lena", token="5" * 32),
            "connect": lambda: lead.post(f"{path}/connect/"),
            "update": lambda: lead.post(f"{path}/rename/", client_name="New"),
            "close": lambda: lead.post(f"{path}/close/"),
        }
        with suppress(requests.RequestException):
            calls[operation]()
        process.wait(timeout=10)
        verb = {"update": "rename"}.get(operation, operation)
        intents = portal.ask(
            "SELECT reference FROM audit_event WHERE kind = ? AND phase = 'intent'", f"invitation.{verb}"
        )
        assert len(intents) == 1, "the intent was committed before the vendor heard of it"
        portal.ask("UPDATE invitations_operation SET started_at = datetime(started_at, '-61 seconds')")
        portal.serve()
        settled = (
            "SELECT result FROM audit_event WHERE reference = ? AND phase = 'reconciled' ORDER BY seq DESC LIMIT 1"
        )
        result = wait_until(lambda: portal.ask(settled, intents[0][0]), seconds=15)[0][0]
        assert result in ("ok", "unknown")
        if operation == "create":
            made = [row for row in vendor.rows().values() if row.client_name == "Lena"]
            wait_until(
                lambda: len(portal.ask("SELECT 1 FROM invitations_invitation WHERE client_name = 'Lena'")) == len(made)
            )
        assert portal.ask("PRAGMA integrity_check") == [("ok",)]
        gapless(portal)


class Watching:
    """Several `manage.py watch` on one database, without any web server."""

    def __init__(self, portal: Installation, count: int) -> None:
        self.portal = portal
        self.processes = [portal.watch() for _ in range(count)]

    def token(self) -> str:
        """Return who has the lease now, "" for nobody."""
        rows = self.portal.ask("SELECT lease_token FROM invitations_snapshot")
        return str(rows[0][0]) if rows else ""

    def find_holder(self) -> subprocess.Popen[str]:
        """Return the process that has the lease: the one that gives it away when it sleeps.

        One that falls asleep while it writes holds SQLite's lock, and nobody can take the lease: so each may be
        tried again.
        """
        for process in self.processes * 3:
            before = wait_until(self.token, seconds=20)
            process.send_signal(signal.SIGSTOP)
            try:
                wait_until(lambda: self.token() != before, seconds=4 * INTERVAL)  # noqa: B023  # used at once
            except TimeoutError:
                continue
            else:
                return process
            finally:
                process.send_signal(signal.SIGCONT)
        raise AssertionError("nobody gave the lease away")


INTERVAL = 1.0  # seconds, of installations in tests


def lists(vendor: Simulator) -> int:
    return len(vendor.ledger.find("support/list"))


def test_watchers_share_one_lease_whatever_happens_to_them(tmp_path):
    with vendor_on_a_port(seed=5) as (vendor, server), Installation(tmp_path, server) as portal:
        portal.prepare()
        watching = Watching(portal, 2)
        wait_until(lambda: lists(vendor) > 1, seconds=20)

        # One that slept and wakes with an expired lease leaves the other its turn.
        sleeper = watching.find_holder()
        token = watching.token()
        number = vendor.add("Payroll")
        portal.known(number)
        sleep(2 * INTERVAL)
        assert watching.token() == token
        assert len(portal.ask("SELECT 1 FROM invitations_entry")) == 1

        # Together they ask once per interval.
        before, began = lists(vendor), monotonic()
        sleep(6 * INTERVAL)
        assert lists(vendor) - before <= (monotonic() - began) / INTERVAL + 1

        # The one that has it now is killed; the one that slept takes over.
        (other,) = set(watching.processes) - {sleeper}
        other.kill()
        wait_until(lambda: watching.token() != token, seconds=10, says="nobody took over")
        before = lists(vendor)
        wait_until(lambda: lists(vendor) > before, seconds=10)

        # A clean stop gives it back at once.
        sleeper.terminate()
        sleeper.wait(timeout=20)
        assert watching.token() == ""


GIVE_APP = """
from allauth.mfa.totp.internal.auth import TOTP
from portal.accounts.models import User
TOTP.activate(User.objects.get(username="careful"), {seed!r})
"""


def test_a_watcher_has_backups_made_without_waiting_for_them(tmp_path):
    folder = tmp_path / "b"
    with vendor_on_a_port(seed=4) as (vendor, server), Installation(tmp_path, server, BACKUP_DIR=str(folder)) as portal:
        portal.prepare(())
        portal.watch()
        made = "SELECT COUNT(*) FROM audit_event WHERE kind = 'backup.made' AND result = 'ok'"
        wait_until(lambda: portal.ask(made) == [(1,)], says="no backup")
        before = lists(vendor)
        wait_until(lambda: lists(vendor) > before, says="the watcher has stopped")
        assert [file.suffixes for file in folder.iterdir()] == [[".backup", ".zip"]]


def test_a_code_lets_one_of_many_in_whichever_process_they_reach(running):
    _, portal = running
    portal.manage("shell", "-c", GIVE_APP.format(seed=second_steps.SEED))
    people = [Person(portal, "careful") for _ in range(4)]
    wait_until(lambda: time() % 30 < 20, says="a half minute that begins")  # none ends between the tries
    code = second_steps.code()
    answers = at_once(lambda number: people[number].post("/accounts/login/code/", code=code), 4)
    assert Counter(answer.status_code for answer in answers) == {302: 1, 422: 3}
    late = Person(portal, "careful").post("/accounts/login/code/", code=code)
    assert late.status_code == 422


AMBIGUOUS = {
    "two ways to say the length": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 4\r\nContent-Length: 40\r\n\r\nab=c",
    "a length with a sign": b"Content-Length: +4\r\n\r\nab=c",
    "an encoding nobody knows": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": b"Content-Length : 4\r\n\r\nab=c",
    "a folded header": b"X-Odd: a\r\n b\r\n\r\n",
}


@pytest.mark.parametrize("odd", AMBIGUOUS)
def test_a_request_whose_end_can_be_read_in_two_ways_is_refused_and_nothing_after_it_answered(running, odd):
    _, portal = running
    hidden = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with socket.create_connection(("127.0.0.1", portal.port), timeout=10) as connection:
        connection.sendall(b"POST /accounts/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\n" + AMBIGUOUS[odd] + hidden)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 501"))
    assert answer.count(b"HTTP/1.1 ") == 1


def scrape(portal) -> Scrape:
    """Ask on a connection of its own, so that either worker may answer."""
    answer = requests.get(f"{portal.url}/metrics", headers={"Connection": "close"}, timeout=20)
    assert answer.status_code == 200
    return Scrape(answer.text)


def test_all_workers_tell_the_same_numbers_and_a_killed_one_takes_none_away(running):
    _, portal = running
    health = {"view": "healthz", "method": "HEAD", "status": "2xx"}
    list_calls = {"method": "support/list", "outcome": "ok"}
    for _ in range(AT_ONCE):
        requests.head(f"{portal.url}/healthz", headers={"Connection": "close"}, timeout=20)
    found = [scrape(portal) for _ in range(6)]
    assert {each.get("portal_http_requests_total", **health) for each in found} == {AT_ONCE}
    calls = found[-1].get("portal_vendor_calls_total", **list_calls)
    assert calls >= 1

    main = portal.serving.pid
    workers = Path(f"/proc/{main}/task/{main}/children")
    before = set(workers.read_text().split())
    os.kill(int(min(before)), signal.SIGKILL)
    wait_until(lambda: len(now := set(workers.read_text().split())) == 2 and now != before)
    wait_until(lambda: len(scrape(portal).labels("process_open_fds")) == 2)
    for each in (scrape(portal) for _ in range(6)):
        assert each.get("portal_http_requests_total", **health) == AT_ONCE
        assert each.get("portal_vendor_calls_total", **list_calls) >= calls
