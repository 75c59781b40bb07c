"""A watcher whose rounds the tests run themselves."""

from __future__ import annotations

import pytest

from invitations import rhythm
from invitations.rhythm import Presence
from invitations.watcher import Watcher


@pytest.fixture
def watcher(vendor, db, monkeypatch) -> Watcher:
    monkeypatch.setattr("invitations.watcher.close_old_connections", lambda: None)  # the test's own is one
    monkeypatch.setattr(rhythm, "here", Presence())
    return Watcher()
