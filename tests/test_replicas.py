"""Several replicas on one PostgreSQL behind a proxy: restarted in turn, killed, and cut off from their database.

The vendor's ledger says what happened there, the database what the portal knows, the proxy what people got.
"""

from __future__ import annotations

import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from statistics import median

import pytest
import requests

from portal.getscreen.simulator import Simulator
from tests import batteries, chain, postgres
from tests.accounts import second_steps
from tests.balancer import Balancer, balancer
from tests.benchmarks.portal import on_postgres
from tests.installation import vendor_on_a_port, wait_until
from tests.replicas import Person, Replica, Replicas, Work
from tests.test_processes import at_once
from tests.tools import postgres_bin

# On CI a missing server is an error of the run: `tests.tools`.
pytestmark = pytest.mark.skipif(postgres_bin() is None, reason="there is no PostgreSQL server")
NAMES = ("agent", "colleague", "lead")
ROUNDS = batteries.count(short=1, long=5)
KILLS = batteries.count(short=1, long=20)  # of two replicas each
CUTS = batteries.count(short=4, long=50)
CRASHES = batteries.count(short=1, long=10)


class Site:
    """All of it together."""

    def __init__(self, vendor: Simulator, portal: Replicas, proxy: Balancer) -> None:
        self.vendor, self.portal, self.proxy = vendor, portal, proxy

    def names_there(self) -> Counter[str]:
        return Counter(row.client_name for row in self.vendor.rows().values())

    def begin(self, *replicas: Replica) -> None:
        for replica in replicas:
            replica.start()
        for replica in replicas:
            if replica.port:
                self.portal.wait_for(replica, self.proxy)

    def restart(self, replica: Replica) -> None:
        replica.send(signal.SIGTERM)
        wait_until(replica.has_ended, seconds=60, says="it does not end")
        self.begin(replica)

    def settle(self) -> None:
        """Let a minute pass as far as operations know, so that interrupted ones count as such now."""
        self.portal.ask(
            "UPDATE invitations_operation SET started_at = started_at - interval '61 seconds' WHERE state = 'pending'"
        )

    def check(self, work: Work) -> None:
        """Nothing that was answered is missing or doubled, and the log is whole."""
        there = self.names_there()
        assert [name for name in work.made if there[name] != 1] == []
        assert all(there[name] <= 1 for name in work.tried)
        known = "SELECT client_name FROM invitations_invitation WHERE client_name LIKE 'Client %%'"
        wanted = {name for name in work.tried if there[name]}
        wait_until(lambda: wanted <= {name for (name,) in self.portal.ask(known)}, says="an invitation is lost")
        assert chain.faults_in(self.portal.ask) == []


@pytest.fixture
def site(running: Site) -> Site:
    """All of it, also after a test that has failed with a replica dead."""
    running.begin(*(each for each in (*running.portal.webs, *running.portal.watchers) if each.has_ended()))
    return running


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[Site]:
    with (
        on_postgres() as database,
        vendor_on_a_port(seed=3) as (vendor, server),
        Replicas(tmp_path_factory.mktemp("replicas"), server, DRAIN_SECONDS="1", **database) as portal,
        balancer(*(web.port for web in portal.webs)) as proxy,
    ):
        vendor.remaining = 1_000_000
        portal.prepare()
        portal.set_policy(creates_per_hour="0", connects_per_ten_minutes="0")
        portal.start(proxy)
        yield Site(vendor, portal, proxy)


def test_a_rolling_restart_fails_no_request(site):
    with Work(site.portal.url, NAMES) as work:
        for _ in range(ROUNDS):
            work.wait_for(10)
            for web in site.portal.webs:
                site.restart(web)
                work.wait_for(10)
            for watcher in site.portal.watchers:
                site.restart(watcher)
        work.wait_for(10)
    assert work.failures == [], work.summary()
    site.check(work)
    batteries.report(
        f"rolling restarts under load: {ROUNDS} rounds through 2 serve and 2 watch; {work.summary()} ({len(work.made)} "
        "creates among them, each there once)"
    )


def wait_for_watchers(site: Site) -> float:
    """Wait until somebody has looked at Getscreen since now; return after how many seconds."""
    before, began = site.portal.good_at(), time.monotonic()
    wait_until(lambda: site.portal.good_at() > before, seconds=60, says="nobody looks at Getscreen any more")
    return time.monotonic() - began


def test_a_killed_replica_costs_what_was_in_flight_on_it_and_nothing_else(site):
    pauses = []
    with Work(site.portal.url, NAMES) as work:
        for number in range(KILLS):
            work.wait_for(5)
            doomed = [replicas[number % 2] for replicas in (site.portal.webs, site.portal.watchers)]
            for replica in doomed:
                replica.kill()
            pauses.append(wait_for_watchers(site))
            work.wait_for(10)
            site.begin(*doomed)
        work.wait_for(10)
    assert len(work.failures) <= KILLS * len(NAMES), work.summary()
    assert {result.status for result in work.failures} <= {502}
    site.settle()
    site.check(work)
    batteries.report(
        f"kill -9 of replicas under load: {KILLS} times one serve (with its 2 workers) and one watch at once; "
        f"{work.summary()}; {len(work.made)} acknowledged creates, each there once; the list was looked at again after "
        f"{max(pauses):.1f} s at most (interval 1 s), median {median(pauses):.1f} s; chain intact"
    )


