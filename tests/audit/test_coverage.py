"""Every address × outcome, and the events it leaves: what is not listed here does not pass.

Built on the table of addresses in `tests/test_access.py`. For each address and method seven outcomes are
tried: somebody who may, somebody whose role lacks it, nobody signed in, a form without its token, a form
with something wrong in it, a vendor who refuses, and a vendor who does not answer. The same rule holds
everywhere for two of them: a role that lacks it leaves `access.denied`, a form without its token
`access.csrf`. The table says the rest; an outcome that is not named leaves nothing.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache

from invitations.models import Operation, Snapshot
from portal.audit import strangers
from portal.audit.models import Event
from tests.conftest import PASSWORD, POLICY_LIMITS, Browser
from tests.test_access import EXPECTED, TOKENLESS, Cast

NEW = "another long and quiet passphrase"
HERE = "invitations/<slug:public_id>/"
USER = "admin/accounts/user/"
GROUP = "admin/auth/group/"
WEBHOOK = "admin/invitations/webhook/"
TEAM = "admin/accounts/team/"
POLICY = "admin/invitations/policy/<path:object_id>/change/"
MESSAGE = "admin/invitations/messagetemplate/"
A_MESSAGE = {"subject": "Hello", "body": "Open {link}"}
# What is sent where somebody may: a right form, and one with something wrong in it.
FORMS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "board/alerts/": ({"signal": "on"}, {"signal": "?"}),
    "invitations/new/": ({"client_name": "Tilda"}, {"client_name": "x" * 500}),
    f"{HERE}rename/": ({"client_name": "Bo"}, {"client_name": "x" * 500}),
    f"{HERE}connect/": ({}, {}),
    f"{HERE}close/": ({}, {"outcome": "?"}),
    f"{HERE}note/": ({"note": "calls back"}, {"note": "x" * 5000}),
    f"{HERE}outcome/": ({"outcome": "Solved"}, {"outcome": "?"}),
    f"{HERE}share/mail/": ({"to": "tilda@example.org", "language": "en"}, {"to": "?"}),
    f"{MESSAGE}add/": (A_MESSAGE | {"language": "fr"}, A_MESSAGE | {"body": "{0}"}),
    f"{MESSAGE}<path:object_id>/change/": (A_MESSAGE, A_MESSAGE | {"body": ""}),
    f"{MESSAGE}<path:object_id>/delete/": ({"post": "yes"}, {}),
    f"{HERE}claim/": ({}, {}),
    f"{HERE}hand-over/": ({"to": "person-<id>"}, {"to": "person-0"}),
    "audit/export/": ({"form": "jsonl"}, {"form": "?"}),
    f"{HERE}copied/": ({"what": "code"}, {"what": "everything"}),
    "accounts/login/": ({"login": "tom", "password": PASSWORD}, {"login": "tom", "password": "wrong"}),
    "accounts/keys/": ({"on": "on"}, {}),
    "accounts/logout/": ({}, {}),
    "accounts/reauthenticate/": ({"password": PASSWORD}, {"password": "wrong"}),
    "accounts/password/change/": (
        {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW},
        {"oldpassword": "wrong", "password1": NEW, "password2": NEW},
    ),
    "accounts/password/reset/": ({"email": "tom@example.org"}, {"email": "nobody@example.org"}),
    f"{USER}add/": ({"username": "new", "password1": NEW, "password2": NEW}, {"username": ""}),
    f"{USER}invite/": ({"username": "new"}, {"username": ""}),
    f"{USER}import/": ({"text": "username\nnew", "step": "all"}, {"text": "username\n=new", "step": "all"}),
    f"{USER}<id>/link/": ({}, {}),
    f"{USER}<id>/factors/": ({"reason": "lost phone"}, {"reason": ""}),
    f"{USER}<id>/password/": ({"password1": NEW, "password2": NEW}, {"password1": NEW, "password2": "other"}),
    f"{USER}<path:object_id>/change/": ({"username": "tom", "email": "tom@example.org"}, {"username": ""}),
    f"{TEAM}add/": ({"name": "Third line"}, {"name": "\u200b"}),
    f"{TEAM}<path:object_id>/change/": ({"name": "First line"}, {"name": ""}),
    f"{TEAM}<path:object_id>/delete/": ({"post": "yes"}, {}),
    f"{GROUP}add/": ({"name": "Second line", "actions": "invitations.see_board"}, {"name": "", "actions": "?"}),
    f"{GROUP}<path:object_id>/change/": ({"actions": "invitations.see_board"}, {"actions": "accounts.administer"}),
    "admin/invitations/outcome/add/": ({"name": "Referred", "position": "9"}, {"name": ""}),
    "admin/invitations/outcome/<path:object_id>/change/": ({"name": "Cured", "position": "1"}, {"name": ""}),
    "admin/invitations/outcome/<path:object_id>/delete/": ({"post": "yes"}, {}),
    f"{WEBHOOK}add/": (
        {"name": "Talk", "address": "https://8.8.8.8/"},
        {"name": "Talk", "address": "https://127.0.0.1/"},
    ),
    f"{WEBHOOK}<path:object_id>/change/": ({"name": "Talk"}, {"name": ""}),
    POLICY: (POLICY_LIMITS | {"helpdesk_name": "Desk", "recording": "off", "previews": "click"}, {"helpdesk_name": ""}),
}
PUBLIC_FORMS = ("accounts/login/", "accounts/password/reset/")  # for those who are not signed in
VENDOR_CALLS = {
    "invitations/new/": ("create",),
    f"{HERE}connect/": ("connect",),
    f"{HERE}rename/": ("update",),
    f"{HERE}close/": ("close", "list"),
    f"{HERE}preview/": ("preview",),
    "admin/self-check/": ("list",),
}
TABLE = """
-                                                        GET
-                                                        POST
board/rows/                                              GET
board/rows/                                              POST
board/waiting/                                           GET
board/waiting/                                           POST
board/alerts/                                            GET
board/alerts/                                            POST
sign-out/                                                GET
sign-out/                                                POST allowed=signout:ok
history/                                                 GET
history/                                                 POST
audit/                                                   GET  allowed=audit.viewed:ok
audit/                                                   POST
audit/export/                                            GET
audit/export/                                            POST
    allowed=audit.exported:?,audit.key_created:ok,audit.exported:ok
