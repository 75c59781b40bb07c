"""Who the client is, what every answer carries, where the probes answer, where a browser goes without a session."""

import ipaddress
from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError, connection
from django.test import Client
from django.utils import timezone

from invitations.models import Invitation, Snapshot
from portal import audit, health, log
from portal.audit.models import Event, Standing
from portal.middleware import page_to_return_to
from tests.conftest import PASSWORD, Browser

PROXY = "10.0.0.1"
SPOOFED = "192.0.2.66"
NOTHING_YET = {
    "seconds_since_sync": None,
    "minutes_since_anchor": None,
    "forward_lag": None,
    "hours_since_backup": None,
}


@pytest.fixture
def proxies(settings):
    settings.TRUSTED_PROXIES = [ipaddress.ip_network(entry) for entry in ("10.0.0.0/24", "2001:db8:f::/64")]


def sign_in_from(peer, **headers):
    return Browser().post(
        "/accounts/login/", {"login": "agent", "password": PASSWORD}, REMOTE_ADDR=peer, headers=headers
    )


@pytest.mark.parametrize(
    ("peer", "forwarded", "kept"),
    [
        ("203.0.113.7", None, "203.0.113.7"),
        ("203.0.113.7", SPOOFED, "203.0.113.7"),  # not a proxy of ours
        (PROXY, None, PROXY),
        (PROXY, "", PROXY),
        (PROXY, "203.0.113.7", "203.0.113.7"),
        (PROXY, f"{SPOOFED}, 203.0.113.7", "203.0.113.7"),  # what the client wrote stands on the left
        (PROXY, f"{SPOOFED},203.0.113.7, 10.0.0.2", "203.0.113.7"),  # a chain of ours
        (PROXY, "10.0.0.9", "10.0.0.9"),
        (PROXY, f"{SPOOFED}, garbage", PROXY),
        (PROXY, f"{SPOOFED}, 203.0.113.7:5000", PROXY),
        (PROXY, f"{SPOOFED}, ", PROXY),
        (PROXY, "2001:DB8::7", "2001:db8::7"),
        (PROXY, "::ffff:203.0.113.7", "203.0.113.7"),
        (PROXY, "fe80::1%eth0", "fe80::1"),
        (f"::ffff:{PROXY}", "203.0.113.7", "203.0.113.7"),  # a server that listens on IPv6
        ("2001:db8:f::1", "203.0.113.7", "203.0.113.7"),
        ("2001:db8:e::1", SPOOFED, "2001:db8:e::1"),
        ("", SPOOFED, None),
    ],
)
def test_only_a_listed_proxy_says_who_the_client_is(agent, vendor, proxies, peer, forwarded, kept):
    headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
    sign_in_from(peer, **headers)
    assert Event.objects.get(kind="signin.ok").origin_ip == kept


@pytest.mark.parametrize("header", ["x-forwarded-for", "x-real-ip", "forwarded", "client-ip", "true-client-ip", "via"])
def test_without_listed_proxies_headers_mean_nothing(agent, vendor, header):
    sign_in_from("203.0.113.7", **{header: SPOOFED, "x-forwarded-for": SPOOFED})
    assert Event.objects.get(kind="signin.ok").origin_ip == "203.0.113.7"


def test_forged_addresses_do_not_get_around_the_limit(agent, vendor):
    for number in range(5):
        Browser().post(
            "/accounts/login/",
            {"login": "agent", "password": "wrong"},
            REMOTE_ADDR="203.0.113.7",
            headers={"x-forwarded-for": f"198.51.100.{number}"},
        )
    assert sign_in_from("203.0.113.7", **{"x-forwarded-for": SPOOFED}).status_code == 200
    assert Event.objects.first().kind == "signin.limited"


@pytest.mark.parametrize(
    ("peer", "headers", "status"),
    [
        ("203.0.113.7", {}, 301),
        ("203.0.113.7", {"x-forwarded-proto": "https"}, 301),
        (PROXY, {}, 301),
        (PROXY, {"x-forwarded-proto": "http"}, 301),
        (PROXY, {"x-forwarded-proto": "https"}, 200),
        (PROXY, {"x-forwarded-proto": " HTTPS "}, 200),
        (PROXY, {"x-forwarded-proto": "http, https"}, 301),
        (PROXY, {"x-forwarded-ssl": "on"}, 301),
    ],
)
def test_only_a_listed_proxy_says_that_it_was_https(db, proxies, peer, headers, status):
    answer = Client().get("/accounts/login/", REMOTE_ADDR=peer, headers=headers)
    assert answer.status_code == status
    if status == 301:
        assert answer.headers["Location"] == "https://testserver/accounts/login/"


