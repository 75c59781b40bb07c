"""The administration: administrators only, no way up, nobody deleted, every change an event."""

import pytest
from allauth.account.models import EmailAddress
from django.contrib import admin as site
from django.contrib.auth.models import Group, Permission
from django.core import mail

from invitations.models import Invitation, Policy
from portal.accounts import roles
from portal.accounts.models import User
from portal.audit.models import Event
from tests.conftest import PASSWORD, POLICY_LIMITS, Browser, whole_log

NEW = {
    "username": "newcomer",
    "email": "Newcomer@Example.Org",
    "password1": PASSWORD,
    "password2": PASSWORD,
}
POLICY = "/admin/invitations/policy/1/change/"


@pytest.fixture
def superuser(make_person):
    return make_person("rut", is_superuser=True, is_staff=True)


@pytest.fixture
def office(admin, browser_of, vendor) -> Browser:
    return browser_of(admin)


def change_of(user, tail="change"):
    return f"/admin/accounts/user/{user.pk}/{tail}/"


def person_form(user, **changes):
    fields = {"username": user.username, "email": user.email, "first_name": "", "last_name": "", "is_active": "on"}
    groups = {"groups": [str(pk) for pk in user.groups.values_list("pk", flat=True)]}
    return fields | groups | changes


def last(kind):
    return Event.objects.filter(kind=kind).first()


def test_only_what_administrators_need_is_there():
    assert {model.__name__ for model in site.site._registry} == {
        "User",
        "Group",
        "Event",
        "Policy",
        "Invitation",
        "MessageTemplate",
        "Outcome",
        "Webhook",
        "Delivery",
        "Team",
    }


def test_the_door_is_the_portal_s(anonymous, db):
    assert anonymous.get("/admin/").headers["Location"] == "/accounts/login/?next=%2Fadmin%2F"
    inside = anonymous.get("/admin/login/?next=/admin/accounts/user/").headers["Location"]
    assert inside.startswith("/accounts/login/?next=")
    assert anonymous.post("/admin/login/", {"username": "rut", "password": PASSWORD}).status_code == 302
    assert "_auth_user_id" not in anonymous.session


def test_administrators_change_their_own_address_only_after_a_confirmation(office, admin, agent):
    form = person_form(admin, email="elsewhere@example.org")
    page = office.post(change_of(admin), form).content.decode()
    assert "Confirm first that it is you" in page
    confirming = f"/accounts/reauthenticate/?next=%2Fadmin%2Faccounts%2Fuser%2F{admin.pk}%2Fchange%2F"
    assert f'<a href="{confirming}">Confirm</a>' in page
    assert User.objects.get(pk=admin.pk).email == "admin@example.org"
    assert office.post(change_of(agent), person_form(agent, email="new@example.org")).status_code == 302
    answer = office.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": change_of(admin)})
    assert answer.headers["Location"] == change_of(admin)
    assert office.post(change_of(admin), form).status_code == 302
    assert User.objects.get(pk=admin.pk).email == "elsewhere@example.org"


def test_its_other_doors_lead_to_the_portal_s(office):
    assert office.get("/admin/login/").headers["Location"] == "/accounts/login/?next=%2Fadmin%2F"
    assert office.get("/admin/logout/").headers["Location"] == "/accounts/logout/"
    assert office.post("/admin/logout/").headers["Location"] == "/accounts/logout/"
    assert office.get("/admin/password_change/").headers["Location"] == "/accounts/password/change/"


def test_staff_alone_is_refused_and_recorded(outsider, browser_of):
    assert browser_of(outsider).get("/admin/accounts/user/").status_code == 403
    event = Event.objects.get()
    assert (event.kind, event.actor_id, event.target_label) == ("access.denied", outsider.pk, "/admin/accounts/user/")
    assert event.facts == {"method": "GET", "status": 403}


def test_an_address_nobody_can_store_is_refused_all_the_same(outsider, browser_of):
    assert browser_of(outsider).get("/admin/%00%ff/").status_code == 403
    assert "\x00" not in Event.objects.get().target_label


def test_adding_a_person(office, admin):
    group = Group.objects.get(name=roles.AGENT)
    answer = office.post("/admin/accounts/user/add/", NEW | {"groups": [str(group.pk)]})
    assert answer.status_code == 302
    person = User.objects.get(username="newcomer")
    assert person.role_names == [roles.AGENT]
    assert person.email == "newcomer@example.org"
    event = last("user.created")
    assert (event.actor_id, event.target_type, event.target_id) == (admin.pk, "user", str(person.pk))
    assert event.details["changes"]["groups"] == [None, ["Agent"]]
    assert event.facts["fields"] == ["email", "groups", "password", "username"]
    assert PASSWORD not in whole_log()
    assert (
        Browser().post("/accounts/login/", {"login": "NEWCOMER@example.org", "password": PASSWORD}).status_code == 302
    )


