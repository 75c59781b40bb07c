"""Which errors mean that the database is away, and what people see then."""

from __future__ import annotations

import sqlite3
from http import HTTPStatus

import psycopg
import pytest
from django.db import OperationalError
from psycopg import errors

from portal import audit, views
from portal.outage import is_outage


def caused(error):
    """The driver's error, as Django and the audit log hand it on."""
    outer = OperationalError(str(error))
    outer.__cause__ = error
    ours = audit.Unavailable(str(outer))
    ours.__cause__ = outer
    return ours


@pytest.mark.parametrize(
    ("error", "is_away"),
    [
        (psycopg.OperationalError("connection failed"), True),
        (psycopg.OperationalError("the connection is closed"), True),
        (errors.AdminShutdown(), True),
        (errors.CannotConnectNow(), True),
        (errors.TooManyConnections(), True),
        (errors.IdleInTransactionSessionTimeout(), True),
        (errors.LockNotAvailable(), False),
        (errors.DiskFull(), False),
        (errors.UndefinedTable(), False),
        (sqlite3.OperationalError("database is locked"), False),
    ],
)
def test_an_outage_is_told_by_the_driver_s_error(error, is_away):
    assert is_outage(caused(error)) is is_away


def test_no_error_is_no_outage():
    assert not is_outage(None)
    assert not is_outage(ValueError("a bug"))


@pytest.fixture
def away(agent, browser_of, monkeypatch):
    """A browser that is signed in while every view finds the database gone."""

    def fail(*args, **kwargs):
        raise caused(psycopg.OperationalError("the connection is closed"))

    browser = browser_of(agent)
    browser.raise_request_exception = False
    monkeypatch.setattr("portal.accounts.middleware.SessionLimits.__call__", fail)
    return browser


def test_a_page_says_so_in_words_and_comes_back_by_itself(away, caplog):
    answer = away.get("/")
    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert "database does not answer" in answer.text
    assert (answer.headers["Refresh"], answer.headers["Retry-After"]) == ("5", "5")
    assert "The database does not answer" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_form_is_not_sent_again_and_a_part_has_no_reload_of_its_own(away):
    answer = away.post("/invitations/new/", {"client_name": "Lena"})
    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert "It is not known whether your last action happened" in answer.text
    assert "Refresh" not in answer.headers
    assert "Refresh" not in away.get("/board/rows/", headers={"HX-Request": "true"}).headers


def test_a_view_s_own_trouble_with_the_database_is_the_same_page(agent, browser_of, monkeypatch):
    def fail(*args, **kwargs):
        raise caused(errors.AdminShutdown())

    browser = browser_of(agent)
    browser.raise_request_exception = False
    monkeypatch.setattr("invitations.models.Snapshot.load", fail)
    answer = browser.get("/invitations/new/")
    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert "database does not answer" in answer.text


def test_a_bug_is_still_a_bug(agent, browser_of, monkeypatch):
    monkeypatch.setattr(views, "is_outage", lambda error: False)
    browser = browser_of(agent)
    browser.raise_request_exception = False
    monkeypatch.setattr("portal.accounts.middleware.SessionLimits.__call__", lambda self, request: 1 / 0)
    assert browser.get("/").status_code == HTTPStatus.INTERNAL_SERVER_ERROR