def test_connections_that_the_database_ends_are_opened_again(site):
    with Work(site.portal.url, NAMES) as work:
        for _ in range(CUTS):
            work.wait_for(3)
            site.portal.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        wait_for_watchers(site)
        work.wait_for(20)
    assert_said_in_words(work)
    assert len(work.failures) <= CUTS * len(NAMES), work.summary()
    site.settle()
    site.check(work)
    batteries.report(
        f"pg_terminate_backend of every connection under load: {CUTS} times; {work.summary()}, each of them with the "
        f"portal's own page; {len(work.made)} acknowledged creates, each there once; chain intact"
    )


def test_a_database_server_that_crashes_and_comes_back_finds_everybody_at_work(site):
    pauses = []
    with Work(site.portal.url, NAMES) as work:
        for _ in range(CRASHES):
            work.wait_for(6)
            postgres.crash()
            pauses.append(wait_for_watchers(site))
            for web in site.portal.webs:
                site.portal.wait_for(web, site.proxy)
        work.wait_for(20)
    assert_said_in_words(work)
    site.settle()
    site.check(work)
    assert not any(replica.has_ended() for replica in (*site.portal.webs, *site.portal.watchers))
    batteries.report(
        f"kill -9 and restart of PostgreSQL under load: {CRASHES} times; {work.summary()}, each of them with the "
        f"portal's own page; no process ended; the list was looked at again {max(pauses):.1f} s after the restart; "
        f"{len(work.made)} acknowledged creates, each there once; chain intact"
    )


def assert_said_in_words(work: Work) -> None:
    """What did not work says so on a page of the portal, or there was no replica to say it."""
    for result in work.failures:
        assert result.status == 503, result
        assert any(words in result.says for words in WORDS), result


WORDS = (
    "database does not answer",
    "audit log cannot be written",
    "We do not know whether it worked",
    "no replica is up",
)


# --- What replicas share ------------------------------------------------------------------------------


def test_what_lets_somebody_in_once_does_so_at_one_replica(site):
    portal = site.portal
    codes = portal.manage("shell", "-v", "0", "-c", GIVE_FACTORS.format(seed=second_steps.SEED)).split()
    addresses = [f"http://127.0.0.1:{web.port}" for web in portal.webs]
    for make in (second_steps.code, codes.pop):
        wait_until(lambda: time.time() % 30 < 15, says="a half minute that begins")  # none ends between the tries
        # After that: a connection that rests for five seconds is closed, perhaps as the next request leaves.
        people = [Person(addresses[number % 2], "careful") for number in range(4)]
        code = make()
        calls = [partial(person.post, "/accounts/login/code/", code=code) for person in people]
        answers = at_once(lambda number: calls[number](), 4)  # noqa: B023  # used at once
        assert Counter(answer.status_code for answer in answers) == {302: 1, 422: 3}
    link = portal.manage("sign_in_link", "forgetful").split()[-1].partition("/accounts/")[2]
    strangers = [requests.Session() for _ in range(4)]
    for number, stranger in enumerate(strangers):
        stranger.trust_env = False
        stranger.get(f"{addresses[number % 2]}/accounts/{link}", timeout=60)

    def open_link(number):
        stranger = strangers[number]
        form = {"csrfmiddlewaretoken": stranger.cookies["csrftoken"]}
        address = f"{addresses[number % 2]}/accounts/{link}"
        return stranger.post(address, data=form, allow_redirects=False, timeout=60).status_code

    assert Counter(at_once(open_link, 4)) == {302: 1, 410: 3}


GIVE_FACTORS = """
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from portal.accounts.models import User
user = User.objects.get(username="careful")
TOTP.activate(user, {seed!r})
print(*RecoveryCodes.activate(user).get_unused_codes())
"""


def test_limits_and_sessions_hold_wherever_somebody_turns(site):
    one, other = (f"http://127.0.0.1:{web.port}" for web in site.portal.webs)
    tries = [Person(address, "newcomer", "wrong").first.status_code for address in (one, other, one, other, one)]
    assert set(tries) == {200}
    assert [Person(address, "newcomer").first.status_code for address in (other, one)] == [200, 200], "not let in"
    person = Person(one, "auditor")
    person.url = other
    assert person.get("/").status_code == 200
    assert person.post("/accounts/logout/").status_code == 302
    person.url = one
    assert person.get("/").status_code == 302


def test_what_waits_is_sent_once_by_whoever_comes_first(site):
    site.portal.manage("shell", "-v", "0", "-c", ORDER)
    waiting = "SELECT COUNT(*) FROM invitations_delivery WHERE state = 'waiting'"
    wait_until(lambda: site.portal.ask(waiting) == [(0,)], seconds=60)
    sent = "".join(file.read_text() for file in site.portal.mails.iterdir())
    assert Counter(re.findall(r"^To: (to-\d+@example.org)$", sent, re.MULTILINE)) == {
        f"to-{number}@example.org": 1 for number in range(30)
    }


ORDER = """
from invitations import outbox
for number in range(30):
    outbox.order_mail(invitation=None, to=f"to-{number}@example.org", subject="Once", body="Once", by=None)
"""
