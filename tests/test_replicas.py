"""Several replicas on one PostgreSQL behind a proxy: restarted in turn, killed, and cut off from their database.

The vendor's ledger says what happened there, the database what the portal knows, the proxy what people got.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator

import pytest

from portal.getscreen.simulator import Simulator
from tests import chain, postgres
from tests.balancer import Balancer, balancer
from tests.benchmarks.portal import on_postgres
from tests.installation import vendor_on_a_port, wait_until
from tests.replicas import Replicas, Work

NAMES = ("agent", "colleague", "lead")


class Site:
    """All of it together."""

    def __init__(self, vendor: Simulator, portal: Replicas, proxy: Balancer) -> None:
        self.vendor, self.portal, self.proxy = vendor, portal, proxy

    def names_there(self) -> Counter[str]:
        return Counter(row.client_name for row in self.vendor.rows().values())

    def check(self, work: Work) -> None:
        """Nothing that was answered is missing or doubled, and the log is whole."""
        there = self.names_there()
        assert [name for name in work.made if there[name] != 1] == []
        assert all(there[name] <= 1 for name in work.tried)
        known = "SELECT client_name FROM invitations_invitation WHERE client_name LIKE 'Client %%'"
        wanted = {name for name in work.tried if there[name]}
        wait_until(lambda: wanted <= {name for (name,) in self.portal.ask(known)}, says="an invitation is lost")
        assert chain.faults_in(self.portal.ask) == []


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
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
        work.wait_for(10)
        for web in site.portal.webs:
            web.send(signal.SIGTERM)
            wait_until(web.has_ended, says="it does not end")
            web.start()
            site.portal.wait_for(web, site.proxy)
            work.wait_for(10)
        for watcher in site.portal.watchers:
            watcher.send(signal.SIGTERM)
            wait_until(watcher.has_ended, says="it does not end")
            watcher.start()
        work.wait_for(10)
    assert work.failures == [], work.summary()
    site.check(work)
    print(work.summary())
