"""Every policy of the administration's page is acted on, by pages and by whatever else calls the actions."""

import re

import pytest
from django.contrib.auth.models import Group
from django.core import mail

from invitations import actions, views
from invitations.models import Invitation, Policy
from invitations.refusals import TicketMissing
from tests.conftest import POLICY_LIMITS, Browser

POLICY = "/admin/invitations/policy/1/change/"
NAME = "Quillmere & Söhne"


def decide(**changes):
    Policy.load()
    Policy.objects.update(**changes)


def test_the_page_has_every_policy_there_is(admin, browser_of, vendor):
    Policy.load()
    fields = {field.name for field in Policy._meta.fields} - {"id", "logo_digest"}
    answer = browser_of(admin).get(POLICY)
    page, form = answer.content.decode(), answer.context["adminform"].form
    assert {name for name in fields if f'name="{name}"' not in page} == set()
    assert set(form.fields) == fields | {"logo", "is_logo_removed"}
    for field in form.fields.values():
        assert field.help_text or field.label, "each says what it does"


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
@pytest.mark.parametrize("ticket", ["", "   ", "\u00a0", "\t\u2003"])
def test_without_a_ticket_nothing_is_made_where_one_is_needed(agent, browser_of, vendor, look, headers, ticket):
    look()
    decide(is_ticket_required=True)
    answer = browser_of(agent).post("/invitations/new/", {"client_name": "Tilda", "ticket": ticket}, headers=headers)
    assert answer.status_code == 422
    assert 'value="Tilda"' in answer.content.decode()
    assert not vendor.rows()


def test_the_action_asks_for_the_ticket_as_well(agent, vendor, look):
    look()
    decide(is_ticket_required=True)
    with pytest.raises(TicketMissing):
        actions.create(by=agent, client_name="Tilda")
    assert not vendor.rows()
    assert actions.create(by=agent, ticket="HD-7").ticket == "HD-7"


def test_a_ticket_that_is_needed_since_a_moment_ago_keeps_what_was_typed(agent, browser_of, vendor, look, monkeypatch):
    look()
    decide(is_ticket_required=True)
    monkeypatch.setattr(views, "policy_of", lambda request: Policy(is_ticket_required=False))
    answer = browser_of(agent).post("/invitations/new/", {"client_name": "Tilda"})
    assert answer.status_code == 422
    assert "Your team asks for a ticket with every invitation" in answer.content.decode()
    assert 'value="Tilda"' in answer.content.decode()


@pytest.mark.parametrize(("previews", "status"), [("shown", 200), ("click", 200), ("off", 403)])
def test_previews_are_what_the_policy_says(agent, browser_of, vendor, look, previews, status):
    vendor.add("Tilda", status=1, client_os="win")
    look()
    decide(previews=previews)
    browser, row = browser_of(agent), Invitation.objects.get()
    assert browser.get(f"/invitations/{row.public_id}/preview/").status_code == status
    board = browser.get("/").content.decode()
    assert (f"/invitations/{row.public_id}/preview/" in board) == (previews == "shown")


def test_the_helpdesk_s_name_is_in_every_title_and_mail(agent, admin, outsider, browser_of, vendor):
    decide(helpdesk_name=NAME)
    office, titled = browser_of(admin), re.compile(r"<title>[^<]*Quillmere &amp; Söhne[^<]*</title>", re.DOTALL)
    group = Group.objects.first()
    pages = {
        Browser(): ("/accounts/login/", "/accounts/password/reset/", "/accounts/enrol/x/", "/accounts/invite/x/"),
        browser_of(agent): ("/", "/history/", "/invitations/new/", "/nowhere/", "/accounts/security/", "/admin/"),
        browser_of(outsider): ("/",),
        office: (
            *("/audit/", "/admin/", "/admin/accounts/user/", "/admin/accounts/user/import/", "/admin/self-check/"),
            *(POLICY, f"/admin/auth/group/{group.pk}/change/", f"/admin/accounts/user/{agent.pk}/link/"),
        ),
    }
    without = [path for browser, paths in pages.items() for path in paths if not shows(browser, path, titled)]
    assert not without
    Browser().post("/accounts/password/reset/", {"email": agent.email})
    office.post(f"/admin/accounts/user/{agent.pk}/link/", {"is_mailed": "on"})
    assert [NAME in message.subject and NAME in message.body for message in mail.outbox] == [True, True]


def shows(browser, path, titled):
    return bool(titled.search(browser.get(path).content.decode()))


def test_a_name_cannot_break_a_mail_s_head(admin, agent, browser_of, vendor):
    decide(helpdesk_name="Help\nBcc: all@example.org")
    browser_of(admin).post(f"/admin/accounts/user/{agent.pk}/link/", {"is_mailed": "on"})
    assert "\n" not in mail.outbox[0].subject
    assert mail.outbox[0].recipients() == [agent.email]


@pytest.mark.parametrize("number", ["-1", "40000", "x", ""])
@pytest.mark.parametrize("name", sorted(name for name, limit in POLICY_LIMITS.items() if limit.isdecimal()))
def test_limits_are_whole_numbers(admin, browser_of, vendor, name, number):
    Policy.load()
    form = POLICY_LIMITS | {"helpdesk_name": "Help", "recording": "on", "previews": "off", name: number}
    assert browser_of(admin).post(POLICY, form).status_code == 200
    assert Policy.load().recording == "default"