@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"x-forwarded-host": "evil.example"}])
def test_forged_host_names_lead_nowhere(db, proxies, headers):
    answer = Browser().get("/accounts/login/", REMOTE_ADDR=PROXY, headers=headers)
    assert answer.status_code == (400 if "host" in headers else 200)
    assert "evil.example" not in answer.content.decode()
    plain = Client().get("/accounts/login/", REMOTE_ADDR=PROXY, headers=headers)
    assert plain.status_code == (400 if "host" in headers else 301)
    assert "evil.example" not in plain.headers.get("Location", "")


# --- headers

EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
    "Referrer-Policy": "same-origin",
}


def assert_guarded(answer, **others):
    found = {name: answer.headers.get(name) for name in EVERYWHERE}
    assert found == EVERYWHERE | others
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "Server" not in answer.headers
    assert "X-Powered-By" not in answer.headers


KINDS_OF_ANSWERS = {
    "page": ("agent", "get", "/", 200),
    "fragment": ("agent", "get", "/board/rows/", 200),
    "redirect to sign-in": (None, "get", "/", 302),
    "sign-in": (None, "get", "/accounts/login/", 200),
    "sign-up": (None, "get", "/accounts/signup/", 404),
    "enrolment over": (None, "get", "/accounts/enrol/x/", 410),
    "slash added": (None, "get", "/history", 301),
    "forbidden": ("agent", "get", "/admin/", 403),
    "not found": ("agent", "get", "/nothing/", 404),
    "not found below static": (None, "get", "/static/nothing.css", 404),
    "wrong method": ("agent", "post", "/", 405),
    "bad form": ("agent", "post", "/invitations/new/", 422),
    "administration": ("admin", "get", "/admin/", 200),
    "script of the administration": ("admin", "get", "/admin/jsi18n/", 200),
    "static file": (None, "get", "/static/css/base.css", 200),
    "static file of the administration": (None, "get", "/static/admin/css/base.css", 200),
    "alive": (None, "get", "/healthz", 200),
    "ready": (None, "get", "/readyz", 200),
    "probe with a wrong method": (None, "post", "/healthz", 405),
}


@pytest.mark.parametrize("kind", KINDS_OF_ANSWERS)
def test_every_kind_of_answer_carries_the_headers(request, vendor, db, browser_of, anonymous, kind):
    who, method, path, status = KINDS_OF_ANSWERS[kind]
    browser = browser_of(request.getfixturevalue(who)) if who else anonymous
    answer = getattr(browser, method)(path, {"client_name": "x" * 101} if method == "post" else {})
    answer.close()  # of files
    assert answer.status_code == status
    assert_guarded(answer)
    is_file = path.startswith("/static/") and status == 200
    assert ("no-store" in answer.headers.get("Cache-Control", "")) != is_file
    if not is_file:
        assert {"Cookie", "HX-Request"} <= set(answer.headers["Vary"].split(", "))


def test_an_unchanged_poll_carries_the_headers(agent, browser_of, vendor, look):
    look()
    browser = browser_of(agent)
    tag = browser.get("/board/rows/").headers["HX-PTag"]
    answer = browser.get("/board/rows/", headers={"hx-ptag": tag})
    assert answer.status_code == 304
    assert_guarded(answer)


def test_our_own_fault_carries_the_headers_and_a_reference(agent, browser_of, monkeypatch, caplog):
    def fail(*args, **kwargs):
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr("invitations.views.Board", fail)
    browser = browser_of(agent)
    browser.raise_request_exception = False
    answer = browser.get("/")
    assert answer.status_code == 500
    assert_guarded(answer)
    page = answer.content.decode()
    assert answer.wsgi_request.reference in page
    assert "secret detail" not in page
    assert "Traceback" not in page


def test_a_refused_form_carries_the_headers(agent):
    strict = Browser(enforce_csrf_checks=True)
    strict.force_login(agent)
    answer = strict.post("/invitations/new/", {"client_name": "x"})
    assert answer.status_code == 403
    assert_guarded(answer)


