"""What clients get: texts that administrators write, which are checked, filled in one pass and never evaluated."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.test import override_settings

from invitations import messages
from invitations.message_admin import MessageTemplateForm
from invitations.message_texts import BUILT_IN, LANGUAGES, SHEETS, Text
from invitations.models import Invitation, MessageTemplate, Policy, Snapshot
from invitations.phrases import words_of
from portal.accounts.models import User
from portal.audit.models import Event

LIST = "/admin/invitations/messagetemplate/"
GOOD = {"language": "es", "subject": "{helpdesk}: su enlace", "body": "Hola,\n\nabra {link} y escriba {code}."}
PERSON = User(username="ada", first_name="Ada", last_name="Ferreira")


def an_invitation(**fields):
    return Invitation(**{"code": "364019582", "invite_url": "https://go.getscreen.me/invite/364019582"} | fields)


def message(text="{link}", *, subject="Help", language="en", line="", policy=None, **fields):
    return messages.message_for(
        an_invitation(**fields),
        by=PERSON,
        policy=policy or Policy(helpdesk_name="Quillmere"),
        language=language,
        text=Text(subject, text),
        line=line,
    )


# --- Placeholders -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{link} {name}", ["{name}"]),
        ("{link.__class__.__init__.__globals__}", ["{link.__class__.__init__.__globals__}"]),
        ("{link[0]}", ["{link[0]}"]),
        ("{0} {}", ["{0}", "{}"]),
        ("{link!r} {link:>9999999}", ["{link!r}", "{link:>9999999}"]),
        ("{ link } {LINK}", ["{ link }", "{LINK}"]),
        ("{{link}}", ["{", "}"]),
        ("{link} {", ["{"]),
        ("} {link}", ["}"]),
        ("%(link)s $link ${link}", []),
        ("{a}{b}{c}{d}", ["{a}", "{b}", "{c}"]),
        ("{" + "x" * 3000 + "}", ["{" + "x" * 38 + "…"]),
        ("{" * 4000, ["{"]),
        ("{}" * 2000, ["{}"]),
        ("".join(f"{{{name}}}" for name in messages.PLACEHOLDERS), []),
    ],
)
def test_what_is_no_placeholder_is_named(text, named):
    assert messages.wrong_placeholders(text) == named


def test_what_is_filled_in_is_not_looked_at_again():
    found = message("{client} {link}", client_name="{code} {link.__class__}")
    assert found.body == "{code} {link.__class__} https://go.getscreen.me/invite/364019582"


def test_a_text_that_came_past_the_form_is_shown_as_it_stands():
    found = message("{nobody} {link.__class__} {0} { {link}", subject="One\r\nBcc: everybody@example.org {")
    assert found.body == "{nobody} {link.__class__} {0} { https://go.getscreen.me/invite/364019582"
    assert found.subject == "One Bcc: everybody@example.org {"


def test_a_subject_fits_into_its_column():
    assert len(message(subject="{client} " * 10, client_name="x" * 100).subject) == 200


@pytest.mark.parametrize(
    ("text", "line", "body"),
    [
        ("A\n\n{line}\n\nB {link}", "As promised.", "A\n\nAs promised.\n\nB https"),
        ("A\n\n{line}\n\nB {link}", "", "A\n\nB https"),
        ("A {link}", "As promised.", "A https://go.getscreen.me/invite/364019582\n\nAs promised."),
    ],
)
def test_the_line_of_the_sender_has_its_place_and_leaves_no_gap(text, line, body):
    assert message(text, line=line).body.startswith(body)


@pytest.mark.parametrize(
    ("who", "name"),
    [("none", "Quillmere"), ("first", "Ada"), ("full", "Ada Ferreira")],
)
def test_a_client_learns_no_more_of_the_name_than_the_policy_tells(who, name):
    assert message("{supporter}", policy=Policy(helpdesk_name="Quillmere", supporter_name=who)).body == name


def test_somebody_without_a_name_is_the_helpdesk():
    assert messages.supporter(User(username="root"), Policy(helpdesk_name="Quillmere")) == "Quillmere"


def test_the_two_words_are_those_of_the_language():
    assert message("{phrase}", phrase=0).body == words_of(0, "en")
    assert message("{phrase}", phrase=65_535, language="de").body == words_of(65_535, "de") != words_of(65_535, "en")


def test_a_client_s_name_is_no_way_around_what_a_line_may_hold():
    assert message("Dear {client}", client_name="https://evil.example/x").body == "Dear"
    assert message("Dear {client}", client_name="Dr. Tilda Brandt-Öst").body == "Dear Dr. Tilda Brandt-Öst"


@override_settings(TIME_ZONE="Europe/Berlin")
@pytest.mark.parametrize(
    ("language", "says"),
    [("en", "Nov. 27, 2026 14:30 CET"), ("de", "27. November 2026 14:30 CET"), ("fr", "27 novembre 2026 14:30 CET")],
)
def test_the_expiry_is_written_as_the_language_writes_it(language, says):
    at = datetime(2026, 11, 27, 13, 30, tzinfo=UTC)
    assert message("{expires}", language=language, expires_at=at).body == says


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_never_expires_says_so_in_each_language(language):
    assert message("{expires}", language=language).body == LANGUAGES[language].further_notice


@pytest.mark.parametrize("language", BUILT_IN)
def test_the_texts_that_come_with_the_portal_pass_their_own_form(language, db):
    text = BUILT_IN[language]
    assert MessageTemplateForm({"language": language, "subject": text.subject, "body": text.body}).is_valid()
    assert "{link}" in text.body
    assert language in SHEETS


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see https://evil.example", "https://evil.example"),
        ("WWW.EVIL", "WWW.EVIL"),
        ("go to evil.example/now please", "evil.example/now"),
        ("write to me@evil.example", "me@evil.example"),
        ("evil．example", "evil.example"),
        ("пример.рф", "пример.рф"),
        ("javascript://x", "javascript://x"),
        ("As promised, at 10.30 or 14.00. Mr. Öst, 3rd floor, z.B. room 4.17", ""),
        ("Ruf an: 0351 12 34 56 (Durchwahl 7)…", ""),
        ("see evil\u3002com now", "evil\u3002com"),
        ("see evil\uff61com", "evil\u3002com"),
        ("see 192.0.2.1/login", "192.0.2.1/login"),
        ("version 10.0.2.1 is fine", ""),
        ("はい\u3002ありがとう", ""),
    ],
)
def test_links_and_addresses_are_found_in_a_line(text, found):
    assert messages.link_in(text) == found


@pytest.mark.parametrize(
    ("address", "masked"),
    [("tilda@example.org", "t…@example.org"), ("t@example.org", "t…@example.org"), ("", ""), ("odd", "odd")],
)
def test_a_masked_address_shows_one_letter_and_the_domain(address, masked):
    assert messages.mask(address) == masked


# --- Languages --------------------------------------------------------------------------------------


def test_built_in_texts_stand_in_where_nobody_wrote_one(db):
    assert list(messages.texts()) == ["en", "de"]
    MessageTemplate.objects.create(language="uk", subject="Допомога", body="{link}")
    MessageTemplate.objects.create(language="de", subject="Hilfe", body="Hier: {link}")
    MessageTemplate.objects.create(language="tlh", subject="nuqneH", body="{link}")
    known = messages.texts()
    assert list(known) == ["en", "de", "uk"]
    assert known["de"].body == "Hier: {link}"
    assert messages.offered("fr", known) == "en"
    assert messages.offered("uk", known) == "uk"


# --- The administration -----------------------------------------------------------------------------


@pytest.fixture
def desk(admin, browser_of):
    return browser_of(admin)


def kinds():
    return list(Event.objects.filter(kind__startswith="admin.").order_by("seq").values_list("kind", flat=True))


def test_a_text_is_written_changed_and_taken_back_and_each_is_an_event(desk):
    before = Snapshot.load().revision
    assert desk.post(f"{LIST}add/", GOOD).status_code == 302
    row = MessageTemplate.objects.get()
    assert (row.language, row.subject) == ("es", "{helpdesk}: su enlace")
    changed = GOOD | {"language": "fr", "subject": "Hola"}
    assert desk.post(f"{LIST}{row.pk}/change/", changed).status_code == 302
    row.refresh_from_db()
    assert (row.language, row.subject) == ("es", "Hola"), "the language stays"
    page = desk.get(LIST).content.decode()
    assert "Español" in page
    assert 'href="add/?language=fr"' in page
    assert desk.post(f"{LIST}{row.pk}/delete/", {"post": "yes"}).status_code == 302
    assert kinds() == ["admin.added", "admin.changed", "admin.deleted"]
    assert Event.objects.get(kind="admin.changed").details["changes"]["subject"] == ["{helpdesk}: su enlace", "Hola"]
    assert Snapshot.load().revision == before + 3, "pages that are open show it"


def test_a_language_has_one_text(desk):
    desk.post(f"{LIST}add/", GOOD)
    assert "already exists" in desk.post(f"{LIST}add/", GOOD).content.decode()
    assert MessageTemplate.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("body", "Hola {nombre}, {link}", "No placeholder: {nombre}. Known are {link}, {code}"),
        ("body", "{link} {link.__class__}", "{link.__class__}"),
        ("body", "{link}{" + "{" * 3990, "No placeholder: {."),
        ("subject", "{0}", "No placeholder: {0}."),
        ("body", "Hola", "Write {link} where the link belongs"),
        ("body", "{link}" + "x" * 4000, "at most 4000 characters"),
        ("subject", "x" * 151, "at most 150 characters"),
        ("language", "tlh", "Select a valid choice"),
        ("subject", "a\x00b", "Null characters are not allowed"),
    ],
)
def test_hostile_and_mistaken_texts_are_refused_in_words(desk, field, value, says):
    page = desk.post(f"{LIST}add/", GOOD | {field: value}).content.decode()
    assert says in page
    assert not MessageTemplate.objects.exists()
    assert not kinds()


def test_line_breaks_in_a_subject_and_turned_writing_are_not_kept(desk):
    hostile = {"subject": "Help\r\nBcc: all@example.org", "body": "<b>\u202eevil\u202c</b>\x07 {link}"}
    desk.post(f"{LIST}add/", GOOD | hostile)
    row = MessageTemplate.objects.get()
    assert (row.subject, row.body) == ("Help Bcc: all@example.org", "<b>evil</b> {link}")
    page = desk.get(f"{LIST}{row.pk}/change/").content.decode()
    assert "<p>&lt;b&gt;evil&lt;/b&gt;" in page


def test_a_preview_shows_an_example_and_saves_nothing(desk):
    page = desk.post(f"{LIST}add/", GOOD | {"_preview": "1"}).content.decode()
    assert "<b>Helpdesk: su enlace</b>" in page
    assert "escriba 364\u00a0019\u00a0582." in page
    assert "Please correct" not in page
    assert not MessageTemplate.objects.exists()
    assert not kinds()
    page = desk.post(f"{LIST}add/", GOOD | {"_preview": "1", "body": "{0}"}).content.decode()
    assert "No placeholder: {0}." in page


def test_a_text_is_begun_with_the_one_that_stands_in(desk):
    assert "Guten Tag," in desk.get(f"{LIST}add/?language=de").content.decode()
    assert "Hello," in desk.get(f"{LIST}add/?language=ru").content.decode()
    assert "Hello," in desk.get(f"{LIST}add/?language=tlh%00").content.decode()


def test_a_row_in_a_language_nobody_knows_can_be_seen_and_deleted(desk):
    row = MessageTemplate.objects.create(language="tlh", subject="nuqneH", body="{link}")
    assert "tlh" in desk.get(LIST).content.decode()
    assert desk.get(f"{LIST}{row.pk}/change/").status_code == 200
