"""A watcher whose rounds the tests run themselves, and a helpdesk of two teams."""

from __future__ import annotations

import pytest

from invitations import rhythm
from invitations.rhythm import Presence
from invitations.watcher import Watcher
from portal.getscreen.simulator import Ledger
from tests.invitations.crew import World


@pytest.fixture
def watcher(vendor, db, monkeypatch) -> Watcher:
    monkeypatch.setattr("invitations.watcher.close_old_connections", lambda: None)  # the test's own is one
    monkeypatch.setattr(rhythm, "here", Presence())
    return Watcher()


@pytest.fixture
def world(vendor, look) -> World:
    made = World(look().account)
    vendor.ledger = Ledger()
    return made
