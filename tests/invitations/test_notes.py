"""What people write down: versions of a note, tickets that look like one, how it ended, and the text of it all."""

import re
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from invitations import actions, notes, summaries, tickets
from invitations.models import Entry, Invitation, Note, Operation, Outcome, Policy, Status
from invitations.refusals import NoteChanged, OutcomeMissing, ReasonMissing, TicketMalformed
from portal.audit.models import Event
from portal.getscreen.errors import Unavailable
from tests.conftest import known
from tests.invitations.test_policies import decide


@pytest.fixture
def invitation(agent, vendor, look) -> Invitation:
    look()
    return actions.create(by=agent, client_name="Tilda Brandt", ticket="HD-1", note="First words")


def page_of(invitation, name):
    return f"/invitations/{invitation.public_id}/{name}/"


def words(invitation):
    return [(note.by_name, note.text) for note in Note.objects.filter(invitation=invitation)]


def test_the_note_of_the_form_is_the_first_version(invitation):
    assert words(invitation) == [("Mika Lind", "First words")]


def test_each_change_is_a_version_with_its_author(invitation, colleague, browser_of):
    answer = browser_of(colleague).post(
        page_of(invitation, "note"), {"ticket": "HD-1", "note": "Second words\n\nand more", "seen": "1"}
    )
    assert answer.status_code == 302
    invitation.refresh_from_db()
    assert invitation.note == "Second words\n\nand more"
    assert words(invitation)[1] == (colleague.display_name, "Second words\n\nand more")
    assert invitation.entries.last().kind == Entry.Kind.NOTED
    event = Event.objects.get(kind="invitation.noted")
    assert event.facts["fields"] == ["note"]
    assert "Second words" not in str(event.facts), "words can be erased"
    page = browser_of(colleague).get(page_of(invitation, "note/versions")).content.decode()
    assert page.index("Second words") < page.index("First words")


def test_saving_what_is_there_already_is_no_change(invitation, agent, browser_of):
    browser_of(agent).post(page_of(invitation, "note"), {"ticket": "HD-1", "note": "First words", "seen": "1"})
    assert len(words(invitation)) == 1
    assert not Event.objects.filter(kind="invitation.noted").exists()


@pytest.mark.parametrize("page", ["note", "outcome", "close"])
def test_a_note_somebody_else_changed_is_never_overwritten_unseen(invitation, agent, colleague, browser_of, page):
    actions.annotate(invitation=invitation, by=colleague, note="Their <b>words</b>", seen=1)
    sent = {"ticket": "HD-1", "note": "My words", "seen": "1", "outcome": "Solved"}
    browser = browser_of(agent)
    answer = browser.post(page_of(invitation, page), sent)
    shown = answer.content.decode()
    assert answer.status_code == 409
    assert "Their &lt;b&gt;words&lt;/b&gt;" in shown
    assert "My words" in shown
    invitation.refresh_from_db()
    assert (invitation.note, invitation.is_open) == ("Their <b>words</b>", True)
    seen = re.search(r'name="seen"[^>]*value="(\d+)"|value="(\d+)"[^>]*name="seen"', shown)
    again = browser.post(page_of(invitation, page), sent | {"seen": next(filter(None, seen.groups()))})
    assert again.status_code == 302
    invitation.refresh_from_db()
    assert invitation.note == "My words"
    assert len(words(invitation)) == 3


def test_a_note_from_before_versions_becomes_the_first_one(invitation, colleague):
    invitation.notes.all().delete()
    actions.annotate(invitation=invitation, by=colleague, note="New", seen=0)
    assert words(invitation) == [("Mika Lind", "First words"), (colleague.display_name, "New")]


def test_two_saving_at_once_leave_one_version_more(invitation, agent, colleague):
    mine, theirs = Invitation.objects.get(), Invitation.objects.get()
    actions.annotate(invitation=mine, by=agent, note="Mine", seen=1)
    with pytest.raises(NoteChanged):
        actions.annotate(invitation=theirs, by=colleague, note="Theirs", seen=1)
    assert len(words(invitation)) == 2


def test_what_is_not_sent_stays(invitation, agent, browser_of):
    browser_of(agent).post(page_of(invitation, "note"), {"ticket": "HD-2"})
    browser_of(agent).post(page_of(invitation, "close"), {})
    invitation.refresh_from_db()
    assert (invitation.ticket, invitation.note, invitation.is_open) == ("HD-2", "First words", False)


