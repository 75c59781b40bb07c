"""Changing and resetting passwords: what is mailed, what is recorded, which sessions end."""

import re
import smtplib

import pytest
from allauth.account.forms import EmailAwarePasswordResetTokenGenerator
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.utils.http import int_to_base36

from portal import audit
from portal.accounts import people
from portal.accounts.adapter import AccountAdapter
from portal.accounts.models import User
from portal.audit.models import Event
from tests.accounts.test_admin import person_form, without
from tests.conftest import PASSWORD, Browser, whole_log

NEW = "another horse, another battery"
RESET = "/accounts/password/reset/"


def kinds():
    return list(Event.objects.order_by("seq").values_list("kind", flat=True))


def change(browser, *, old=PASSWORD, new=NEW):
    return browser.post("/accounts/password/change/", {"oldpassword": old, "password1": new, "password2": new})


def link_of(message):
    return re.search(r"https://testserver(/accounts/password/reset/key/\S+)", message.body)[1]


@pytest.fixture
def reset_link(anonymous, agent):
    anonymous.post(RESET, {"email": agent.email})
    return link_of(mail.outbox[-1])


def test_a_changed_password_is_recorded_and_ends_other_sessions(agent, browser_of, vendor):
    here, elsewhere = browser_of(agent), browser_of(agent)
    assert change(here).headers["Location"] == "/"
    assert here.get("/").status_code == 200
    assert elsewhere.get("/").status_code == 302
    event = Event.objects.get(kind="password.changed")
    assert (event.actor_id, event.result) == (agent.pk, "ok")
    assert NEW not in whole_log()
    assert User.objects.get().check_password(NEW)


@pytest.mark.parametrize(
    ("old", "new"),
    [("wrong", NEW), (PASSWORD, "short"), (PASSWORD, "123456789012"), (PASSWORD, "agent@example.org"), (PASSWORD, "")],
)
def test_a_bad_change_changes_nothing(agent, browser_of, vendor, old, new):
    assert change(browser_of(agent), old=old, new=new).status_code == 200
    assert User.objects.get().check_password(PASSWORD)
    assert kinds() == ([] if old == PASSWORD else ["reauthentication.failed"])


def test_a_reset_by_mail_works_once_and_is_recorded(agent, browser_of, vendor):
    signed_in, anonymous = browser_of(agent), Browser()
    anonymous.post(RESET, {"email": agent.email})
    reset_link = link_of(mail.outbox[-1])
    form = anonymous.get(reset_link, follow=True)
    assert form.redirect_chain[0][0].endswith("-set-password/")  # the key leaves the address bar
    where = form.redirect_chain[0][0]
    assert anonymous.post(where, {"password1": NEW, "password2": NEW}).status_code == 302
    assert User.objects.get().check_password(NEW)
    assert signed_in.get("/").status_code == 302
    assert anonymous.get("/").status_code == 302  # nobody is signed in by it
    assert kinds() == ["password.reset_requested", "password.reset", "session.ended"]
    assert Event.objects.get(kind="password.reset").actor_id == agent.pk
    again = Browser().get(reset_link, follow=True)
    assert "password1" not in again.content.decode()


def test_the_request_names_the_person_as_its_target(agent, anonymous, reset_link):
    event = Event.objects.get(kind="password.reset_requested")
    assert (event.actor_id, event.actor_name, event.result) == (None, agent.email, "ok")
    assert (event.target_type, event.target_id, event.target_label) == ("user", str(agent.pk), "agent")
    assert reset_link.rstrip("/").rsplit("-", 1)[1] not in whole_log()


def test_known_and_unknown_addresses_get_the_same_answer(agent, anonymous):
    known = anonymous.post(RESET, {"email": "agent@example.org"})
    unknown = Browser().post(RESET, {"email": "nobody@example.org"})
    assert (known.status_code, known.headers["Location"]) == (unknown.status_code, unknown.headers["Location"])
    assert [message.to for message in mail.outbox] == [["agent@example.org"]]


def test_a_mail_server_that_fails_does_not_tell_who_has_an_account(agent, anonymous, monkeypatch, caplog):
    def fail(self, messages):
        raise smtplib.SMTPServerDisconnected("gone")

    monkeypatch.setattr(EmailBackend, "send_messages", fail)
    assert anonymous.post(RESET, {"email": "agent@example.org"}).status_code == 302
    assert Event.objects.get().result == "failed"
    assert "could not be sent" in caplog.text


@pytest.mark.parametrize("method", ["get", "post"])
def test_without_a_mail_server_the_page_says_whom_to_ask(agent, anonymous, settings, method):
    settings.MAILERS = {}
    answer = getattr(anonymous, method)(RESET, {"email": agent.email})
    assert answer.status_code == 200
    assert "administrator" in answer.content.decode()
    assert not Event.objects.exists()


def test_a_disabled_person_gets_no_link(agent, anonymous):
    User.objects.update(is_active=False)
    anonymous.post(RESET, {"email": agent.email})
    assert mail.outbox == []


def test_only_three_links_an_hour_are_mailed_to_one_address(agent, anonymous):
    answers = [anonymous.post(RESET, {"email": agent.email}).status_code for _ in range(4)]
    assert answers == [302, 302, 302, 429]
    assert len(mail.outbox) == 3


def test_a_new_colleague_without_a_password_gets_in_by_reset(agent, anonymous, vendor):
    agent.set_unusable_password()
    agent.save()
    anonymous.post(RESET, {"email": agent.email})
    form = anonymous.get(link_of(mail.outbox[-1]), follow=True)
    anonymous.post(form.redirect_chain[0][0], {"password1": NEW, "password2": NEW})
    assert anonymous.post("/accounts/login/", {"login": "agent", "password": NEW}).status_code == 302