history/export/                                          GET
history/export/                                          POST allowed=history.exported:?,history.exported:ok
invitations/<slug:public_id>/share/                      GET
invitations/<slug:public_id>/share/                      POST
invitations/<slug:public_id>/share/mail/                 GET
invitations/<slug:public_id>/share/mail/                 POST allowed=invitation.mailed:ok
invitations/<slug:public_id>/evidence/                   GET
invitations/<slug:public_id>/evidence/                   POST
    allowed=audit.evidence:?,audit.key_created:ok,audit.evidence:ok
audit/verify/                                            GET
audit/verify/                                            POST allowed=audit.verify_requested:ok
audit/<int:seq>/                                         GET  allowed=audit.event_viewed:ok
audit/<int:seq>/                                         POST
invitations/new/                                         GET
invitations/new/                                         POST
    refused=invitation.create:?,invitation.create:failed
    silent=invitation.create:?,invitation.create:unknown
    allowed=invitation.create:?,invitation.create:ok
invitations/<slug:public_id>/                            GET
invitations/<slug:public_id>/                            POST
invitations/<slug:public_id>/live/                       GET
invitations/<slug:public_id>/live/                       POST
invitations/<slug:public_id>/connect/                    GET
invitations/<slug:public_id>/connect/                    POST
    refused=invitation.connect:?,invitation.connect:failed
    silent=invitation.connect:?,invitation.connect:unknown
    allowed=invitation.connect:?,invitation.connect:ok
invitations/<slug:public_id>/rename/                     GET
invitations/<slug:public_id>/rename/                     POST
    refused=invitation.rename:?,invitation.rename:failed
    silent=invitation.rename:?,invitation.rename:unknown
    allowed=invitation.rename:?,invitation.rename:ok
invitations/<slug:public_id>/claim/                      GET
invitations/<slug:public_id>/claim/                      POST allowed=invitation.claim:ok
invitations/<slug:public_id>/release/                    GET
invitations/<slug:public_id>/release/                    POST
invitations/<slug:public_id>/hand-over/                  GET
invitations/<slug:public_id>/hand-over/                  POST allowed=invitation.hand_over:ok
invitations/<slug:public_id>/close/                      GET
invitations/<slug:public_id>/close/                      POST
    refused=invitation.close:?,invitation.close:failed
    silent=invitation.close:?,invitation.close:unknown
    allowed=invitation.close:?,invitation.close:ok
invitations/<slug:public_id>/note/                       GET
invitations/<slug:public_id>/note/                       POST
    allowed=invitation.noted:ok