def test_closing_keeps_outcome_and_note_with_it(invitation, agent, browser_of, vendor):
    browser_of(agent).post(
        page_of(invitation, "close"), {"outcome": "Client did not come", "note": "Calls tomorrow", "seen": "1"}
    )
    invitation.refresh_from_db()
    assert (invitation.status, invitation.outcome) == (Status.CLOSED, "Client did not come")
    assert words(invitation)[-1] == ("Mika Lind", "Calls tomorrow")
    assert invitation.entries.get(kind=Entry.Kind.CLOSED).detail == "Client did not come"
    closed = Event.objects.filter(kind="invitation.close", phase="outcome").get()
    assert closed.facts == {"outcome": "Client did not come"}


def test_a_close_that_fails_keeps_what_was_typed_on_the_page(invitation, agent, browser_of, vendor):
    vendor.fail("close", "status_500")
    answer = browser_of(agent).post(
        page_of(invitation, "close"), {"outcome": "Solved", "note": "Typed at length", "seen": "1"}
    )
    shown = answer.content.decode()
    assert answer.status_code == 503
    assert "Typed at length" in shown
    assert re.search(r'value="Solved"[^>]*checked', shown)


def test_what_the_client_closed_can_still_be_told(invitation, agent, browser_of, vendor, look):
    vendor.close(invitation.vendor_id)
    look()
    browser_of(agent).post(page_of(invitation, "outcome"), {"outcome": "Solved", "note": "Told later", "seen": "1"})
    invitation.refresh_from_db()
    assert (invitation.outcome, invitation.note) == ("Solved", "Told later")
    browser_of(agent).post(page_of(invitation, "close"), {"outcome": "Wrong person"})
    invitation.refresh_from_db()
    assert invitation.outcome == "Wrong person", "closing what is closed already keeps what is said with it"


def test_an_outcome_is_asked_for_once_a_client_has_come(invitation, agent, browser_of, vendor, look):
    decide(is_outcome_required=True)
    vendor.join(invitation.vendor_id, "win")
    look()
    answer = browser_of(agent).post(page_of(invitation, "close"), {"note": "Typed", "seen": "1"})
    assert answer.status_code == 422
    assert "Your team asks how it ended" in answer.content.decode()
    assert "Typed" in answer.content.decode()
    invitation.refresh_from_db()
    with pytest.raises(OutcomeMissing):
        actions.close(invitation=invitation, by=agent)
    actions.close(invitation=invitation, by=agent, outcome="Solved")
    assert Invitation.objects.get().outcome == "Solved"


def test_nobody_who_came_needs_no_outcome(invitation, agent):
    decide(is_outcome_required=True)
    actions.close(invitation=invitation, by=agent)
    assert not Invitation.objects.get().is_open


def test_outcomes_are_the_administrators_own_list(invitation, admin, agent, browser_of):
    office = browser_of(admin)
    office.post(
        "/admin/invitations/outcome/add/", {"name": "Referred to <the> field", "position": "9", "is_offered": "on"}
    )
    solved = Outcome.objects.get(name="Solved")
    office.post(f"/admin/invitations/outcome/{solved.pk}/change/", {"name": "Solved", "position": "1"})
    page = browser_of(agent).get(page_of(invitation, "close")).content.decode()
    assert "Referred to &lt;the&gt; field" in page
    assert 'value="Solved"' not in page
    assert Event.objects.filter(kind="admin.changed").exists()


def test_an_outcome_that_is_no_longer_offered_stays_where_it_was_chosen(invitation, agent, browser_of):
    actions.annotate(invitation=invitation, by=agent, outcome="Solved")
    Outcome.objects.all().delete()
    page = browser_of(agent).get(page_of(invitation, "outcome")).content.decode()
    assert re.search(r'value="Solved"[^>]*checked', page)


@pytest.mark.parametrize("page", ["note", "outcome"])
def test_whoever_only_looks_may_not_write(invitation, auditor, outsider, browser_of, page):
    assert browser_of(auditor).get(page_of(invitation, page)).status_code == 403
    assert browser_of(outsider).post(page_of(invitation, page), {"note": "x"}).status_code == 403
    assert (
        page_of(invitation, page)
        not in browser_of(auditor).get(f"/invitations/{invitation.public_id}/").content.decode()
    )


def test_a_reason_stands_in_for_a_ticket_where_the_policy_says_so(agent, browser_of, vendor, look):
    look()
    decide(is_ticket_required=True, is_reason_enough=True)
    browser = browser_of(agent)
    refused = browser.post("/invitations/new/", {"client_name": "Tilda"})
    assert refused.status_code == 422
    assert "or say below why there is none" in refused.content.decode()
    with pytest.raises(ReasonMissing):
        actions.create(by=agent)
    assert not vendor.rows()
    browser.post("/invitations/new/", {"client_name": "Tilda", "reason": "Ticket system is down"})
    made = Invitation.objects.get()
    assert made.reason == "Ticket system is down"
    assert "Ticket system is down" in browser.get("/").content.decode()