@pytest.mark.parametrize("change", [{"username": "AGENT"}, {"email": "AGENT@EXAMPLE.ORG"}])
def test_names_and_addresses_are_nobody_else_s_in_any_case(office, agent, change):
    assert office.post("/admin/accounts/user/add/", NEW | change).status_code == 200
    assert not User.objects.filter(username__in=("newcomer", "AGENT")).exists()


@pytest.mark.parametrize("password", ["short", "123456789012", "password1234", "newcomer@example.org"])
def test_weak_passwords_are_refused(office, password):
    office.post("/admin/accounts/user/add/", NEW | {"password1": password, "password2": password})
    assert not User.objects.filter(username="newcomer").exists()


def test_a_change_says_what_was_and_what_is(office, admin, agent):
    lead = Group.objects.get(name=roles.TEAM_LEAD)
    office.post(change_of(agent), person_form(agent, groups=[str(lead.pk)], first_name="Nora"))
    assert User.objects.get(pk=agent.pk).role_names == [roles.TEAM_LEAD]
    event = last("user.roles_changed")
    assert (event.actor_id, event.target_id) == (admin.pk, str(agent.pk))
    assert event.facts == {"fields": ["groups"]}
    assert event.details["changes"] == {"groups": [["Agent"], ["Team lead"]]}
    assert last("user.changed").details["changes"]["first_name"] == ["Mika", "Nora"]
    assert "groups" not in last("user.changed").details["changes"]


def test_a_disabled_person_is_out_at_once(office, agent, browser_of):
    browser = browser_of(agent)
    form = person_form(agent)
    del form["is_active"]
    office.post(change_of(agent), form)
    assert browser.get("/").status_code == 302
    assert last("user.disabled").details["changes"] == {"is_active": [True, False]}
    assert last("user.disabled").target_id == str(agent.pk)
    office.post(change_of(agent), person_form(agent))
    assert last("user.enabled").details["changes"] == {"is_active": [False, True]}


def test_a_new_password_ends_the_person_s_sessions_and_stays_out_of_the_log(office, agent, browser_of):
    browser = browser_of(agent)
    new = "another horse, another battery"
    form = {"password1": new, "password2": new, "usable_password": "true"}
    assert office.post(change_of(agent, "password"), form).status_code == 302
    assert browser.get("/").status_code == 302
    event = last("user.password_set")
    assert event.target_id == str(agent.pk)
    assert new not in whole_log()
    assert event.details["changes"] == {"password": ["", "set"]}


def test_a_changed_address_takes_the_old_one_s_rights(office, agent):
    EmailAddress.objects.create(user=agent, email=agent.email, verified=True, primary=True)
    office.post(change_of(agent), person_form(agent, email="new@example.org"))
    Browser().post("/accounts/password/reset/", {"email": "agent@example.org"})
    assert mail.outbox == []
    assert not EmailAddress.objects.exists()


@pytest.mark.parametrize("who", ["agent", "admin"])
def test_extra_fields_raise_nobody(office, agent, admin, who):
    person = {"agent": agent, "admin": admin}[who]
    every = [str(pk) for pk in Permission.objects.values_list("pk", flat=True)]
    extra = {"is_superuser": "on", "is_staff": "on", "user_permissions": every, "last_login_0": "2020-01-01"}
    office.post(change_of(person), person_form(person, **extra))
    office.post("/admin/accounts/user/add/", NEW | extra)
    for found in User.objects.all():
        assert (found.is_superuser, found.is_staff, found.user_permissions.count()) == (False, False, 0)


@pytest.mark.parametrize("path", ["", "add/", "1/change/", "1/delete/", "1/password/"])
def test_others_cannot_give_themselves_a_role(agent, lead, auditor, outsider, browser_of, path):
    group = Group.objects.get(name=roles.ADMINISTRATOR)
    for person in (agent, lead, auditor, outsider):
        form = person_form(person, groups=[str(group.pk)], password1=PASSWORD, password2=PASSWORD)
        real = path.replace("1", str(person.pk))
        assert browser_of(person).post(f"/admin/accounts/user/{real}", form).status_code == 403
        assert roles.ADMINISTRATOR not in User.objects.get(pk=person.pk).role_names
    assert Event.objects.filter(kind="access.denied").count() == 4