invitations/<slug:public_id>/note/versions/              GET
invitations/<slug:public_id>/note/versions/              POST
invitations/<slug:public_id>/outcome/                    GET
invitations/<slug:public_id>/outcome/                    POST
    allowed=invitation.noted:ok
invitations/<slug:public_id>/summary/                    GET
invitations/<slug:public_id>/summary/                    POST
invitations/<slug:public_id>/extend/                     GET
invitations/<slug:public_id>/extend/                     POST
invitations/<slug:public_id>/still/                      GET
invitations/<slug:public_id>/still/                      POST
invitations/stale/                                       GET
invitations/stale/                                       POST
invitations/<slug:public_id>/preview/                    GET
    refused=invitation.preview:failed
    silent=invitation.preview:failed
    allowed=invitation.preview:ok
invitations/<slug:public_id>/preview/                    POST
invitations/<slug:public_id>/copied/                     GET
invitations/<slug:public_id>/copied/                     POST allowed=invitation.revealed:ok
invitations/<slug:public_id>/qr/                         GET  allowed=invitation.qr:ok
invitations/<slug:public_id>/qr/                         POST
accounts/login/                                          GET
accounts/login/                                          POST invalid=signin.failed:denied allowed=signin.ok:ok
accounts/keys/                                           GET
accounts/keys/                                           POST
accounts/logout/                                         GET
accounts/logout/                                         POST allowed=signout:ok
accounts/signup/                                         GET
accounts/signup/                                         POST
accounts/inactive/                                       GET
accounts/inactive/                                       POST
accounts/reauthenticate/                                 GET
accounts/reauthenticate/                                 POST invalid=reauthentication.failed:denied
    allowed=reauthentication.ok:ok
accounts/reauthenticate/code/                            GET
accounts/reauthenticate/code/                            POST
accounts/reauthenticate/passkey/                         GET
accounts/reauthenticate/passkey/                         POST
accounts/login/code/                                     GET
accounts/login/code/                                     POST
accounts/login/passkey/                                  GET
accounts/login/passkey/                                  POST
accounts/security/                                       GET
accounts/security/                                       POST
accounts/security/app/                                   GET
accounts/security/app/                                   POST
accounts/security/app/qr/                                GET
accounts/security/app/qr/                                POST
accounts/security/app/remove/                            GET
accounts/security/app/remove/                            POST
accounts/security/passkeys/add/                          GET
accounts/security/passkeys/add/                          POST
accounts/security/passkeys/<int:pk>/rename/              GET
accounts/security/passkeys/<int:pk>/rename/              POST
accounts/security/passkeys/<int:pk>/remove/              GET
accounts/security/passkeys/<int:pk>/remove/              POST
accounts/security/codes/                                 GET
accounts/security/codes/                                 POST
accounts/security/codes/new/                             GET
accounts/security/codes/new/                             POST
accounts/security/sessions/                              GET
accounts/security/sessions/                              POST
accounts/security/sessions/others/end/                   GET
accounts/security/sessions/others/end/                   POST
accounts/security/sessions/<slug:tag>/end/               GET
accounts/security/sessions/<slug:tag>/end/               POST
accounts/password/change/                                GET
accounts/password/change/                                POST invalid=reauthentication.failed:denied
    allowed=password.changed:ok,session.ended:ok
accounts/password/reset/                                 GET
accounts/password/reset/                                 POST allowed=password.reset_requested:ok
accounts/password/reset/done/                            GET
accounts/password/reset/done/                            POST
accounts/password/reset/key/<uid>-<key>/                 GET  anon=password.reset_refused:denied
    allowed=password.reset_refused:denied
accounts/password/reset/key/<uid>-<key>/                 POST anon=password.reset_refused:denied
    allowed=password.reset_refused:denied
accounts/password/reset/key/done/                        GET
accounts/password/reset/key/done/                        POST
accounts/enrol/<str:token>/                              GET  anon=enrolment.refused:denied
    allowed=enrolment.refused:denied
accounts/enrol/<str:token>/                              POST anon=enrolment.refused:denied
    allowed=enrolment.refused:denied
accounts/invite/<str:token>/                             GET  anon=user.link_refused:denied
    allowed=user.link_refused:denied
accounts/invite/<str:token>/                             POST anon=user.link_refused:denied
    allowed=user.link_refused:denied
