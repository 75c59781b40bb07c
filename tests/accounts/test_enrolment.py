"""The first administrator: a link from the command line, once, for 15 minutes, while there is none."""

import logging
import re
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.urls import get_resolver
from django.utils import timezone

from portal import log
from portal.accounts import roles
from portal.accounts.models import LIFETIMES, OneTimeLink, User, administrators
from portal.accounts.views import enrol_administrator
from portal.audit.models import Event
from tests.conftest import PASSWORD, Browser, whole_log
from tests.test_access import addresses

FORM = {"username": "first", "email": "first@example.org", "password1": PASSWORD, "password2": PASSWORD}


@pytest.fixture
def link(db, capsys):
    return new_link(capsys)


def new_link(capsys):
    call_command("create_admin")
    return re.search(r"https://testserver(/accounts/enrol/[\w-]+/)", capsys.readouterr().out)[1]


def kinds():
    return list(Event.objects.order_by("seq").values_list("kind", flat=True))


def test_the_link_makes_the_administrator(link, anonymous, vendor):
    assert "Set up the first administrator" in anonymous.get(link).content.decode()
    assert anonymous.post(link, FORM).headers["Location"] == "/accounts/login/"
    user = User.objects.get()
    assert user.role_names == [roles.ADMINISTRATOR]
    assert not user.is_superuser
    assert not user.is_staff
    assert kinds() == ["enrolment.created", "enrolment.used"]
    anonymous.post("/accounts/login/", {"login": "first", "password": PASSWORD})
    assert anonymous.get("/admin/").status_code == 200


def test_the_link_works_once(link, anonymous):
    anonymous.post(link, FORM)
    for answer in (anonymous.get(link), Browser().post(link, FORM | {"username": "second", "email": ""})):
        assert answer.status_code == 410
    assert User.objects.count() == 1
    assert not OneTimeLink.objects.exists()


def test_even_after_the_first_is_gone_a_used_link_is_used(link, anonymous):
    anonymous.post(link, FORM)
    User.objects.update(is_active=False)
    assert anonymous.get(link).status_code == 410


def test_the_link_is_over_after_fifteen_minutes(link, anonymous):
    assert timedelta(minutes=15) == LIFETIMES[OneTimeLink.Purpose.ADMINISTRATOR]
    left = OneTimeLink.objects.get().expires_at - timezone.now()
    assert timedelta(minutes=14) < left <= timedelta(minutes=15)
    assert "until" in str(OneTimeLink.objects.get())
    OneTimeLink.objects.update(expires_at=timezone.now())
    assert anonymous.get(link).status_code == 410
    assert anonymous.post(link, FORM).status_code == 410
    assert not User.objects.exists()


def test_a_new_link_ends_the_one_before(link, anonymous, capsys):
    newer = new_link(capsys)
    assert anonymous.get(link).status_code == 410
    assert anonymous.get(newer).status_code == 200


@pytest.mark.parametrize("made", [{"is_superuser": True}, roles.ADMINISTRATOR])
def test_no_link_while_an_administrator_exists(make_person, link, anonymous, made):
    make_person("boss", is_superuser=True) if isinstance(made, dict) else make_person("boss", made)
    with pytest.raises(CommandError, match="exists already"):
        call_command("create_admin")
    assert anonymous.get(link).status_code == 410
    assert anonymous.post(link, FORM).status_code == 410
    assert User.objects.count() == 1
    assert kinds() == ["enrolment.created", "enrolment.refused"]


def test_other_people_do_not_count_as_administrators(outsider, lead, auditor, link, anonymous):
    assert anonymous.post(link, FORM).status_code == 302
    assert [person.username for person in administrators()] == ["first"]


def test_a_disabled_administrator_does_not_lock_the_installation(make_person, capsys):
    make_person("gone", roles.ADMINISTRATOR, is_active=False)
    assert new_link(capsys)


@pytest.mark.parametrize(
    "change",
    [
        {"password1": "short", "password2": "short"},
        {"password2": "different from the first one"},
        {"username": ""},
        {"username": "no spaces allowed"},
        {"email": "not an address"},
        {"password1": "first@example.org", "password2": "first@example.org"},
    ],
)
def test_a_bad_form_is_422_and_leaves_the_link(link, anonymous, change):
    assert anonymous.post(link, FORM | change).status_code == 422
    assert anonymous.post(link, {}).status_code == 422
    assert not User.objects.exists()
    assert anonymous.post(link, FORM).status_code == 302


def test_a_name_in_use_is_refused_in_any_case(link, agent, anonymous):
    assert anonymous.post(link, FORM | {"username": "AGENT"}).status_code == 422
    assert anonymous.post(link, FORM | {"email": "AGENT@example.org"}).status_code == 422


def test_extra_fields_give_nothing(link, anonymous):
    anonymous.post(link, FORM | {"is_superuser": "on", "is_staff": "on", "user_permissions": ["1"], "groups": ["1"]})
    user = User.objects.get()
    assert (user.is_superuser, user.is_staff, user.user_permissions.count()) == (False, False, 0)
    assert user.role_names == [roles.ADMINISTRATOR]


def test_who_comes_second_in_the_same_moment_gets_nothing(link, anonymous, admin, monkeypatch):
    from portal.accounts import views

    found = iter([True, False])  # open when the form is shown, closed when it is spent
    monkeypatch.setattr(views, "is_open", lambda token: next(found))
    assert anonymous.post(link, FORM).status_code == 410
    assert not User.objects.filter(username="first").exists()
    assert "enrolment.used" not in kinds()


def test_the_token_is_stored_as_a_digest_only(link):
    token = link.split("/")[-2]
    assert len(token) >= 43
    assert token not in str(OneTimeLink.objects.values())


@pytest.mark.parametrize("tail", ["", "x", "/nothing/here/"])
@pytest.mark.parametrize("data", [{}, {"username": "x"}])
def test_the_token_is_in_no_log(link, tail, data, caplog):
    caplog.set_level(logging.DEBUG)
    token = link.split("/")[-2]
    strict = Browser(enforce_csrf_checks=True)
    for browser in (strict, Browser()):
        browser.get(link + tail)
        browser.post(link + tail, data)
        browser.generic("BREW", link + tail)
    redact = log.Redact()
    for record in caplog.records:
        assert redact.filter(record)
        assert token not in logging.Formatter().format(record)
    assert token not in whole_log()


def test_a_form_without_its_token_is_recorded_without_the_link(link):
    assert Browser(enforce_csrf_checks=True).post(link, FORM).status_code == 403
    event = Event.objects.first()
    assert (event.kind, event.target_label) == ("access.csrf", "/accounts/enrol/…/")
    assert not User.objects.exists()


def test_nothing_on_the_site_sets_it_up():
    words = ("setup", "install", "wizard", "register", "bootstrap", "configure")
    for route in addresses(get_resolver().url_patterns):
        assert not any(word in route.lower() for word in words), route


def test_enrolment_needs_a_valid_token(db):
    assert enrol_administrator(None, "guessed") is None
