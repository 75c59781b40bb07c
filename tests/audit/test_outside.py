"""The administration's page about syslog and the second place: what it says, and its one button."""

from datetime import timedelta

import pytest
from django.utils import timezone

from portal import audit
from portal.audit.models import Event, Standing
from tests.audit.receivers import Receiver, wait_for
from tests.conftest import Browser

PAGE = "/admin/forwarding/"


@pytest.fixture
def office(admin, browser_of) -> Browser:
    return browser_of(admin)


def text_of(office):
    return office.get(PAGE).content.decode()


def test_without_settings_it_says_what_to_set(office):
    page = text_of(office)
    assert "SYSLOG_URL" in page
    assert "AUDIT_CHECKPOINT_DIR" in page
    assert "Send test message" not in page
    answer = office.post(PAGE, follow=True)
    assert "There is no syslog server to send to." in answer.content.decode()
    assert not Event.objects.filter(kind="audit.forward_tested").exists()


def test_it_says_where_the_log_stands(office, settings, tmp_path):
    settings.SYSLOG_URL, settings.AUDIT_CHECKPOINT_DIR = "syslog+tls://logs.example.org", tmp_path
    page = text_of(office)
    for words in ("syslog+tls://logs.example.org", str(tmp_path), "Nothing was sent yet", "Never", "every event"):
        assert words in page
    for _each in range(3):
        audit.record("signout")
    at = timezone.now() - timedelta(minutes=3)
    Standing.note(
        forwarded_seq=1, forwarded_at=at, forward_error="", anchored_size=1, anchored_at=at, anchor_error="Full"
    )
    page = text_of(office)
    for words in ("2 events", "Reachable", f"{at:%Y-%m-%d %H:%M:%S}", "up to event 1", "Full"):
        assert words in page
    Standing.note(forward_error="The server does not answer. <b>")
    assert "The server does not answer. &lt;b&gt;" in text_of(office)


def test_the_button_sends_a_message_and_says_so(office, settings, admin):
    with Receiver() as receiver:
        settings.SYSLOG_URL = receiver.url
        answer = office.post(PAGE, follow=True)
        assert answer.redirect_chain == [(PAGE, 302)]
        assert "The test message was sent." in answer.content.decode()
        assert wait_for(receiver.read)[0].kind == "test"
    event = Event.objects.get(kind="audit.forward_tested")
    assert (event.result, event.actor_id) == ("ok", admin.pk)


def test_the_button_says_why_it_did_not_work(office, settings):
    settings.SYSLOG_URL = "syslog+tcp://127.0.0.1:1"
    page = office.post(PAGE, follow=True).content.decode()
    assert "The test message was not sent. The server refuses the connection." in page
    assert Event.objects.get(kind="audit.forward_tested").result == "failed"


def test_it_stands_in_the_index(office):
    assert f'href="{PAGE}"' in office.get("/admin/").content.decode()
    assert f'href="{PAGE}"' in office.get("/admin/audit/").content.decode()


def test_a_form_from_elsewhere_sends_nothing(admin, settings):
    settings.SYSLOG_URL = "syslog+tcp://127.0.0.1:1"
    strict = Browser(enforce_csrf_checks=True)
    strict.force_login(admin)
    assert strict.post(PAGE).status_code == 403
    assert not Event.objects.filter(kind="audit.forward_tested").exists()