def test_a_former_address_opens_nothing(agent, anonymous, vendor, reset_link):
    form = anonymous.get(reset_link, follow=True)
    anonymous.post(form.redirect_chain[0][0], {"password1": NEW, "password2": NEW})
    anonymous.post("/accounts/login/", {"login": agent.email, "password": NEW})
    User.objects.update(email="new@example.org")
    mail.outbox.clear()
    Browser().post(RESET, {"email": "agent@example.org"})
    assert mail.outbox == []
    assert not EmailAddress.objects.exists()
    assert Browser().post("/accounts/login/", {"login": "agent@example.org", "password": NEW}).status_code == 200


def test_an_address_that_changed_makes_an_old_link_useless(agent, anonymous, reset_link):
    User.objects.update(email="new@example.org")
    assert "password1" not in anonymous.get(reset_link, follow=True).content.decode()


def test_the_password_is_asked_again_where_it_matters(agent, browser_of, vendor):
    browser = browser_of(agent)
    assert browser.post("/accounts/reauthenticate/", {"password": "wrong"}).status_code == 200
    assert kinds() == ["reauthentication.failed"]
    assert browser.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 302
    assert kinds() == ["reauthentication.failed", "reauthentication.ok"]


def test_who_is_signed_in_with_a_link_of_somebody_else_resets_the_other_s(
    agent, colleague, browser_of, vendor, reset_link
):
    browser = browser_of(colleague)
    form = browser.get(reset_link, follow=True)
    browser.post(form.redirect_chain[0][0], {"password1": NEW, "password2": NEW})
    assert Event.objects.get(kind="password.reset").actor_id == agent.pk
    assert User.objects.get(pk=colleague.pk).check_password(PASSWORD)


# --- What an administrator does meanwhile -------------------------------------------------------------


@pytest.fixture
def meanwhile(monkeypatch):
    """Do something to the person while their new password is looked at, which takes a while."""

    def do(act):
        look = AccountAdapter.clean_password

        def looked_at(*args, **more):
            act()
            return look(*args, **more)

        monkeypatch.setattr(AccountAdapter, "clean_password", looked_at)

    return do


@pytest.fixture
def disabled_meanwhile(meanwhile, agent, admin):
    def disable():
        with audit.writing():
            people.disable(User.objects.get(pk=agent.pk), admin)

    meanwhile(disable)


def test_who_is_disabled_while_changing_the_password_stays_so(agent, browser_of, vendor, disabled_meanwhile):
    browser = browser_of(agent)
    assert change(browser).status_code == 403
    agent.refresh_from_db()
    assert (agent.is_active, agent.check_password(PASSWORD)) == (False, True)
    assert browser.get("/").status_code == 302
    assert not agent.sessions.exists()
    assert "password.changed" not in kinds()


def test_who_is_disabled_while_resetting_the_password_stays_so(agent, anonymous, reset_link, disabled_meanwhile):
    form = anonymous.get(reset_link, follow=True)
    assert anonymous.post(form.redirect_chain[0][0], {"password1": NEW, "password2": NEW}).status_code == 403
    agent.refresh_from_db()
    assert (agent.is_active, agent.check_password(PASSWORD)) == (False, True)
    assert "password.reset" not in kinds()


def test_a_link_that_is_ended_while_it_is_used_changes_nothing(agent, admin, anonymous, reset_link, meanwhile):
    meanwhile(lambda: by_action(agent, admin, None))
    form = anonymous.get(reset_link, follow=True)
    assert anonymous.post(form.redirect_chain[0][0], {"password1": NEW, "password2": NEW}).status_code == 403
    agent.refresh_from_db()
    assert (agent.is_active, agent.check_password(PASSWORD)) == (True, True)


def test_a_link_of_the_release_before_still_opens(agent, anonymous):
    uid = int_to_base36(agent.pk)
    before = EmailAwarePasswordResetTokenGenerator().make_token(agent)
    page = anonymous.get(f"/accounts/password/reset/key/{uid}-{before}/", follow=True)
    assert "password1" in page.content.decode()


def by_form(agent, admin, browser_of):
    """Switch the account off and on again in its form."""
    office = browser_of(admin)
    for fields in (without(person_form(agent), "is_active"), person_form(agent)):
        assert office.post(f"/admin/accounts/user/{agent.pk}/change/", fields).status_code == 302


def by_action(agent, admin, browser_of):
    """Disable and enable the person from the list."""
    with audit.writing():
        people.disable(agent, admin)
        people.enable(agent, admin)


@pytest.mark.parametrize("switch", [by_form, by_action])
def test_a_link_in_a_mailbox_does_not_outlive_that_its_person_was_disabled(
    agent, admin, anonymous, reset_link, browser_of, vendor, switch
):
    switch(agent, admin, browser_of)
    agent.refresh_from_db()
    assert agent.is_active
    assert "password1" not in anonymous.get(reset_link, follow=True).content.decode()
    mail.outbox.clear()
    Browser().post(RESET, {"email": agent.email})
    assert "password1" in Browser().get(link_of(mail.outbox[-1]), follow=True).content.decode()


def test_a_changed_password_takes_nothing_else_back(agent, browser_of, vendor, meanwhile):
    meanwhile(lambda: User.objects.filter(pk=agent.pk).update(email="new@example.org"))
    assert change(browser_of(agent)).status_code == 302
    agent.refresh_from_db()
    assert (agent.email, agent.check_password(NEW)) == ("new@example.org", True)
