"""Helping people in: one-time links, lost second factors, disabling and letting in, and who may do it to whom."""

import re
from datetime import timedelta

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group
from django.core import mail
from django.utils import timezone

from portal import log
from portal.accounts import one_time, people, roles
from portal.accounts.admin import person_pages
from portal.accounts.models import OneTimeLink, User
from portal.audit.models import Event
from tests.accounts import second_steps
from tests.conftest import PASSWORD, Browser, whole_log

LIST = "/admin/accounts/user/"
NEW = "another long and quiet passphrase"
FORM = {"new_password1": NEW, "new_password2": NEW}


@pytest.fixture
def office(admin, browser_of, vendor):
    return browser_of(admin)


@pytest.fixture
def superuser(make_person):
    return make_person("rut", is_superuser=True)


def link_in(page):
    return re.search(r"https://testserver(/accounts/invite/[\w-]+/)", page.content.decode())[1]


def last(kind):
    return Event.objects.filter(kind=kind).first()


def do(browser, verb, *persons):
    form = {"action": verb, "_selected_action": [str(person.pk) for person in persons]}
    return browser.post(LIST, form, follow=True).content.decode()


def test_an_invited_person_chooses_their_password_once(office, admin):
    group = Group.objects.get(name=roles.AGENT)
    extra = {"is_superuser": "on", "is_staff": "on", "user_permissions": ["1"], "password": "x"}
    form = {"username": "nia", "email": "Nia@Example.Org", "groups": [str(group.pk)], "is_mailed": "on", **extra}
    page = office.post(f"{LIST}invite/", form)
    path, person = link_in(page), User.objects.get(username="nia")
    assert (person.has_usable_password(), person.is_superuser, person.is_staff) == (False, False, False)
    assert (person.user_permissions.count(), person.email, person.role_names) == (0, "nia@example.org", [roles.AGENT])
    assert path in mail.outbox[0].body
    assert "an administrator of Helpdesk has made this link" in mail.outbox[0].body
    assert mail.outbox[0].subject == "Choose your password for Helpdesk"
    left = OneTimeLink.objects.get().expires_at - timezone.now()
    assert timedelta(hours=23) < left <= timedelta(hours=24)
    stranger = Browser()
    assert "nia" in stranger.get(path).content.decode()
    assert stranger.post(path, {"new_password1": "short", "new_password2": "short"}).status_code == 422
    assert stranger.post(path, FORM).headers["Location"] == "/accounts/login/"
    for again in (stranger.get(path), Browser().post(path, FORM)):
        assert again.status_code == 410
        assert "Ask your administrator for a new link" in again.content.decode()
    assert stranger.post("/accounts/login/", {"login": "nia", "password": NEW}).status_code == 302
    assert path.split("/")[3] not in whole_log()
    assert last("user.created").details["changes"]["groups"] == [None, ["Agent"]]
    assert last("user.link_used").actor_id == person.pk


def test_of_two_who_invite_the_same_person_at_once_the_second_is_told(office, monkeypatch):
    keep = person_pages.keep

    def added_first(*args, **more):
        User.objects.create_user("nia")
        keep(*args, **more)

    monkeypatch.setattr(person_pages, "keep", added_first)
    page = office.post(f"{LIST}invite/", {"username": "Nia", "first_name": "Nia", "email": ""})
    assert page.status_code == 200
    assert "exists already" in page.content.decode()
    assert 'value="Nia"' in page.content.decode()
    assert not OneTimeLink.objects.exists()
    assert last("user.created") is None


def test_a_reset_link_ends_sessions_and_leaves_second_factors(office, agent):
    second_steps.give_app(agent)
    browser = second_steps.by_code(agent)
    path = link_in(office.post(f"{LIST}{agent.pk}/link/"))
    assert OneTimeLink.objects.get().purpose == "reset"
    assert OneTimeLink.objects.get().expires_at < timezone.now() + timedelta(minutes=61)
    assert browser.get("/").status_code == 200
    Browser().post(path, FORM)
    assert browser.get("/").status_code == 302
    assert User.objects.get(pk=agent.pk).check_password(NEW)
    assert Authenticator.objects.filter(user=agent).exists()


def test_a_link_that_is_too_old_or_of_somebody_disabled_is_over(office, agent):
    path = link_in(office.post(f"{LIST}{agent.pk}/link/"))
    User.objects.filter(pk=agent.pk).update(is_active=False)
    assert Browser().get(path).status_code == 410
    User.objects.filter(pk=agent.pk).update(is_active=True)
    OneTimeLink.objects.update(expires_at=timezone.now())
    assert Browser().post(path, FORM).status_code == 410
    assert User.objects.get(pk=agent.pk).check_password(PASSWORD)


def test_of_two_who_spend_a_link_at_once_one_wins(admin, agent):
    token = people.make_link(agent, admin).split("/")[-2]
    first = one_time.SetPasswordForm(agent, FORM)
    second = one_time.SetPasswordForm(agent, {"new_password1": PASSWORD, "new_password2": PASSWORD})
    assert first.is_valid()
    assert second.is_valid()  # both have opened the page while the link was good
    assert one_time.spend_password_link(first, token) == agent
    assert one_time.spend_password_link(second, token) is None
    assert User.objects.get(pk=agent.pk).check_password(NEW)