accounts/single-sign-on/                                 GET
accounts/single-sign-on/                                 POST
accounts/single-sign-on/callback/                        GET
accounts/single-sign-on/callback/                        POST
accounts/signed-out/                                     GET
accounts/signed-out/                                     POST
accounts/single-sign-on/confirm/                         GET
accounts/single-sign-on/confirm/                         POST
accounts/single-sign-on/connect/                         GET
accounts/single-sign-on/connect/                         POST
accounts/single-sign-on/disconnect/                      GET
accounts/single-sign-on/disconnect/                      POST
accounts/waiting/                                        GET
accounts/waiting/                                        POST
accounts/sign-in/<str:token>/                            GET  anon=user.link_refused:denied
    allowed=user.link_refused:denied
accounts/sign-in/<str:token>/                            POST anon=user.link_refused:denied
    allowed=user.link_refused:denied
logo/<slug:digest>.png                                   GET
logo/<slug:digest>.png                                   POST
branding/<slug:digest>.css                               GET
branding/<slug:digest>.css                               POST
join/                                                    GET
join/                                                    POST
join/<path:code>                                         GET
join/<path:code>                                         POST
j/                                                       GET
j/                                                       POST
j/<path:code>                                            GET
j/<path:code>                                            POST
admin/                                                   GET
admin/login/                                             GET
admin/login/                                             POST
admin/logout/                                            GET
admin/logout/                                            POST
admin/password_change/                                   GET
admin/password_change/                                   POST
admin/password_change/done/                              GET
admin/autocomplete/                                      GET  allowed=access.denied:denied
admin/jsi18n/                                            GET
admin/r/<path:content_type_id>/<path:object_id>/         GET
admin/self-check/                                        GET
admin/self-check/                                        POST
admin/forwarding/                                        GET
admin/forwarding/                                        POST
admin/<app>/                                             GET
admin/<anything>                                         GET
admin/<anything>                                         POST
admin/accounts/user/                                     GET
admin/accounts/user/                                     POST
admin/accounts/user/add/                                 GET
admin/accounts/user/add/                                 POST allowed=user.created:ok
admin/accounts/user/<id>/password/                       GET
admin/accounts/user/<id>/password/                       POST allowed=user.password_set:ok
admin/accounts/user/invite/                              GET
admin/accounts/user/invite/                              POST allowed=user.created:ok,user.link_made:ok
admin/accounts/user/import/                              GET
admin/accounts/user/import/                              POST allowed=user.created:ok,user.link_made:ok
admin/accounts/user/<id>/link/                           GET
admin/accounts/user/<id>/link/                           POST allowed=user.link_made:ok
admin/accounts/user/<id>/factors/                        GET
admin/accounts/user/<id>/factors/                        POST allowed=factor.reset:ok
admin/accounts/user/<id>/disconnect/                     GET
admin/accounts/user/<id>/disconnect/                     POST
admin/accounts/user/<id>/approve/                        GET
admin/accounts/user/<id>/approve/                        POST
admin/accounts/user/<id>/sessions/                       GET
admin/accounts/user/<id>/sessions/                       POST
admin/accounts/user/end-every-session/                   GET
admin/accounts/user/end-every-session/                   POST
admin/accounts/user/<path:object_id>/                    GET
admin/accounts/user/<path:object_id>/change/             GET
admin/accounts/user/<path:object_id>/change/             POST allowed=user.disabled:ok,user.roles_changed:ok
admin/accounts/user/<path:object_id>/history/            GET
admin/accounts/user/<path:object_id>/delete/             GET  allowed=access.denied:denied
admin/accounts/user/<path:object_id>/delete/             POST allowed=access.denied:denied
admin/accounts/team/                                     GET
admin/accounts/team/add/                                 GET
admin/accounts/team/add/                                 POST allowed=team.added:ok
admin/accounts/team/<path:object_id>/                    GET
admin/accounts/team/<path:object_id>/change/             GET
admin/accounts/team/<path:object_id>/change/             POST allowed=team.changed:ok
admin/accounts/team/<path:object_id>/history/            GET
admin/accounts/team/<path:object_id>/delete/             GET
admin/accounts/team/<path:object_id>/delete/             POST allowed=team.deleted:ok
admin/auth/group/                                        GET
admin/auth/group/add/                                    GET
admin/auth/group/add/                                    POST allowed=role.added:ok
admin/auth/group/<path:object_id>/                       GET
admin/auth/group/<path:object_id>/change/                GET
admin/auth/group/<path:object_id>/change/                POST allowed=role.changed:ok
admin/auth/group/<path:object_id>/history/               GET
admin/auth/group/<path:object_id>/delete/                GET  allowed=access.denied:denied
admin/auth/group/<path:object_id>/delete/                POST allowed=access.denied:denied
admin/audit/event/                                       GET  allowed=audit.viewed:ok
admin/audit/event/add/                                   GET  allowed=access.denied:denied
admin/audit/event/add/                                   POST allowed=access.denied:denied
admin/audit/event/<path:object_id>/                      GET
admin/audit/event/<path:object_id>/change/               GET  allowed=audit.event_viewed:ok
admin/audit/event/<path:object_id>/change/               POST allowed=access.denied:denied
admin/audit/event/<path:object_id>/history/              GET
admin/audit/event/<path:object_id>/delete/               GET  allowed=access.denied:denied
admin/audit/event/<path:object_id>/delete/               POST allowed=access.denied:denied
admin/invitations/policy/                                GET
admin/invitations/policy/add/                            GET  allowed=access.denied:denied
admin/invitations/policy/add/                            POST allowed=access.denied:denied
admin/invitations/policy/<path:object_id>/               GET
admin/invitations/policy/<path:object_id>/change/        GET
admin/invitations/policy/<path:object_id>/change/        POST allowed=policy.changed:ok
admin/invitations/policy/<path:object_id>/history/       GET
admin/invitations/policy/<path:object_id>/delete/        GET  allowed=access.denied:denied
admin/invitations/policy/<path:object_id>/delete/        POST allowed=access.denied:denied
admin/invitations/outcome/                               GET
admin/invitations/outcome/add/                           GET
admin/invitations/outcome/add/                           POST allowed=admin.added:ok
admin/invitations/outcome/<path:object_id>/              GET
admin/invitations/outcome/<path:object_id>/change/       GET
admin/invitations/outcome/<path:object_id>/change/       POST allowed=admin.changed:ok
admin/invitations/outcome/<path:object_id>/history/      GET
admin/invitations/outcome/<path:object_id>/delete/       GET
admin/invitations/outcome/<path:object_id>/delete/       POST allowed=admin.deleted:ok
admin/invitations/messagetemplate/                       GET
admin/invitations/messagetemplate/add/                   GET
admin/invitations/messagetemplate/add/                   POST allowed=admin.added:ok
admin/invitations/messagetemplate/<path:object_id>/      GET
admin/invitations/messagetemplate/<path:object_id>/change/ GET
admin/invitations/messagetemplate/<path:object_id>/change/ POST allowed=admin.changed:ok
admin/invitations/messagetemplate/<path:object_id>/history/ GET
admin/invitations/messagetemplate/<path:object_id>/delete/ GET
admin/invitations/messagetemplate/<path:object_id>/delete/ POST allowed=admin.deleted:ok
admin/invitations/policy/test-mail/                      GET
admin/invitations/policy/test-mail/                      POST allowed=delivery.tested:ok
admin/invitations/policy/test-webhooks/                  GET
admin/invitations/policy/test-webhooks/                  POST
admin/invitations/webhook/                               GET
admin/invitations/webhook/add/                           GET
admin/invitations/webhook/add/                           POST allowed=admin.added:ok
admin/invitations/webhook/<int:pk>/test/                 GET
admin/invitations/webhook/<int:pk>/test/                 POST allowed=delivery.tested:failed
admin/invitations/webhook/<path:object_id>/              GET
admin/invitations/webhook/<path:object_id>/change/       GET
admin/invitations/webhook/<path:object_id>/change/       POST allowed=admin.changed:ok
admin/invitations/webhook/<path:object_id>/history/      GET
admin/invitations/webhook/<path:object_id>/delete/       GET
admin/invitations/webhook/<path:object_id>/delete/       POST
admin/invitations/delivery/                              GET
admin/invitations/delivery/                              POST
admin/invitations/delivery/add/                          GET  allowed=access.denied:denied
admin/invitations/delivery/add/                          POST allowed=access.denied:denied
admin/invitations/delivery/<path:object_id>/             GET
admin/invitations/delivery/<path:object_id>/change/      GET
admin/invitations/delivery/<path:object_id>/change/      POST allowed=access.denied:denied
admin/invitations/delivery/<path:object_id>/history/     GET
admin/invitations/delivery/<path:object_id>/delete/      GET  allowed=access.denied:denied
admin/invitations/delivery/<path:object_id>/delete/      POST allowed=access.denied:denied
admin/invitations/invitation/                            GET
admin/invitations/invitation/add/                        GET  allowed=access.denied:denied
admin/invitations/invitation/add/                        POST allowed=access.denied:denied
admin/invitations/invitation/<path:object_id>/           GET
admin/invitations/invitation/<path:object_id>/change/    GET
admin/invitations/invitation/<path:object_id>/change/    POST allowed=access.denied:denied
admin/invitations/invitation/<path:object_id>/history/   GET
admin/invitations/invitation/<path:object_id>/delete/    GET  allowed=access.denied:denied
admin/invitations/invitation/<path:object_id>/delete/    POST allowed=access.denied:denied
"""


def table() -> dict[tuple[str, str], dict[str, list[str]]]:
    found = {}
    for line in TABLE.strip().replace("\n    ", " ").splitlines():
        address, method, *cells = line.split()
        outcomes = dict(cell.split("=", 1) for cell in cells)
        found[address, method] = {outcome: kinds.split(",") for outcome, kinds in outcomes.items()}
    return found


EVENTS = table()


def test_every_address_is_listed():
    assert set(EVENTS) == set(EXPECTED)


def told(after: int) -> list[str]:
    """What the log says since then: each kind with its result, a question mark for an intent."""
    found = Event.objects.filter(seq__gt=after).order_by("seq")
    return [f"{event.kind}:{event.result or '?'}" for event in found]


class Visit:
    """One address and method, visited in different circumstances."""

    def __init__(self, cast: Cast, route: str, method: str) -> None:
        self.cast, self.route, self.method = cast, route, method
        expected = EXPECTED[route, method]
        self.who = next((who for who in ("own", "auditor", "admin") if expected[who] != 403), "admin")
        if route in PUBLIC_FORMS and method == "POST":
            self.who = "anon"
        self.path = cast.paths(route, "own" if self.who == "anon" and "slug" in route else self.who)[0]

    def events(self, who: str, *, form: int = 0, strict: bool = False) -> list[str]:
        cache.clear()
        strangers.memory.forget()
        browser = Browser(enforce_csrf_checks=strict)
        if person := self.cast.people[who]:
            browser.force_login(person)
        after = Event.objects.count()
        if self.method == "POST":
            fields = FORMS.get(self.route, ({}, {}))[form]
            somebody = str(self.cast.somebody.pk)
            answer = browser.post(self.path, {name: text.replace("<id>", somebody) for name, text in fields.items()})
        else:
            answer = browser.get(self.path)
        b"".join(answer)  # what is streamed is told when it is sent
        return told(after)

    def with_fault(self, fault: str) -> list[str]:
        self.renew()
        for call in VENDOR_CALLS.get(self.route, ()):
            self.cast.vendor.fail(call, fault, times=None)
        found = self.events(self.who)
        self.cast.vendor.clear()
        self.cast.look()
        return found

    def renew(self) -> None:
        """Nothing is under way, and the vendor is asked again after a failure."""
        Operation.objects.all().delete()
        Snapshot.objects.update(trouble="")

    def outcomes(self) -> dict[str, list[str]]:
        is_form = self.method == "POST" and self.route in FORMS
        return {
            "denied": self.events("none") if EXPECTED[self.route, self.method]["none"] == 403 else [],
            "anon": self.events("anon") if self.who != "anon" else [],
            "csrf": self.events(self.who, strict=True) if self.method == "POST" else [],
            "invalid": self.events(self.who, form=1) if is_form and any(FORMS[self.route]) else [],
            "refused": self.with_fault("status_400") if self.route in VENDOR_CALLS else [],
            "silent": self.with_fault("hang") if self.route in VENDOR_CALLS else [],
            "allowed": self.allowed(),
        }

    def allowed(self) -> list[str]:
        self.renew()
        return self.events(self.who)


@pytest.fixture
def visit(make_person, vendor, look, request) -> Any:
    route, method = request.getfixturevalue("route"), request.getfixturevalue("method")
    return Visit(Cast(make_person, vendor, look), route, method)


@pytest.mark.parametrize(("route", "method"), EXPECTED, ids=lambda value: value)
def test_each_outcome_leaves_what_the_table_says(visit, route, method):
    found = {outcome: kinds for outcome, kinds in visit.outcomes().items() if kinds}
    expected = dict(EVENTS[route, method])
    if EXPECTED[route, method]["none"] == 403:
        expected["denied"] = ["access.denied:denied"]
    if method == "POST" and route not in TOKENLESS:
        expected["csrf"] = ["access.csrf:denied"]
    assert found == expected
    if route not in VENDOR_CALLS:
        assert not visit.cast.vendor.ledger.requests, "a vendor who fails is an outcome of its own"
