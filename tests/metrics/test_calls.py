"""Calls of the remote API in a scrape, by method and outcome."""

import logging

import pytest

from portal.getscreen import configured
from portal.getscreen.breaker import Breaker
from portal.getscreen.errors import Unavailable
from portal.metrics import traffic


def test_a_scrape_shows_calls_and_the_breaker(scrape, monkeypatch):
    traffic.begin()
    monkeypatch.setattr(configured, "breaker", Breaker())
    configured.count("support/list", "ok", 0.03)
    configured.count("support/list", "not_asked", 0.0)
    for _ in range(Breaker.CONSECUTIVE):
        configured.breaker.ended(well=False)
    assert scrape()["portal_breaker_open"] == 0  # as of the last call
    configured.count("support/create", "unreachable", 12.0)
    found = scrape()
    assert found.get("portal_vendor_calls_total", method="support/list", outcome="ok") == 1
    assert found.get("portal_vendor_calls_total", method="support/list", outcome="not_asked") == 1
    assert found.get("portal_vendor_calls_total", method="support/list", outcome="key") == 0
    assert found.get("portal_vendor_calls_total", method="support/create", outcome="unreachable") == 1
    assert found.get("portal_vendor_call_seconds_count", method="support/list") == 1
    assert found.get("portal_vendor_call_seconds_bucket", method="support/create", le="10.0") == 0
    assert found["portal_breaker_open"] == 1


def test_where_nobody_can_ask_nothing_is_counted():
    configured.count("support/list", "ok", 0.03)  # `manage.py watch` has no web server


def test_the_portal_s_own_clients_are_counted(settings, scrape, caplog):
    """Nothing listens at the address of the tests' settings."""
    traffic.begin()
    with caplog.at_level(logging.CRITICAL), pytest.raises(Unavailable):
        configured.new_client(at_once=None).list()
    assert scrape().get("portal_vendor_calls_total", method="support/list", outcome="unreachable") == 1


def test_the_log_says_once_when_calls_stop_and_when_they_go_out_again(caplog, monkeypatch):
    breaker = Breaker(lambda: now, open_for=15.0)
    monkeypatch.setattr(configured, "breaker", breaker)
    now = 1_000.0
    with caplog.at_level(logging.INFO):
        for _ in range(2 * Breaker.CONSECUTIVE):
            breaker.ended(well=False)
            configured.count("support/list", "failing", 0.1)
        now = 2_000.0
        for _ in range(2 * Breaker.ENOUGH):
            breaker.wait(is_probe=True)
            breaker.ended(well=True)
            configured.count("support/list", "ok", 0.1)
    assert [record.message for record in caplog.records] == [
        "Getscreen has not been answering: no more calls for about 15 s",
        "Getscreen answers again, and calls go out as before",
    ]