def test_a_forged_host_gets_the_headers(db):
    answer = Browser().get("/", headers={"host": "evil.example"})
    assert answer.status_code == 400
    assert_guarded(answer)


def test_too_large_and_too_many_are_refused_with_the_headers(agent, browser_of, vendor):
    browser = browser_of(agent)
    large = browser.post("/invitations/new/", {"note": "x" * 300_000})
    many = browser.post("/invitations/new/", {f"f{number}": "x" for number in range(1_100)})
    for answer in (large, many):
        assert answer.status_code == 400
        assert_guarded(answer)
    assert not vendor.ledger.requests


def test_the_redirect_to_https_carries_what_plain_http_may(db):
    answer = Client().get("/history/?q=tilda")
    assert (answer.status_code, answer.headers["Location"]) == (301, "https://testserver/history/?q=tilda")
    wanted = EVERYWHERE | {"Strict-Transport-Security": None}
    assert {name: answer.headers.get(name) for name in EVERYWHERE} == wanted
    assert "Content-Security-Policy" in answer.headers


def test_the_connect_answer_and_pictures_have_their_own(agent, browser_of, vendor, look):
    vendor.add("Tilda", status=1, client_os="win")
    look()
    path = f"/invitations/{Invitation.objects.get().public_id}/"
    browser = browser_of(agent)
    assert_guarded(browser.post(f"{path}connect/"), **{"Referrer-Policy": "no-referrer"})
    picture = browser.get(f"{path}preview/")
    assert picture.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert picture.headers["X-Frame-Options"] == "DENY"


def test_the_policy_lets_forms_lead_to_the_vendor_and_nowhere_else(db, anonymous):
    policy = anonymous.get("/accounts/login/").headers["Content-Security-Policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    form_action = directives.pop("form-action").split()
    assert form_action[0] == "'self'"
    assert all("getscreen.me" in source or "127.0.0.1" in source for source in form_action[1:])
    assert set(directives.values()) == {"'self'", "'none'"}


def test_a_missing_file_names_nobody_to_a_cache(agent, browser_of, vendor):
    answer = browser_of(agent).get("/static/account.css")
    assert answer.status_code == 404
    assert answer.headers["Cache-Control"] == "no-store"


# --- probes


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize("host", ["testserver", "10.1.2.3:8000", "evil.example", "a b", ""])
def test_probes_answer_under_any_name_and_without_https(db, path, host):
    answer = Client().get(path, headers={"host": host})
    assert answer.status_code == 200
    assert Client().head(path, headers={"host": host}).status_code == 200
    assert not answer.cookies


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch", "options", "trace"])
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_are_looked_at_only(db, path, method):
    answer = getattr(Client(), method)(path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/healthz/", "/readyz/x", "/x/healthz", "/HEALTHZ", "//healthz", "/healthz;x"])
def test_only_these_two_addresses_are_probes(db, path):
    assert Browser().get(path).status_code in (301, 302, 404)


def test_alive_needs_no_database():
    assert Client().get("/healthz").content == b"ok\n"


def test_ready_says_how_old_the_list_is(look):
    assert Client().get("/readyz").json() == {"ready": True, "problem": "", **NOTHING_YET}
    Snapshot.load()
    assert Client().get("/readyz").json()["seconds_since_sync"] is None
    look()
    assert Client().get("/readyz").json()["seconds_since_sync"] in (0, 1, 2)


def test_ready_says_what_of_the_log_is_not_outside_yet(db, settings, tmp_path):
    audit.record("signout")
    settings.SYSLOG_URL, settings.AUDIT_CHECKPOINT_DIR = "syslog+tcp://127.0.0.1:1", tmp_path
    body = Client().get("/readyz").json()
    assert (body["ready"], body["forward_lag"], body["minutes_since_anchor"]) == (True, 1, None)
    Standing.note(forwarded_seq=1, anchored_at=timezone.now() - timedelta(minutes=90, seconds=5))
    body = Client().get("/readyz").json()
    assert (body["ready"], body["forward_lag"], body["minutes_since_anchor"]) == (True, 0, 90)


def test_an_unreachable_vendor_leaves_the_portal_ready(vendor, look):
    Snapshot.load()
    Snapshot.objects.update(trouble="unreachable")
    assert Client().get("/readyz").status_code == 200


def test_not_ready_before_migrations(db, monkeypatch):
    monkeypatch.setattr(health, "_migrated", False)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'invitations'")
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "problem": "migrations", **NOTHING_YET}
    assert health._migrated is False


@pytest.mark.parametrize("error", [OperationalError("gone"), InterfaceError("closed"), ImproperlyConfigured("odd")])
def test_not_ready_without_a_database_and_silent_about_it(db, monkeypatch, error):
    def fail():
        raise error

    monkeypatch.setattr(health, "database_problem", fail)
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "problem": "database", **NOTHING_YET}


