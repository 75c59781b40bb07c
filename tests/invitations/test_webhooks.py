"""Webhooks: signed, bounded, never into a network that nobody has listed, and kept so that nobody can read them."""

from __future__ import annotations

import html
import json
import re
import socket
import time
from pathlib import Path

import pytest

from invitations import outbox, webhooks
from invitations.models import Delivery, Invitation, Policy, Webhook
from invitations.webhooks import Address, Call, Target, keep
from portal import self_check
from portal.audit.models import Event
from portal.getscreen.links import PrivateHosts, is_public
from portal.getscreen.transport import Timing
from tests.audit.receivers import Authority
from tests.conftest import whole_log
from tests.invitations.servers import Receiver

ADMIN = "/admin/invitations/webhook/"
KEY = "a-signing-key-for-tests"
PATH = "/hook?of=the-portal"


@pytest.fixture
def receiver(settings):
    settings.WEBHOOK_PRIVATE_HOSTS = PrivateHosts.parse(["127.0.0.1", "localhost"])
    with Receiver() as one:
        yield one


@pytest.fixture
def names(monkeypatch):
    """What the resolver answers: each name's addresses in turn, the last one for good."""
    book: dict[str, list[list[str]]] = {}
    real = socket.getaddrinfo

    def look_up(host, port, *args, **kwargs):
        if host not in book:
            return real(host, port, *args, **kwargs)
        answers = book[host]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        family = [socket.AF_INET6 if ":" in one else socket.AF_INET for one in found]
        return [(kind, socket.SOCK_STREAM, 6, "", (one, port)) for kind, one in zip(family, found, strict=True)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return book


def hook(url, name="Chat", **fields):
    webhook = Webhook(name=name, **fields)
    keep(webhook, Target(url, KEY))
    webhook.save()
    return webhook


def call(url, **payload):
    return Call(Target(url, KEY), {"event": "test", **payload}, "d1").make()


# --- What is sent -------------------------------------------------------------------------------------


def receiver_of_the_docs():
    """The receiver that the document shows."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")
    space: dict[str, object] = {}
    exec(compile(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], "docs/webhooks.md", "exec"), space)
    return space["is_genuine"]


def test_the_receiver_of_the_docs_takes_what_is_genuine_once_and_nothing_else(receiver):
    assert call(receiver.url, text="Grüße") == ""
    (headers, body), seen, is_genuine = receiver.calls[0], set(), receiver_of_the_docs()
    assert is_genuine(KEY, headers, body, seen)
    assert not is_genuine(KEY, headers, body, seen), "twice"
    assert not is_genuine("another key", headers, body, set())
    assert not is_genuine(KEY, headers, body + b" ", set())
    old = str(int(time.time()) - 600)
    assert not is_genuine(KEY, headers | {"X-Portal-Timestamp": old}, body, set())
    signed = webhooks.signature(KEY, old, body)
    assert not is_genuine(
        KEY, headers | {"X-Portal-Timestamp": old, "X-Portal-Signature": f"sha256={signed}"}, body, set()
    )


def test_a_call_says_what_the_docs_say(receiver):
    assert call(receiver.url, text="Grüße") == ""
    ((headers, body),) = receiver.calls
    assert json.loads(body) == {"event": "test", "text": "Grüße", "delivery": "d1"}
    assert (headers["X-Portal-Event"], headers["X-Portal-Delivery"]) == ("test", "d1")
    assert headers["Content-Type"] == "application/json"
    assert not {name for name in headers if name.lower() in ("cookie", "authorization", "x-api-key")}


# --- Receivers that misbehave --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 6\r\n\r\nsecret", "It answers with status 500."),
        (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", "It answers with status 404."),
        (
            b"HTTP/1.1 302 Go\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n",
            "It answers with a redirect (302), and those are not followed.",
        ),
        (b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 70_000 + b"\r\n\r\n", "The connection to it failed."),
        (b"HTTP/1.1 200 OK\r\n" + b"X-A: a\r\n" * 200 + b"\r\n", "The connection to it failed."),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "The connection to it failed."),
        (b"", "The connection to it failed."),
        ("silence", "It did not answer in time."),
        ("drip", "It did not answer in time."),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n" + b"x" * 500_000, ""),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nbad", ""),
        (b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nX: \x1b[31m\xff\r\nContent-Length: 0\r\n\r\n", ""),
    ],
    ids=lambda value: str(value)[:40],
)
def test_whatever_a_receiver_answers_costs_seconds_and_shows_nothing(receiver, monkeypatch, caplog, answer, says):
    monkeypatch.setattr(webhooks, "TIMING", Timing(connect=0.5, read=0.5, deadline=0.5, attempts=1))
    receiver.answer = answer
    assert call(receiver.url) == says
    assert receiver.accepted == 1, "it was not asked twice"
    assert "secret" not in caplog.text
    assert PATH not in caplog.text


def test_a_receiver_with_a_foreign_certificate_gets_nothing(receiver, settings, tmp_path):
    terms = Authority(tmp_path).server("localhost")

    class Encrypted(Receiver):
        def handle(self, link):
            with terms.wrap_socket(link, server_side=True) as safe:
                super().handle(safe)

    with Encrypted() as one:
        url = f"https://localhost:{one.port}/"
        assert call(url) == "There is no secure connection to it: its certificate is not accepted."
        assert not one.calls
        settings.WEBHOOK_CA_FILE = str(tmp_path / "authority.pem")
        assert call(url) == ""
        assert call(url.replace("localhost", "127.0.0.1")).startswith("There is no secure connection"), "another name"


# --- Where nobody may be sent ---------------------------------------------------------------------------

PRIVATE = [
    *("127.0.0.1", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200"),
    *("0.0.0.0", "255.255.255.255", "224.0.0.1", "240.0.0.1", "192.0.0.192", "168.63.129.16", "198.18.0.1"),
    *("::1", "::", "fe80::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1"),
    *("64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001:db8::1", "fe80::1%eth0", "fec0::2"),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_inside_is_refused_when_saved_and_when_called(names, address):
    assert not is_public(address)
    names["hooks.example.org"] = [[address]]
    assert "private network" in webhooks.refusal_of("https://hooks.example.org/x")
    assert "private network" in call("https://hooks.example.org/x")


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_a_public_address_is_not(names, address):
    names["hooks.example.org"] = [[address]]
    assert webhooks.refusal_of("https://hooks.example.org/x") == ""


def test_one_address_inside_among_others_is_refused_when_saved_and_never_called(names, receiver, settings):
    settings.WEBHOOK_PRIVATE_HOSTS = PrivateHosts.parse([])
    names["hooks.example.org"] = [["8.8.8.8", "127.0.0.1"], ["127.0.0.1"]]
    assert "private network" in webhooks.refusal_of("https://hooks.example.org/x")


def test_a_name_that_changes_its_address_between_two_look_ups_gains_nothing(names, receiver, settings):
    """DNS rebinding: what was looked at is what is connected to, and it is looked up once."""
    settings.WEBHOOK_PRIVATE_HOSTS = PrivateHosts.parse([])
    names["hooks.example.org"] = [["8.8.8.8"], ["127.0.0.1"], ["8.8.8.8"]]
    url = f"https://hooks.example.org:{receiver.port}/"
    assert webhooks.refusal_of(url) == ""
    assert "private network" in call(url)
    assert receiver.accepted == 0
    assert names["hooks.example.org"] == [["8.8.8.8"]], "once each"


@pytest.mark.parametrize(
    "url",
    [
        *("", "x", "hooks.example.org/x", "ftp://hooks.example.org/", "file:///etc/passwd", "gopher://8.8.8.8/"),
        *("https://", "https:///x", "https://hooks.example.org:0/", "https://hooks.example.org:99999/", "https://[::1"),
        *("https://user:pass@hooks.example.org/", "https://user@hooks.example.org/", "http://hooks.example.org/"),
        *("https://2130706433/", "https://0x7f000001/", "https://127.1/", "https://0177.0.0.1/", "https://127.0.0.1/"),
        *(
            "https://hooks.example.org/\nx",
            "https://hooks.example.org/ x",
            "https://hööks.example.org/",
            "https://a#b/",
        ),
        *("https://hooks.example.org\\@127.0.0.1/", "https://" + "x" * 3000, "https://hooks_a.example.org/", "//x/"),
        *("https://[::ffff:127.0.0.1]/", "https://[fe80::1%25eth0]/", "https://localhost/", "javascript:alert(1)"),
    ],
)
def test_what_is_no_address_to_call_is_refused(url):
    assert webhooks.refusal_of(url)
    assert call(url)


def test_hosts_that_are_listed_are_called_and_others_not(settings, names):
    settings.WEBHOOK_PRIVATE_HOSTS = listed = PrivateHosts.parse(["Chat.Internal", "10.20.0.0/16", "fd00::/8"])
    for host, address in (("chat.internal", "192.168.1.1"), ("other.internal", "10.20.3.4"), ("x.internal", "fd00::1")):
        names[host] = [[address]]
        assert webhooks.refusal_of(f"https://{host}/") == ""
    assert webhooks.refusal_of("http://10.20.3.4:8080/x") == ""
    assert webhooks.refusal_of("http://chat.internal/x") == ""
    names["other.internal"] = [["10.21.3.4"]]
    assert webhooks.refusal_of("https://other.internal/")
    assert webhooks.refusal_of("http://other.internal/"), "a name in a network is not a name on the list"
    clouds = ("169.254.169.254", "168.63.129.16", "192.0.0.192", "100.100.100.200", "::ffff:100.100.100.200")
    for address in (*clouds, "fe80::1", "0.0.0.0"):
        assert not listed.may_reach("chat.internal", address), "a name never opens these"
    assert not PrivateHosts.parse(["chat.internal"]).may_reach("chat.internal", "fd00:ec2::254")
    assert PrivateHosts.parse(["169.254.1.0/24"]).may_reach("any.name", "169.254.1.1")


def test_a_name_that_nobody_knows_is_said(names, monkeypatch):
    def fail(*args, **kwargs):
        raise socket.gaierror("no")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert webhooks.refusal_of("https://nowhere.example.org/") == "There is no server of the name nowhere.example.org."
    assert call("https://nowhere.example.org/") == "The connection to it failed."


def test_surroundings_and_proxies_decide_nothing_but_our_own(receiver, settings, monkeypatch, names):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert call(receiver.url) == ""
    settings.GETSCREEN_PROXY_URL = f"http://127.0.0.1:{receiver.port}"
    assert call(receiver.url) == "", "what is listed is reached directly"
    receiver.answer = b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"
    names["hooks.example.org"] = [["8.8.8.8"]]
    receiver.calls.clear()
    assert call("https://hooks.example.org/") != ""
    names["hooks.example.org"] = [["10.0.0.1"]]
    accepted = receiver.accepted
    assert "private network" in call("https://hooks.example.org/"), "even where the proxy would connect"
    assert receiver.accepted == accepted
    assert Address.parse("https://hooks.example.org/").proxy == settings.GETSCREEN_PROXY_URL


def test_with_a_proxy_names_need_not_be_known_here(settings, monkeypatch):
    def fail(*args, **kwargs):
        raise socket.gaierror("no")

    settings.GETSCREEN_PROXY_URL = "http://127.0.0.1:9"
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert webhooks.refusal_of("https://hooks.example.org/") == ""
    assert call("https://hooks.example.org/") != ""


# --- How they are kept -----------------------------------------------------------------------------------


def everything():
    return str(list(Webhook.objects.values())) + whole_log()


def test_neither_address_nor_key_lies_anywhere_readable(admin, browser_of, receiver):
    answer = browser_of(admin).post(f"{ADMIN}add/", {"name": "Chat", "address": receiver.url, "is_active": "on"})
    page = answer.content.decode()
    webhook = Webhook.objects.get()
    target = webhooks.target_of(webhook)
    assert target.url == receiver.url
    assert html.escape(target.key) in page, "once"
    assert len(target.key) >= 43
    assert (webhook.host, answer.headers.get("Cache-Control", "")) == ("127.0.0.1", answer.headers["Cache-Control"])
    assert "no-store" in answer.headers["Cache-Control"]
    for path in ("", f"{webhook.pk}/change/", f"{webhook.pk}/history/", f"{webhook.pk}/delete/"):
        shown = browser_of(admin).get(f"{ADMIN}{path}").content.decode()
        assert target.key not in shown
        assert "the-portal" not in shown
    assert target.key not in everything()
    assert "the-portal" not in everything()
    assert str(target) == repr(target) == "<Target>"
    assert Event.objects.get(kind="admin.added").details["changes"]["host"] == ["", "127.0.0.1"]


def test_a_change_keeps_what_is_not_typed_anew(admin, browser_of, receiver):
    webhook, browser = hook(receiver.url), browser_of(admin)
    path = f"{ADMIN}{webhook.pk}/change/"
    assert browser.post(path, {"name": "Talk"}).status_code == 302
    webhook.refresh_from_db()
    assert (webhook.name, webhook.is_active, webhooks.target_of(webhook)) == ("Talk", False, (receiver.url, KEY))
    page = browser.post(path, {"name": "Talk", "is_key_new": "on"}).content.decode()
    webhook.refresh_from_db()
    assert webhooks.target_of(webhook).url == receiver.url
    assert webhooks.target_of(webhook).key != KEY
    assert webhooks.target_of(webhook).key in page
    other = receiver.url.replace("127.0.0.1", "localhost")
    assert browser.post(path, {"name": "Talk", "address": other}).status_code == 302
    webhook.refresh_from_db()
    assert (webhook.host, webhooks.target_of(webhook).url) == ("localhost", other)
    changes = [event.details["changes"] for event in Event.objects.filter(kind="admin.changed").order_by("seq")]
    assert changes[1:] == [{"signing_key": ["", "new"]}, {"host": ["127.0.0.1", "localhost"]}]


@pytest.mark.parametrize(
    "address", ["http://hooks.example.org/", "https://127.0.0.1/", "https://10.0.0.1/", "", "nonsense"]
)
def test_the_form_refuses_what_must_not_be_called(admin, browser_of, address):
    answer = browser_of(admin).post(f"{ADMIN}add/", {"name": "Chat", "address": address})
    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()
    assert not Webhook.objects.exists()


def test_webhooks_move_to_a_new_secret_key_by_themselves(receiver, settings, admin, browser_of, watcher):
    webhook = hook(receiver.url)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key for tests, long enough for anybody 0123456789"
    assert webhooks.target_of(webhook).url == receiver.url
    watcher.tidy()
    settings.SECRET_KEY_FALLBACKS = []
    webhook.refresh_from_db()
    assert webhooks.target_of(webhook) == (receiver.url, KEY)
    settings.SECRET_KEY = "yet another key for tests, long enough for anybody 01234567"
    assert webhooks.unreadable() == ["Chat"]
    (found,) = [one for one in self_check.run() if one.topic == "Webhooks"]
    assert (found.state, "Chat" in found.says) == ("wrong", True)
    outbox.order_webhook(webhook=webhook, invitation=None, payload={})
    outbox.deliver_due()
    assert Delivery.objects.get().trouble == "No key opens the address: type it anew."
    path = f"{ADMIN}{webhook.pk}/change/"
    assert "errorlist" in browser_of(admin).post(path, {"name": "Chat"}).content.decode(), "only a new address helps"
    assert browser_of(admin).post(path, {"name": "Chat", "address": receiver.url}).status_code == 200
    webhook.refresh_from_db()
    assert webhooks.target_of(webhook).url == receiver.url


def test_a_webhook_is_deleted_with_its_deliveries(admin, browser_of, receiver):
    webhook = hook(receiver.url)
    outbox.order_webhook(webhook=webhook, invitation=None, payload={})
    assert browser_of(admin).post(f"{ADMIN}{webhook.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Webhook.objects.exists()
    assert not Delivery.objects.exists()


# --- Tests and the log -------------------------------------------------------------------------------------


def said(browser, path):
    return html.unescape(re.sub(r"\s+", " ", browser.get(path).content.decode()))


def test_a_test_says_how_it_went(admin, browser_of, receiver):
    webhook, browser = hook(receiver.url), browser_of(admin)
    assert browser.post(f"{ADMIN}{webhook.pk}/test/").status_code == 302
    assert "Chat: the test has arrived." in said(browser, f"{ADMIN}{webhook.pk}/change/")
    assert json.loads(receiver.calls[0][1])["event"] == "test"
    receiver.answer = b"HTTP/1.1 500 <b>Oh</b>\r\nContent-Length: 0\r\n\r\n"
    browser.post(f"{ADMIN}{webhook.pk}/test/")
    assert "Chat: the test did not arrive. It answers with status 500." in said(browser, f"{ADMIN}{webhook.pk}/change/")
    assert [event.result for event in Event.objects.filter(kind="delivery.tested").order_by("seq")] == ["ok", "failed"]


def test_the_policy_s_page_tests_all_and_the_mail(admin, browser_of, receiver, mailoutbox, settings):
    Policy.load()
    browser, policy = browser_of(admin), "/admin/invitations/policy/1/change/"
    browser.post("/admin/invitations/policy/test-webhooks/")
    assert "There is no active webhook." in said(browser, policy)
    (
        hook(receiver.url),
        hook(receiver.url.replace("127.0.0.1", "localhost"), "Second"),
        hook("https://8.8.8.8/", "Off", is_active=False),
    )
    browser.post("/admin/invitations/policy/test-webhooks/")
    page = said(browser, policy)
    assert "Chat: the test has arrived." in page
    assert "Second: the test has arrived." in page
    assert len(receiver.calls) == 2
    browser.post("/admin/invitations/policy/test-mail/")
    assert "Mail to you: the test has arrived." in said(browser, policy)
    assert mailoutbox[0].to == [admin.email]
    settings.MAILERS = {}
    browser.post("/admin/invitations/policy/test-mail/")
    assert "Mail to you: the test did not arrive. The portal has no mail server (EMAIL_URL)." in said(browser, policy)
    type(admin).objects.update(email="")
    browser.post("/admin/invitations/policy/test-mail/")
    assert "no e-mail address" in said(browser, policy)


def test_the_log_of_deliveries_shows_what_waits_and_acts_on_it(admin, agent, browser_of, receiver, vendor, look):
    vendor.add("Tilda <b>")
    look()
    invitation, browser, path = Invitation.objects.get(), browser_of(admin), "/admin/invitations/delivery/"
    webhook = hook(receiver.url)
    receiver.answer = b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"
    outbox.order_webhook(webhook=webhook, invitation=invitation, payload={"url": "of-the-payload"})
    outbox.order_mail(invitation=None, to="x@example.org", subject="of-the-subject", body="of-the-body", by=agent)
    outbox.deliver_due("webhook")
    page = said(browser, path)
    assert "It answers with status 500." in page
    assert "Tilda <b></a>" in page
    assert "Tilda <b></a>" not in browser.get(path).content.decode()
    waiting, failing = Delivery.objects.all()
    shown = (
        page
        + said(browser, f"{path}{waiting.pk}/change/")
        + said(browser, f"{path}?webhook__id__exact={webhook.pk}&state=waiting")
    )
    for secret in ("of-the-payload", "of-the-subject", "of-the-body", "x@example.org", "the-portal"):
        assert secret not in shown
    act = {"_selected_action": [waiting.pk, failing.pk], "index": "0"}
    browser.post(path, act | {"action": "try_again"})
    assert "2 deliveries are tried now." in said(browser, path)
    browser.post(path, act | {"action": "cancel"})
    assert "2 deliveries are cancelled." in said(browser, path)
    browser.post(path, act | {"action": "try_again"})
    assert "Nothing was done" in said(browser, path)
    assert [row.state for row in Delivery.objects.all()] == ["cancelled"] * 2
    assert Event.objects.filter(kind="delivery.cancelled", actor=f"user:{admin.pk}").count() == 2


def test_the_self_check_says_which_webhook_fails(receiver, db):
    webhook = hook(receiver.url)
    receiver.answer = b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"
    outbox.order_webhook(webhook=webhook, invitation=None, payload={})
    outbox.deliver_due()
    (found,) = [one for one in self_check.run() if one.topic == "Webhooks"]
    assert (found.state, found.says) == ("wrong", "Chat at 127.0.0.1: It answers with status 500.")