def test_other_ways_to_a_password_end_a_link(office, agent):
    path = link_in(office.post(f"{LIST}{agent.pk}/link/"))
    office.post(f"{LIST}{agent.pk}/password/", {"password1": NEW, "password2": NEW})
    assert Browser().get(path).status_code == 410


def test_a_newer_link_ends_the_one_before(office, agent):
    older = link_in(office.post(f"{LIST}{agent.pk}/link/"))
    newer = link_in(office.post(f"{LIST}{agent.pk}/link/"))
    assert [Browser().get(path).status_code for path in (older, newer)] == [410, 200]


def test_other_purposes_do_not_open_the_page(agent):
    for purpose in (OneTimeLink.Purpose.ADMINISTRATOR, OneTimeLink.Purpose.SIGN_IN):
        token = OneTimeLink.objects.issue(purpose, agent)
        assert Browser().get(f"/accounts/invite/{token}/").status_code == 410


def test_the_log_file_shows_no_link():
    assert "abc" not in log.SECRETS.sub(r"\g<before>…", "GET /accounts/invite/abc/ 200")


def test_lost_factors_are_removed_with_a_reason(office, agent):
    second_steps.give_app(agent)
    browser = second_steps.by_code(agent)
    assert browser.get("/").status_code == 200
    assert office.post(f"{LIST}{agent.pk}/factors/", {"reason": ""}).status_code == 200
    assert Authenticator.objects.exists()
    office.post(f"{LIST}{agent.pk}/factors/", {"reason": "called back"})
    assert not Authenticator.objects.exists()
    assert browser.get("/").status_code == 302
    event = last("factor.reset")
    assert (event.target_id, event.facts["count"], event.details["reason"]) == (str(agent.pk), 1, "called back")
    assert last("factor.removed").actor_name == "admin"


def test_disabling_and_enabling_from_the_list(office, agent, browser_of):
    browser = browser_of(agent)
    people.make_link(agent, User.objects.get(username="admin"))
    assert "Disabled: agent." in do(office, "disable", agent)
    assert browser.get("/").status_code == 302
    assert not OneTimeLink.objects.exists()
    assert last("user.disabled").details["changes"] == {"is_active": [True, False]}
    do(office, "enable", agent)
    assert User.objects.get(pk=agent.pk).is_active
    assert browser.get("/").status_code == 302, "the session stays ended"


WAYS_UP = {
    "their own page": lambda office, me, group: office.post(
        f"{LIST}{me.pk}/change/",
        {"username": me.username, "email": me.email, "is_active": "on", "groups": group, "is_superuser": "on"},
    ),
    "their own password": lambda office, me, group: office.post(
        f"{LIST}{me.pk}/password/", {"password1": NEW, "password2": NEW}
    ),
    "a link for themselves": lambda office, me, group: office.post(f"{LIST}{me.pk}/link/"),
    "a new person": lambda office, me, group: office.post(
        f"{LIST}add/",
        {"username": "new", "password1": NEW, "password2": NEW, "is_superuser": "on", "user_permissions": "1"},
    ),
    "an invitation": lambda office, me, group: office.post(
        f"{LIST}invite/", {"username": "new", "is_superuser": "on", "is_staff": "on", "user_permissions": "1"}
    ),
    "a list with their own name": lambda office, me, group: office.post(
        f"{LIST}import/", {"text": f"username,roles\n{me.username},Administrator", "step": "good"}
    ),
    "a list with a column of ours": lambda office, me, group: office.post(
        f"{LIST}import/", {"text": "username,is_superuser\nnew,1", "step": "all"}
    ),
    "a role that administers": lambda office, me, group: office.post(
        "/admin/auth/group/add/", {"name": "Mine", "actions": [roles.SEE, roles.ADMINISTER]}
    ),
    "a role of everything": lambda office, me, group: office.post(
        "/admin/auth/group/add/", {"name": "Mine", "actions": [roles.SEE], "permissions": ["1", "2", "3"]}
    ),
    "their role's page": lambda office, me, group: office.post(
        f"/admin/auth/group/{Group.objects.get(name=roles.AUDITOR).pk}/change/",
        {"actions": [roles.SEE, roles.ADMINISTER], "name": roles.ADMINISTRATOR},
    ),
    "the role above": lambda office, me, group: office.post(
        f"/admin/auth/group/{group}/change/", {"actions": [roles.SEE], "user_set": str(me.pk)}
    ),
    "letting themselves in": lambda office, me, group: do(office, "approve", me),
    "an action on their page": lambda office, me, group: office.post(
        f"{LIST}{me.pk}/change/",
        {"change_form-action": "enable", "action": "enable", "_selected_action": str(me.pk), "is_superuser": "on"},
    ),
    "the link of the first administrator": lambda office, me, group: office.post(
        "/accounts/enrol/no-such-token/", {"username": "new", "password1": NEW, "password2": NEW}
    ),
}