def test_our_fault_is_a_page_even_without_a_database(agent, browser_of, monkeypatch):
    browser = browser_of(agent)
    browser.raise_request_exception = False

    def fail(*args, **kwargs):
        raise OperationalError("gone")

    with monkeypatch.context() as without:
        without.setattr(connection, "cursor", fail)
        answer = browser.get("/")
    assert answer.status_code == 500
    assert "Something broke on our side" in answer.content.decode()


def test_the_answer_names_its_reference(anonymous, lasting_connection):
    for path in ("/accounts/login/", "/nothing/", "/healthz", "/static/css/base.css"):
        answer = anonymous.get(path)
        answer.close()
        assert answer.headers["X-Request-Id"] == answer.wsgi_request.reference
        assert log.reference.get() == ""


# --- without a session


@pytest.mark.parametrize(
    ("method", "path", "destination"),
    [
        ("get", "/", "%2F"),
        ("get", "/history/?q=a%26b", "%2Fhistory%2F%3Fq%3Da%2526b"),
        ("get", "/invitations/abc/", "%2Finvitations%2Fabc%2F"),
        ("get", "/invitations/abc/close/", "%2Finvitations%2Fabc%2Fclose%2F"),
        ("get", "/invitations/abc/connect/", "%2Finvitations%2Fabc%2F"),
        ("get", "/invitations/abc/preview/", "%2Finvitations%2Fabc%2F"),
        ("get", "/invitations/abc/qr/", "%2Finvitations%2Fabc%2F"),
        ("get", "/invitations/abc/live/", "%2Finvitations%2Fabc%2F"),
        ("get", "/board/rows/?f=needs", "%2F"),
        ("post", "/invitations/abc/connect/", "%2Finvitations%2Fabc%2F"),
        ("post", "/invitations/abc/close/", "%2Finvitations%2Fabc%2F"),
        ("post", "/invitations/abc/rename/", "%2Finvitations%2Fabc%2F"),
        ("post", "/invitations/new/", "%2Finvitations%2Fnew%2F"),
        ("post", "/admin/accounts/user/1/change/", "%2F"),
        ("put", "/audit/", "%2Faudit%2F"),
    ],
)
def test_after_sign_in_comes_a_page_that_can_be_opened(anonymous, db, method, path, destination):
    answer = getattr(anonymous, method)(path)
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"/accounts/login/?next={destination}"
    says = "You were signed out, so nothing was done." in anonymous.get(answer.headers["Location"]).content.decode()
    assert says == (method != "get"), "what was pressed in another tab is not lost in silence"


@pytest.mark.parametrize("path", ["/board/rows/", "/invitations/abc/live/", "/admin/accounts/user/1/change/"])
def test_a_fragment_sends_the_whole_page_to_sign_in(anonymous, db, path):
    answer = anonymous.get(path, headers={"hx-request": "true"})
    assert answer.status_code == 200
    assert answer.content == b""
    assert answer.headers["HX-Redirect"].startswith("/accounts/login/?next=%2F")


def test_a_request_without_a_route_returns_to_itself(rf):
    request = rf.get("/x/?y=1")
    request.resolver_match = None
    assert page_to_return_to(request) == "/x/?y=1"


def test_references_differ(anonymous, db):
    references = {anonymous.get("/accounts/login/").wsgi_request.reference for _ in range(5)}
    assert len(references) == 5


def test_somebody_without_a_role_is_told_so_and_others_which_role_they_have(outsider, agent, browser_of, vendor):
    assert "You have no role yet" in browser_of(outsider).get("/admin/").content.decode()
    assert "Agent" in browser_of(agent).get("/admin/").content.decode()