def test_administrators_neither_see_nor_touch_superusers(office, superuser):
    assert "rut" not in office.get("/admin/accounts/user/").content.decode()
    assert "0 people" in office.get("/admin/accounts/user/?q=rut").content.decode()
    for tail in ("change", "history"):
        assert office.get(change_of(superuser, tail)).status_code == 302
    assert office.post(change_of(superuser), person_form(superuser, username="mine")).status_code == 302
    new = {"password1": "another horse, another", "password2": "another horse, another", "usable_password": "true"}
    assert office.post(change_of(superuser, "password"), new).status_code == 404
    assert office.post(change_of(superuser, "delete")).status_code in (302, 403)
    found = User.objects.get(pk=superuser.pk)
    assert found.username == "rut"
    assert found.check_password(PASSWORD)


def test_superusers_see_everybody(superuser, agent, browser_of, vendor):
    page = browser_of(superuser).get("/admin/accounts/user/").content.decode()
    assert "rut" in page
    assert "agent" in page
    assert browser_of(superuser).get(change_of(superuser)).status_code == 200


@pytest.mark.parametrize("role", ["admin", "superuser"])
def test_nobody_is_deleted(request, agent, browser_of, vendor, role):
    browser = browser_of(request.getfixturevalue(role))
    assert browser.post(change_of(agent, "delete"), {"post": "yes"}).status_code == 403
    action = {"action": "delete_selected", "_selected_action": [str(agent.pk)], "post": "yes"}
    browser.post("/admin/accounts/user/", action)
    assert User.objects.filter(pk=agent.pk).exists()
    assert "delete_selected" not in browser.get("/admin/accounts/user/").content.decode()


def test_the_groups_hold_what_the_table_of_roles_says(db):
    for name, permissions in roles.ROLES.items():
        found = Group.objects.get(name=name).permissions.values_list("content_type__app_label", "codename")
        assert {".".join(pair) for pair in found} == permissions


@pytest.mark.parametrize("role", ["admin", "superuser"])
def test_a_policy_change_is_an_event_with_who_and_what(request, browser_of, vendor, role):
    person = request.getfixturevalue(role)
    Policy.load()
    form = POLICY_LIMITS | {"helpdesk_name": "Helpdesk", "recording": "off", "previews": "click"}
    assert browser_of(person).post(POLICY, form).status_code == 302
    event = last("policy.changed")
    assert (event.actor_id, event.target_type, event.result) == (person.pk, "policy", "ok")
    assert event.details["changes"] == {"recording": ["default", "off"]}
    assert Policy.load().recording == "off"


def test_a_policy_that_is_none_changes_nothing(office):
    Policy.load()
    form = POLICY_LIMITS | {"helpdesk_name": "Helpdesk", "recording": "sometimes", "previews": "click"}
    assert office.post(POLICY, form).status_code == 200
    assert Policy.load().recording == "default"
    assert not Event.objects.exists()


