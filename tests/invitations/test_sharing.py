"""Sharing an invitation: in the client's language, aloud, large, on paper, and by a mail that is ordered once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.test import override_settings
from django.utils import timezone

from invitations import limits, outbox, sharing, spelling
from invitations.mail_form import MailForm
from invitations.models import Delivery, Entry, Invitation, MessageTemplate, Snapshot, Status
from invitations.share_context import COOKIE
from portal import audit
from portal.accounts.models import Tally
from portal.audit.models import Event
from tests.conftest import known, whole_log

TO = "tilda@example.org"
TOKEN = "a" * 32


@pytest.fixture
def row(vendor, look, agent) -> Invitation:
    number = vendor.add("Tilda Brandt")
    look()
    Invitation.objects.update(is_external=False, created_by=agent)
    return known(number)


@pytest.fixture
def desk(agent, browser_of):
    return browser_of(agent)


@pytest.fixture
def here(row) -> str:
    return f"/invitations/{row.public_id}/"


def form(**fields):
    return {"to": TO, "language": "en", "line": "", "token": TOKEN} | fields


def text_of(answer) -> str:
    return str(answer.content.decode())


# --- In a language ----------------------------------------------------------------------------------


def test_the_page_shares_in_the_language_that_is_asked_for_and_the_browser_keeps_it(desk, here, row):
    assert "to let Helpdesk help you" in text_of(desk.get(f"{here}share/"))
    german = text_of(desk.get(f"{here}share/?language=de"))
    assert "damit Helpdesk Ihnen" in german
    assert row.invite_url in german
    assert desk.cookies[COOKIE].value == "de"
    assert COOKIE.startswith("__Host-")
    assert [desk.cookies[COOKIE][flag] for flag in ("secure", "httponly", "samesite")] == [True, True, "Lax"]
    for path in (here, f"{here}live/", f"{here}share/", f"{here}share/mail/"):
        assert "damit Helpdesk Ihnen" in text_of(desk.get(path))
    desk.get(f"{here}?language=en")
    assert "to let Helpdesk help you" in text_of(desk.get(f"{here}live/"))


@pytest.mark.parametrize("language", ["fr", "tlh", "", "de%00", "../de", "x" * 5000])
def test_what_is_no_language_with_a_text_is_english(desk, here, language):
    for path in (here, f"{here}share/", f"{here}share/mail/"):
        assert "to let Helpdesk help you" in text_of(desk.get(f"{path}?language={language}"))


def test_a_text_of_the_helpdesk_s_own_is_offered_by_the_language_s_own_name(desk, here):
    assert "Українська" not in text_of(desk.get(here))
    MessageTemplate.objects.create(language="uk", subject="Допомога", body="Добрий день! {link}")
    assert "Українська" in text_of(desk.get(here))
    found = text_of(desk.get(f"{here}?language=uk"))
    assert "Добрий день!" in found
    assert found.count("Добрий день!") == 3, "to copy, to read, and on paper, for which there are no steps"


def test_another_language_is_another_tag(desk, here):
    tag = desk.get(f"{here}live/").headers["HX-PTag"]
    assert desk.get(f"{here}live/", headers={"hx-ptag": tag}).status_code == 304
    desk.get(f"{here}share/?language=de")
    assert desk.get(f"{here}live/", headers={"hx-ptag": tag}).status_code == 200


def test_the_sheet_on_paper_is_in_the_client_s_language(desk, here):
    found = text_of(desk.get(f"{here}share/?language=de"))
    assert '<h2 class="print-only" lang="de">Helpdesk: Ihr Code</h2>' in found
    assert "Machen Sie nur weiter, wenn Sie gerade mit unserem Helpdesk sprechen." in found
    assert found.count("<li>") >= 3


def test_a_row_offers_to_share_to_those_who_see_codes(desk, here, row, auditor, browser_of):
    assert f'href="{here}share/" data-dialog' in text_of(desk.get("/"))
    assert "share/" not in text_of(browser_of(auditor).get("/"))
    Invitation.objects.update(status=Status.CLOSED, closed_at=timezone.now())
    Snapshot.bump()
    assert "share/" not in text_of(desk.get("/"))


# --- Aloud and large --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "three six four zero one nine five eight two"), ("de", "drei sechs vier null eins neun fünf acht zwo")],
)
def test_each_digit_has_its_word_in_groups_of_three(language, words):
    groups = spelling.spelled("364019582", language)
    assert [len(group) for group in groups] == [3, 3, 3]
    assert " ".join(sound.word for group in groups for sound in group) == words


def test_letters_have_the_words_of_the_radio_and_of_the_norm():
    assert [sound.word for sound in spelling.spelled("aZ-", "en")[0]] == ["Alfa", "Zulu", ""]
    assert [sound.word for sound in spelling.spelled("Xü4", "de")[0]] == ["Xanten", "", "vier"]
    assert spelling.spelled("", "en") == []
    assert all(len(alphabet) == 36 for alphabet in spelling.ALPHABETS.values())


def test_a_language_without_words_is_read_out_in_english_and_says_so(desk, here):
    MessageTemplate.objects.create(language="uk", subject="Допомога", body="{link}")
    assert "so they are English" not in text_of(desk.get(f"{here}share/?as=read&language=de"))
    found = text_of(desk.get(f"{here}share/?as=read&language=uk"))
    assert "so they are English" in found
    assert '<ol class="aloud" lang="en">' in found


def test_the_large_view_has_the_qr_code_and_the_link(desk, here, row):
    found = text_of(desk.get(f"{here}share/?as=qr"))
    assert f'src="{here}qr/"' in found
    assert row.invite_url in found


@pytest.mark.parametrize("way", ["print", "READ", "../read", "x" * 4000, "%00"])
def test_there_is_no_other_way(desk, here, way):
    assert desk.get(f"{here}share/?as={way}").status_code == 404


# --- By mail ----------------------------------------------------------------------------------------


def test_a_mail_is_ordered_with_its_event_and_its_line_in_one_go(desk, here, row, agent):
    before = Snapshot.load().revision
    answer = desk.post(f"{here}share/mail/", form(language="de", line="Wie am Telefon besprochen"), follow=True)
    assert "The e-mail to tilda@example.org is on its way to the mail server." in text_of(answer)
    order = Delivery.objects.get()
    assert (order.kind, order.state, order.to, order.by, order.invitation) == ("mail", "waiting", TO, agent, row)
    assert order.subject == "Helpdesk: Ihr Link für die Fernhilfe"
    assert row.invite_url in order.body
    assert row.code_grouped in order.body
    assert "\n\nWie am Telefon besprochen\n\n" in order.body
    assert order.body.endswith("\n\nMika")
    event = Event.objects.get(kind="invitation.mailed")
    assert (event.facts, event.target_id, event.result) == ({"language": "de", "line": True}, row.public_id, "ok")
    assert event.details["address"] == TO
    assert event.details["line"] == "Wie am Telefon besprochen"
    assert TO not in event.record
    assert row.code not in whole_log()
    line = row.entries.get(kind=Entry.Kind.SHARED)
    assert (line.at, line.detail, line.actor_name) == (order.ordered_at, TO, "Mika Lind")
    assert Snapshot.load().revision == before + 1
    assert desk.cookies[COOKIE].value == "de"


def test_the_address_in_the_timeline_is_masked_for_who_sees_no_codes(desk, here, auditor, browser_of):
    desk.post(f"{here}share/mail/", form())
    assert "By e-mail to tilda@example.org. On its way." in text_of(desk.get(here))
    found = text_of(browser_of(auditor).get(here))
    assert "By e-mail to t…@example.org. On its way." in found
    assert TO not in found


def test_a_preview_sends_nothing_and_keeps_what_was_typed(desk, here):
    answer = desk.post(f"{here}share/mail/", form(to="", language="de", line="Bis gleich", preview="1"))
    found = text_of(answer)
    assert answer.status_code == 200
    assert "damit Helpdesk Ihnen" in found
    assert found.count("Bis gleich") == 2
    assert "This is no e-mail address" not in found
    assert not Delivery.objects.exists()
    assert not Event.objects.filter(kind="invitation.mailed").exists()


def test_a_form_sent_twice_orders_one_mail(desk, here):
    for _ in range(2):
        found = text_of(desk.post(f"{here}share/mail/", form(), follow=True))
        assert "is on its way" in found
        assert "same address" not in found
    assert Delivery.objects.count() == Entry.objects.filter(kind="shared").count() == 1
    assert Event.objects.filter(kind="invitation.mailed").count() == 1


def test_a_second_mail_to_the_same_address_is_sent_and_says_when_the_first_was(desk, here):
    desk.post(f"{here}share/mail/", form())
    again = text_of(desk.post(f"{here}share/mail/", form(token="b" * 32), follow=True))
    assert "One was sent to the same address less than a minute ago." in again
    Entry.objects.filter(kind="shared").update(at=timezone.now() - timedelta(seconds=130))
    found = text_of(desk.post(f"{here}share/mail/", form(token="c" * 32), follow=True))
    assert "One was sent to the same address 2\u00a0minutes ago." in found
    assert "same address" not in text_of(
        desk.post(f"{here}share/mail/", form(token="", to="bo@example.org"), follow=True)
    )
    assert Delivery.objects.count() == 4


@pytest.mark.parametrize(
    "address",
    [
        "",
        "tilda",
        "tilda@example",
        "tilda@localhost",
        "tilda@[127.0.0.1]",
        "tilda@127.0.0.1",
        "a@example.org, b@example.org",
        "a@example.org;b@example.org",
        "a@example.org\nBcc: b@example.org",
        "a@example.org\r\nBcc: b@example.org",
        "a@example.org\u2028b@example.org",
        "Tilda <tilda@example.org>",
        '"a b"@example.org',
        "tildä@example.org",
        "a\x00@example.org",
        "a@exa mple.org",
        "@example.org",
        "a@" + "x" * 70 + ".org",
        f"{'a' * 300}@example.org",
        f"a@{'ä' * 300}.org",
        f"a@{'b.' * 130}org",
    ],
)
def test_what_is_not_one_address_is_refused_in_words(address):
    found = MailForm(form(to=address), languages=["en"])
    assert not found.is_valid()
    assert list(found.errors) == ["to"]


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (" tilda+help@example.org \n", "tilda+help@example.org"),
        ("o'brien@mail.example.co.uk", "o'brien@mail.example.co.uk"),
        ("tilda@bücher.example", "tilda@xn--bcher-kva.example"),
    ],
)
def test_one_address_is_kept_as_mail_knows_it(typed, kept):
    found = MailForm(form(to=typed), languages=["en"])
    assert found.is_valid(), found.errors
    assert found.cleaned_data["to"] == kept


def test_a_line_with_a_link_is_refused_and_named(desk, here):
    answer = desk.post(f"{here}share/mail/", form(line="Pay at www.evil.example/x first"))
    assert answer.status_code == 422
    assert "“www.evil.example/x” looks like a link" in text_of(answer)
    assert not Delivery.objects.exists()


def test_a_line_stays_one_line_and_is_not_long(desk, here):
    assert desk.post(f"{here}share/mail/", form(line="x" * 301)).status_code == 422
    desk.post(f"{here}share/mail/", form(line="See you\r\n\r\n\u202ethen\u202c {link} {code}"))
    assert "\n\nSee you then {link} {code}\n\n" in Delivery.objects.get().body


@override_settings(MAILERS={})
def test_without_a_mail_server_the_page_says_so_and_offers_the_message(desk, here):
    found = text_of(desk.get(f"{here}share/mail/"))
    assert "This portal sends no e-mail." in found
    assert 'data-what="message"' in found
    assert 'name="to"' not in found
    answer = desk.post(f"{here}share/mail/", form(line="Bis gleich"))
    assert answer.status_code == 409
    assert "No mail server is configured, so nothing was sent." in text_of(answer)
    assert text_of(answer).count("Bis gleich") == 3, "what was typed stays, and is in the message to copy"
    assert not Delivery.objects.exists()


def test_what_somebody_keeps_for_the_client_can_be_shared_past_its_time(desk, here, row, agent):
    past = timezone.now() - timedelta(hours=1)
    Invitation.objects.update(expires_at=past, taken_by=agent, taken_by_name="Mika Lind")
    MessageTemplate.objects.create(language="en", subject="Help", body="{link} is valid until {expires}")
    answer = desk.get(f"{here}share/")
    assert answer.status_code == 200
    assert "valid until further notice" in text_of(answer)
    assert "Valid until" not in text_of(answer)
    assert desk.post(f"{here}share/mail/", form()).status_code == 302
    assert "until further notice" in Delivery.objects.get().body


@pytest.mark.parametrize("fields", [{"status": Status.CLOSED}, {"expires_at": 1}, {"expired_at": 1}])
def test_what_is_over_is_not_shared(desk, here, fields):
    past = timezone.now() - timedelta(seconds=1)
    changes = {name: past if value == 1 else value for name, value in fields.items()}
    Invitation.objects.update(**changes, closed_at=past if "status" in fields else None)
    says = "This invitation is closed" if "status" in fields else "This invitation has expired"
    for answer in (
        desk.get(f"{here}share/"),
        desk.get(f"{here}share/?as=read"),
        desk.get(f"{here}share/mail/"),
        desk.post(f"{here}share/mail/", form()),
    ):
        assert answer.status_code == 409
        assert says in text_of(answer)
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("is_claimed", [True, False])
def test_what_does_not_expire_although_its_time_is_up_is_shared(desk, here, agent, is_claimed):
    """Somebody keeps it for the client, or the client is there."""
    Invitation.objects.update(expires_at=timezone.now() - timedelta(days=3))
    if is_claimed:
        Invitation.objects.update(taken_by=agent, taken_by_name=agent.display_name)
    else:
        Invitation.objects.update(status=Status.JOINED)
    answer = desk.get(f"{here}share/")
    assert answer.status_code == 200
    assert "alid until" not in text_of(answer)
    assert desk.post(f"{here}share/mail/", form()).status_code == 302
    assert f"{timezone.now() - timedelta(days=3):%Y}" not in Delivery.objects.get().body


def test_what_is_closed_while_the_form_is_sent_is_not_mailed(row, agent):
    stale = Invitation.objects.get(pk=row.pk)
    Invitation.objects.update(status=Status.CLOSED, closed_at=timezone.now())
    with pytest.raises(sharing.AlreadyClosed):
        sharing.mail(invitation=stale, by=agent, to=TO, language="en")
    assert not Delivery.objects.exists()


def test_without_a_link_no_mail_is_ordered_and_what_was_typed_stays(desk, here):
    Invitation.objects.update(invite_url="")
    answer = desk.post(f"{here}share/mail/", form(line="As promised"))
    assert answer.status_code == 409
    assert "There is no link to send" in text_of(answer)
    assert 'value="As promised"' in text_of(answer)
    assert not Delivery.objects.exists()
    Invitation.objects.update(invite_url="https://go.getscreen.me/1")
    assert desk.post(f"{here}share/mail/", form()).status_code == 302, "the same form, once there is one"


def test_whoever_sees_no_codes_mails_none(row, auditor):
    with pytest.raises(PermissionDenied):
        sharing.mail(invitation=row, by=auditor, to=TO, language="en")


def test_more_mails_than_a_person_may_send_are_refused_once_in_the_log(desk, here, monkeypatch):
    assert limits.limit_of("mail") == ("invitation.mails", 30, 3600)
    monkeypatch.setitem(limits.FIXED, "mail", (2, 3600))
    for token in ("1" * 32, "2" * 32):
        assert desk.post(f"{here}share/mail/", form(token=token)).status_code == 302
    for _ in range(3):
        answer = desk.post(f"{here}share/mail/", form(token="3" * 32, line="Bis gleich"))
        assert answer.status_code == 429
        assert 3590 <= int(answer.headers["Retry-After"]) <= 3600
        assert "Too many e-mails in a short time" in text_of(answer)
        assert "Try again in 60 minutes. Copy the message" in text_of(answer)
        assert "Bis gleich" in text_of(answer)
    assert Event.objects.get(kind="limit.reached").facts == {"limit": "invitation.mails", "allowed": 2, "seconds": 3600}
    assert Delivery.objects.count() == 2
    Tally.objects.filter(key__startswith="invitation:mail").update(ends_at=timezone.now() - timedelta(seconds=1))
    assert desk.post(f"{here}share/mail/", form(token="3" * 32)).status_code == 302, "the form was not used up"


def test_nothing_is_ordered_where_the_log_cannot_be_written(desk, here, monkeypatch):
    def full(*args, **kwargs):
        raise audit.Unavailable("full")

    with monkeypatch.context() as patched:
        patched.setattr("portal.audit.appending.append", full)
        answer = desk.post(f"{here}share/mail/", form())
    assert answer.status_code == 503
    assert "Nothing was done." in text_of(answer)
    assert TO in text_of(answer)
    assert not Delivery.objects.exists()
    assert not Entry.objects.filter(kind="shared").exists()
    assert desk.post(f"{here}share/mail/", form()).status_code == 302, "the form was not used up"
    assert Delivery.objects.exists()


# --- How it went ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"state": "waiting"}, "On its way."),
        ({"state": "waiting", "trouble": "No connection."}, "Tried, and not delivered yet. No connection."),
        ({"state": "sent"}, "Handed to the mail server at "),
        ({"state": "failed", "trouble": "Refused."}, ". Refused."),
        ({"state": "cancelled"}, "Not sent: it was no longer needed."),
    ],
)
def test_the_timeline_says_how_a_mail_went(desk, here, fields, says):
    desk.post(f"{here}share/mail/", form())
    Delivery.objects.update(ended_at=None if fields["state"] == "waiting" else timezone.now(), to="", body="", **fields)
    for path in (here, f"{here}share/mail/"):
        assert f"By e-mail to {TO}. " in text_of(desk.get(path))
        assert says in text_of(desk.get(path))
    assert ("Send again" in text_of(desk.get(here))) == (fields["state"] == "failed")


def test_what_could_not_be_delivered_is_sent_again_from_the_form(desk, here, auditor, browser_of):
    desk.post(f"{here}share/mail/", form())
    Delivery.objects.update(state="failed", ended_at=timezone.now(), to="")
    again = f"{here}share/mail/?again={Entry.objects.get(kind='shared').pk}"
    assert f'href="{again}"' in text_of(desk.get(here))
    assert f'value="{TO}"' in text_of(desk.get(again))
    assert "Send again" not in text_of(browser_of(auditor).get(here))
    Invitation.objects.update(status=Status.CLOSED, closed_at=timezone.now())
    assert "Send again" not in text_of(desk.get(here))


@pytest.mark.parametrize("again", ["", "0", "-1", "999999999999999999999999", "²", "x", "%00", "1;drop"])
def test_nothing_else_names_a_mail_to_send_again(desk, here, again):
    answer = desk.get(f"{here}share/mail/?again={again}")
    assert answer.status_code == 200
    assert TO not in text_of(answer)


def test_a_line_whose_mail_is_gone_still_says_to_whom_it_went(desk, here):
    desk.post(f"{here}share/mail/", form())
    Delivery.objects.all().delete()
    assert f"By e-mail to {TO}." in text_of(desk.get(here))


def test_addresses_of_clients_leave_the_timeline_with_their_mails(desk, here):
    desk.post(f"{here}share/mail/", form())
    desk.post(f"{here}share/mail/", form(to="young@example.org", token="b" * 32))
    old = timezone.now() - outbox.KEPT - timedelta(minutes=1)
    Delivery.objects.filter(to=TO).update(state="sent", ended_at=old, to="")
    desk.get(here)  # which says once that they were ordered
    assert outbox.remove_old() == 1
    page = text_of(desk.get(here))
    assert TO not in page
    assert "By e-mail to t…@example.org." in page
    assert "By e-mail to young@example.org." in page
    assert outbox.remove_old() == 0
