"""Attempts whose outcome nobody knows stay visible until they are settled."""

from datetime import timedelta

import pytest
from django.utils import timezone

from invitations import actions, unsettled
from invitations.models import Invitation, Operation, Snapshot, sight_of
from portal.getscreen.errors import GetscreenError
from tests.conftest import known


def page_of(browser, path="/"):
    return " ".join(browser.get(path).content.decode().split())


@pytest.fixture
def unknown(agent, vendor, look):
    """Make one attempt with an unknown outcome; returns its operation."""

    def make(verb="close", *, name="Payroll laptop", minutes=0, state="unknown", invitation=None, by=agent):
        return Operation.objects.create(
            reference=f"ref-{verb}-{Operation.objects.count()}",
            verb=verb,
            by=by,
            account="",
            state=state,
            client_name=name,
            invitation=invitation,
            started_at=timezone.now() - timedelta(minutes=minutes),
        )

    look()
    return make


def test_a_create_that_was_not_confirmed_is_on_the_board_of_everybody(agent, colleague, lead, browser_of, vendor, look):
    look()
    vendor.fail("create", "hang_after")
    vendor.fail("list", "status_502", times=None)
    with pytest.raises(GetscreenError):
        actions.create(by=agent, client_name="Payroll laptop")
    op = Operation.objects.get()
    for person in (agent, colleague, lead):
        page = page_of(browser_of(person))
        assert "Not known whether it happened" in page
        assert "create “Payroll laptop”" in page
        assert f"by {agent.display_name}" in page
        assert f"reference {op.reference}" in page
        assert "before you make another one" in page


@pytest.mark.parametrize(
    ("verb", "advice"),
    [
        ("create", "Look for it on this board"),
        ("connect", "nobody received it"),
        ("rename", "rename again if it is the old one"),
        ("close", "Close it again if the list still shows it as open"),
    ],
)
def test_each_verb_says_what_it_may_have_done(agent, browser_of, unknown, verb, advice):
    unknown(verb)
    assert advice in page_of(browser_of(agent))


def test_a_settled_one_disappears(agent, browser_of, unknown):
    op = unknown("create")
    browser = browser_of(agent)
    assert "Payroll laptop" in page_of(browser)
    Operation.objects.filter(pk=op.pk).update(state="ok")
    Snapshot.objects.update(revision=99)
    assert "Payroll laptop" not in page_of(browser)


def test_one_whose_process_died_counts_and_one_under_way_does_not(agent, unknown):
    unknown("close", state="pending", minutes=0)
    assert unsettled.on_board(sight_of(agent)).lines == []
    unknown("close", state="pending", minutes=2)
    assert len(unsettled.on_board(sight_of(agent)).lines) == 1


def test_the_board_shows_the_newest_of_a_day_and_counts_the_rest(agent, auditor, browser_of, unknown):
    for minutes in range(8):
        unknown("create", name=f"Client {minutes}", minutes=minutes)
    unknown("create", name="The day before", minutes=24 * 60 + 1)
    page = page_of(browser_of(auditor))
    assert [n for n in range(8) if f"“Client {n}”" in page] == [0, 1, 2, 3, 4]
    assert "and 7 more" in page
    assert "3 older ones are not listed here." in page
    assert page.index("“Client 0”") < page.index("<details") < page.index("“Client 1”")
    assert "/audit/?result=unknown" in page
    assert "The day before" not in page


def test_an_invitations_timeline_keeps_it_whatever_its_age(agent, browser_of, unknown, vendor, look):
    number = vendor.add("Tilda")
    look()
    op = unknown("close", invitation=known(number), minutes=60 * 48)
    page = page_of(browser_of(agent), f"/invitations/{known(number).public_id}/")
    assert 'class="is-unsettled"' in page
    assert f"Not known whether it happened: close “Tilda” by {agent.display_name}" in page
    assert f"Reference: {op.reference}" in page


def test_it_survives_the_person_and_an_empty_name(agent, browser_of, unknown):
    unknown("create", name="", by=None)
    page = page_of(browser_of(agent))
    assert "create “No name yet”" in page
    assert Invitation.objects.count() == 0


def test_names_are_escaped(agent, browser_of, unknown):
    unknown("create", name="<script>alert(1)</script> %s %(name)s")
    page = page_of(browser_of(agent))
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; %s %(name)s" in page


def test_creates_older_than_a_day_are_counted(agent, lead, browser_of, unknown):
    line = "The outcome of 2 older attempts to create invitations is still not known."
    for days in (2, 3, 40):
        unknown("create", minutes=days * 24 * 60)
    unknown("rename", minutes=2 * 24 * 60)
    for person in (agent, lead):
        page = page_of(browser_of(person))
        assert line in page
        assert "?result=unknown" in page


def test_beyond_the_shown_ones_all_are_counted(agent, unknown):
    for number in range(7):
        unknown("close", minutes=number)
    for days in (2, 3):
        unknown("create", minutes=days * 24 * 60)
    shown = unsettled.on_board(sight_of(agent))
    assert (len(shown.lines), shown.more, shown.older) == (5, 2, 2)