@pytest.mark.parametrize("who", ["agent", "auditor", "admin"])
@pytest.mark.parametrize("way", WAYS_UP)
def test_there_is_no_way_up(way, who, request, browser_of, vendor):
    """Nobody of a role becomes an administrator, and no administrator a superuser or anything by themselves."""
    me, root = request.getfixturevalue(who), request.getfixturevalue("superuser")
    group = str(Group.objects.get(name=roles.ADMINISTRATOR).pk)
    before = (me.get_all_permissions(), me.role_names)
    WAYS_UP[way](browser_of(me), me, group)
    found = User.objects.get(pk=me.pk)
    assert before == (found.get_all_permissions(), found.role_names)
    assert found.check_password(PASSWORD)
    assert set(User.objects.filter(is_superuser=True)) == {root}
    assert not User.objects.filter(is_staff=True).exists()
    administering = Group.objects.filter(permissions__codename="administer").values_list("name", flat=True)
    assert list(administering) == [roles.ADMINISTRATOR]
    if who != "admin":
        assert not User.objects.filter(username="new").exists()
        assert set(User.objects.filter(groups=group)) == set()


def test_letting_in_and_ending_sessions_from_the_list(office, agent, browser_of):
    User.objects.filter(pk=agent.pk).update(awaits_approval=True)
    browser, form = browser_of(agent), {"login": "agent", "password": PASSWORD}
    assert browser.get("/").status_code == 302
    assert Browser().post("/accounts/login/", form).status_code == 200  # as with a wrong password
    assert not Event.objects.filter(kind="signin.ok").exists()
    do(office, "approve", agent)
    assert browser.get("/").status_code == 200
    assert Browser().post("/accounts/login/", form).headers["Location"] == "/"
    assert not User.objects.get(pk=agent.pk).awaits_approval
    assert last("user.approved").target_id == str(agent.pk)
    do(office, "end_sessions", agent)
    assert browser.get("/").status_code == 302


@pytest.mark.parametrize("path", ["link", "factors", "sessions"])
def test_nobody_does_it_to_themselves(office, admin, path):
    page = office.post(f"{LIST}{admin.pk}/{path}/", {"reason": "x"}, follow=True).content.decode()
    assert "your own account" in page
    assert not OneTimeLink.objects.exists()
    event = Event.objects.get()
    assert (event.kind, event.result, event.target_id) == ("user.change_refused", "denied", str(admin.pk))


def test_nobody_disables_themselves_or_changes_their_own_roles(office, admin, make_person):
    make_person("other", roles.ADMINISTRATOR)
    assert "your own account" in do(office, "disable", admin)
    assert last("user.change_refused").facts == {"reason": "own account"}
    both = [str(pk) for pk in Group.objects.values_list("pk", flat=True)]
    form = {"username": "admin", "email": admin.email, "is_active": "on", "groups": both, "is_superuser": "on"}
    assert office.post(f"{LIST}{admin.pk}/change/", form).status_code == 200
    found = User.objects.get(pk=admin.pk)
    assert (found.is_active, found.role_names, found.is_superuser) == (True, [roles.ADMINISTRATOR], False)


def test_the_last_administrator_is_not_disabled_from_the_list(superuser, admin, browser_of, vendor):
    User.objects.filter(pk=superuser.pk).update(is_active=False)
    with pytest.raises(people.ValidationError, match="Somebody must stay"):
        people.disable(admin, superuser)
    assert User.objects.get(pk=admin.pk).is_active


@pytest.mark.parametrize("path", ["link", "factors"])
def test_administrators_take_hold_of_no_superuser(office, superuser, path):
    assert office.post(f"{LIST}{superuser.pk}/{path}/", {"reason": "x"}).status_code == 404
    for verb in ("disable", "end_sessions"):
        do(office, verb, superuser)
    assert User.objects.get(pk=superuser.pk).is_active
    assert not OneTimeLink.objects.exists()


def test_the_list_says_who_has_a_second_factor_and_sessions(office, agent, browser_of, django_assert_max_num_queries):
    Authenticator.objects.create(user=agent, type=Authenticator.Type.TOTP, data={})
    browser_of(agent)
    with django_assert_max_num_queries(20):
        page = office.get(LIST).content.decode()
    row = page.split(f"/{agent.pk}/change/")[1].split("</tr>")[0]
    words = re.sub(r"<[^>]+>", " ", row)
    assert re.search(r"Active\s+Second factor:\s+Yes\s+Sessions:\s+1\s+Last sign-in:", words), words
    for value, expected in {"yes": ["agent"], "no": ["admin"]}.items():
        found = office.get(f"{LIST}?factor={value}").context["cl"].queryset
        assert [person.username for person in found] == expected


def test_somebody_who_awaits_approval_gets_no_link(office, agent):
    User.objects.filter(pk=agent.pk).update(awaits_approval=True)
    assert "Let them in first" in office.post(f"{LIST}{agent.pk}/link/").content.decode()
    assert not OneTimeLink.objects.exists()