def test_the_event_of_a_change_fails_with_the_change(office, agent, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("no log")

    monkeypatch.setattr("portal.audit.appending.append", fail)
    office.raise_request_exception = False
    assert office.post(change_of(agent), person_form(agent, first_name="Changed")).status_code == 500
    assert User.objects.get(pk=agent.pk).first_name == "Mika"


@pytest.mark.parametrize("role", ["admin", "superuser"])
def test_invitations_are_to_look_at_without_code_and_link(request, browser_of, vendor, look, role):
    vendor.add("Tilda", status=1)
    look()
    row = Invitation.objects.get()
    browser = browser_of(request.getfixturevalue(role))
    for tail in ("", f"{row.pk}/change/", "?q=Tilda"):
        page = browser.get(f"/admin/invitations/invitation/{tail}").content.decode()
        assert "Tilda" in page
        assert row.code not in page
        assert row.invite_url not in page
    for tail in ("change", "delete"):
        answer = browser.post(f"/admin/invitations/invitation/{row.pk}/{tail}/", {"client_name": "x", "post": "yes"})
        assert answer.status_code == 403
    assert Invitation.objects.get().client_name == "Tilda"


def test_deletions_would_be_recorded(rf, admin, agent):
    from portal.accounts.admin import UserAdmin

    request = rf.post("/")
    request.user = admin
    UserAdmin(User, site.site).log_deletions(request, User.objects.filter(pk=agent.pk))
    assert (last("admin.deleted").actor_id, last("admin.deleted").target_id) == (admin.pk, str(agent.pk))


def without(form, *names):
    return {name: value for name, value in form.items() if name not in names}


@pytest.mark.parametrize(
    ("missing", "words", "reason"),
    [("is_active", "switch off your own", "own account"), ("groups", "change your own roles", "own roles")],
)
def test_nobody_locks_himself_out_and_trying_is_an_event(office, admin, superuser, missing, words, reason):
    answer = office.post(change_of(admin), without(person_form(admin, first_name="New"), missing))
    assert answer.status_code == 200
    assert words in answer.content.decode()
    found = User.objects.get(pk=admin.pk)
    assert (found.is_active, found.role_names, found.first_name) == (True, [roles.ADMINISTRATOR], "")
    event = Event.objects.get()
    assert (event.kind, event.result, event.facts) == ("user.change_refused", "denied", {"reason": reason})
    assert (event.actor_id, event.target_id) == (admin.pk, str(admin.pk))


def test_nobody_gives_themselves_a_role(office, admin, superuser):
    every = [str(pk) for pk in Group.objects.values_list("pk", flat=True)]
    assert office.post(change_of(admin), person_form(admin, groups=every, is_superuser="on")).status_code == 200
    assert User.objects.get(pk=admin.pk).role_names == [roles.ADMINISTRATOR]
    assert last("user.change_refused").facts == {"reason": "own roles"}


def test_one_s_own_password_is_changed_where_the_old_one_is_asked_for(office, admin):
    new = {"password1": "another horse, another", "password2": "another horse, another", "usable_password": "true"}
    for answer in (office.get(change_of(admin, "password")), office.post(change_of(admin, "password"), new)):
        assert answer.headers["Location"] == "/accounts/password/change/"
    assert User.objects.get(pk=admin.pk).check_password(PASSWORD)


@pytest.mark.parametrize("missing", ["is_active", "groups"])
def test_somebody_stays_administrator(office, admin, make_person, monkeypatch, missing):
    other = make_person("other", roles.ADMINISTRATOR)

    def switched_off_meanwhile():
        User.objects.filter(pk=admin.pk).update(is_active=False)

    monkeypatch.setattr("portal.accounts.admin.people.lock_administrator_role", switched_off_meanwhile)
    answer = office.post(change_of(other), without(person_form(other), missing))
    assert answer.status_code == 200
    assert "Somebody must stay administrator" in answer.content.decode()
    assert last("user.change_refused").facts == {"reason": "last administrator"}
    found = User.objects.get(pk=other.pk)
    assert (found.is_active, found.role_names) == (True, [roles.ADMINISTRATOR])


def test_another_administrator_may_go(office, make_person):
    other = make_person("other", roles.ADMINISTRATOR)
    assert office.post(change_of(other), without(person_form(other), "is_active", "groups")).status_code == 302
    assert not User.objects.get(pk=other.pk).is_active


def test_the_forms_speak_of_roles_and_say_nothing_of_hashes(office, agent):
    page = office.get(change_of(agent)).content.decode()
    assert "Roles" in page
    assert "Groups:" not in page
    assert "Reset password" in page
    assert "argon2" not in page
    assert "algorithm" not in page
    new = office.get("/admin/accounts/user/add/").content.decode()
    assert 'name="first_name"' in new
    assert 'type="checkbox" name="groups"' in new
    for path in ("/admin/accounts/user/add/", change_of(agent, "password")):
        assert "LDAP" not in office.get(path).content.decode()


def test_a_person_without_a_role_is_pointed_out(office):
    words = "has no role"
    page = office.post("/admin/accounts/user/add/", NEW | {"first_name": "Nia"}, follow=True).content.decode()
    assert words in page
    person = User.objects.get(username="newcomer")
    assert person.first_name == "Nia"
    group = Group.objects.get(name=roles.AGENT)
    page = office.post(change_of(person), person_form(person, groups=[str(group.pk)]), follow=True).content.decode()
    assert words not in page


def test_a_password_is_never_taken_away(office, agent):
    form = {"usable_password": "false", "unset-password": "1"}
    assert office.post(change_of(agent, "password"), form).status_code == 200
    assert User.objects.get(pk=agent.pk).check_password(PASSWORD)


def test_the_one_policy_opens_at_once_and_signing_out_is_near(office):
    assert office.get("/admin/invitations/policy/").headers["Location"] == POLICY
    assert 'href="/accounts/logout/"' in office.get(POLICY).content.decode()