def test_there_is_no_field_for_a_reason_where_none_is_taken(agent, browser_of, vendor, look):
    look()
    decide(is_reason_enough=True)
    assert 'name="reason"' not in browser_of(agent).get("/invitations/new/").content.decode()


@pytest.mark.parametrize(
    ("pattern", "right", "wrong"),
    [
        ("INC#######", ["INC0012345", "inc0012345"], ["INC123", "INC00123456", "XINC0012345", "INC٠٠١٢٣٤٥"]),
        ("@@-#, REQ*", ["HD-7", "REQ", "REQ anything"], ["H1-7", "XREQ", "HD-77"]),
        ("a.c", ["a.c"], ["abc"]),
        ("", ["whatever"], []),
    ],
)
def test_a_pattern_says_what_a_ticket_looks_like(pattern, right, wrong):
    tickets.validate_pattern(pattern)
    assert [ticket for ticket in right + wrong if tickets.fits(pattern, ticket)] == right


@pytest.mark.parametrize("pattern", ["*", "INC*#*", "HD-#, *"])
def test_a_pattern_that_accepts_anything_is_refused(pattern):
    with pytest.raises(ValidationError):
        tickets.validate_pattern(pattern)


@given(st.text(max_size=200), st.text(max_size=100))
def test_no_pattern_and_no_ticket_is_too_much(pattern, ticket):
    tickets.fits(pattern, ticket)


def test_a_ticket_of_another_shape_is_refused_and_kept_in_the_form(agent, browser_of, vendor, look):
    look()
    decide(ticket_pattern="INC#######")
    browser = browser_of(agent)
    answer = browser.post("/invitations/new/", {"client_name": "Tilda", "ticket": "HD-1"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "This is no ticket of your team" in page
    assert "Such as INC#######" in page
    assert 'value="HD-1"' in page
    with pytest.raises(TicketMalformed):
        actions.create(by=agent, ticket="HD-1")
    assert not vendor.rows()
    assert browser.post("/invitations/new/", {"ticket": "INC0000001"}).status_code == 302


def test_an_old_ticket_of_another_shape_does_not_stand_in_the_way_of_a_note(invitation, agent, browser_of):
    decide(ticket_pattern="INC#######")
    answer = browser_of(agent).post(page_of(invitation, "note"), {"ticket": "HD-1", "note": "More", "seen": "1"})
    assert answer.status_code == 302


@pytest.mark.parametrize("is_reason_enough", [False, True])
def test_what_was_made_without_a_ticket_can_be_annotated_all_the_same(invitation, agent, browser_of, is_reason_enough):
    """Invitations made outside the portal have none, nor have those from before the policy."""
    decide(is_ticket_required=True, is_reason_enough=is_reason_enough)
    browser, page = browser_of(agent), page_of(invitation, "note")
    assert browser.post(page, {"ticket": "", "note": "More", "seen": "1"}).status_code == 422, "it is not taken away"
    Invitation.objects.update(ticket="", is_external=True)
    assert "required" not in browser.get(page).content.decode()
    assert browser.post(page, {"ticket": "", "reason": "", "note": "More", "seen": "1"}).status_code == 302
    assert words(invitation)[-1][1] == "More"


def test_a_pattern_nobody_could_meet_is_refused_in_the_administration(admin, browser_of, vendor):
    Policy.load()
    answer = browser_of(admin).post(
        "/admin/invitations/policy/1/change/", {"ticket_pattern": "*", "helpdesk_name": "X"}
    )
    assert "would accept anything" in answer.content.decode()


def test_tickets_are_links_where_the_ticket_system_is_known(invitation, agent, browser_of, settings):
    settings.TICKET_URL = "https://tickets.example.org/browse/{ticket}?from=portal"
    actions.annotate(invitation=invitation, by=agent, ticket='A/b "c" {ticket}&x=1', reason="")
    address = "https://tickets.example.org/browse/A%2Fb%20%22c%22%20%7Bticket%7D%26x%3D1?from=portal"
    for path in ("/", f"/invitations/{invitation.public_id}/"):
        page = browser_of(agent).get(path).content.decode()
        assert f'href="{address}" target="_blank" rel="noopener noreferrer"' in page
    actions.close(invitation=invitation, by=agent)
    assert address in browser_of(agent).get("/history/").content.decode()


def test_a_ticket_system_s_deep_link_fills_in_and_makes_nothing(agent, browser_of, vendor, look):
    look()
    answer = browser_of(agent).get("/invitations/new?client_name=Tilda+Brandt&ticket=HD-7", follow=True)
    page = answer.content.decode()
    assert 'value="Tilda Brandt"' in page
    assert 'value="HD-7"' in page
    assert not vendor.rows()
    assert not Operation.objects.exists()


def test_the_text_for_the_ticket_tells_what_happened_and_no_code(invitation, agent, auditor, browser_of, vendor, look):
    vendor.join(invitation.vendor_id, "win")
    look()
    actions.connect(invitation=Invitation.objects.get(), by=agent)
    actions.close(invitation=Invitation.objects.get(), by=agent, outcome="Solved")
    closed = Invitation.objects.get()
    plain, markdown, html = (text.body for text in summaries.texts(closed))
    for said in ("Tilda Brandt", "HD-1", "Mika Lind", "Windows", "Solved", "First words", closed.public_id):
        assert said in plain
        assert said in html
        assert said.replace("-", r"\-") in markdown or said in markdown
    page = browser_of(auditor).get(page_of(closed, "summary")).content.decode()
    for secret in (closed.code, closed.code_grouped, closed.invite_url):
        assert secret not in plain + markdown + html + page


HOSTILE = "<script>alert(1)</script> [x](javascript:alert(1)) `a` *b* | c\n# d\n- e\n<img src=x onerror=1>"


def test_the_text_for_the_ticket_carries_no_markup_of_anybody_s(invitation, agent):
    actions.annotate(invitation=invitation, by=agent, note=HOSTILE, seen=1, ticket="[t](http://x)", reason="")
    _plain, markdown, html = (text.body for text in summaries.texts(Invitation.objects.get()))
    assert "<script" not in html
    assert "<img" not in html
    assert not re.search(
        r"(?<!\\)[<>\[\]`*|#]", "".join(line for line in markdown.splitlines()[1:] if "HD" not in line)
    )


def test_a_close_without_an_answer_keeps_nothing_it_does_not_know(invitation, agent, vendor):
    vendor.fail("close", "status_500")
    with pytest.raises(Unavailable):
        actions.close(invitation=invitation, by=agent, outcome="Solved", note="New", seen=1)
    kept = Invitation.objects.get()
    assert (kept.outcome, kept.note, notes.version(kept)) == ("", "First words", 1)


def test_a_note_written_while_getscreen_closes_stays_where_the_closer_changed_nothing(
    invitation, agent, colleague, browser_of, vendor
):
    vendor.after(
        "close",
        lambda: actions.annotate(invitation=known(invitation.vendor_id), by=colleague, note="Call back", seen=1),
    )
    browser_of(agent).post(page_of(invitation, "close"), {"outcome": "Solved", "note": "First words", "seen": "1"})
    invitation.refresh_from_db()
    assert (invitation.is_open, invitation.note) == (False, "Call back")
    assert words(invitation)[-1][1] == invitation.note


def test_words_of_two_at_the_moment_of_closing_both_stay(invitation, agent, colleague, browser_of, vendor):
    vendor.after(
        "close", lambda: actions.annotate(invitation=known(invitation.vendor_id), by=colleague, note="Theirs", seen=1)
    )
    browser_of(agent).post(page_of(invitation, "close"), {"outcome": "Solved", "note": "Mine", "seen": "1"})
    invitation.refresh_from_db()
    assert (invitation.is_open, invitation.note) == (False, "Mine")
    assert [text for _, text in words(invitation)] == ["First words", "Theirs", "Mine"]


def test_the_versions_of_an_emptied_note_can_still_be_read(invitation, agent, browser_of):
    actions.annotate(invitation=invitation, by=agent, note="", seen=1)
    assert page_of(invitation, "note/versions") in browser_of(agent).get(f"/invitations/{invitation.public_id}/").text


def test_what_only_begins_like_our_address_is_no_address_in_markdown(invitation, agent, settings):
    settings.PUBLIC_URL = "https://help.example.org"
    actions.annotate(
        invitation=invitation, by=agent, note="https://help.example.org/](//evil.example)![](//evil.example/x)", seen=1
    )
    text = summaries.texts(invitation)[1].body
    assert "](" not in text
    assert f"https://help.example.org/invitations/{invitation.public_id}/" in text


def test_of_a_clock_that_went_back_the_last_words_are_shown_as_theirs(invitation, agent, colleague, browser_of):
    invitation.notes.update(at=timezone.now() + timedelta(hours=1))
    actions.annotate(invitation=invitation, by=colleague, note="Their words", seen=1)
    answer = browser_of(agent).post(page_of(invitation, "note"), {"ticket": "HD-1", "note": "Mine", "seen": "1"})
    assert answer.status_code == 409
    assert "Their words" in answer.text
    assert "First words" not in answer.text
