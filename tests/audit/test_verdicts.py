"""What the page says of the whole log: only what the last check and the outside copies allow."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test.utils import override_settings
from django.utils import timezone

from portal.audit import nightly, verdicts
from portal.audit.models import Event, Standing

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
SOUND = {
    "verified_state": "intact",
    "verified_at": NOW - timedelta(hours=7, minutes=30),
    "verify_began_at": NOW - timedelta(hours=7, minutes=31),
    "verified_upto": 12_041,
    "verified_size": 12_050,
    "anchored_at": NOW - timedelta(minutes=4),
    "anchored_size": 12_041,
}


def verdict(**changes):
    return verdicts.of(Standing(**SOUND | changes), NOW)


def words(of):
    return " ".join([of.title, of.text, of.activity, *of.findings])


def test_an_intact_log_says_up_to_where_and_since_when():
    found = verdict()
    assert (found.tone, found.title) == ("ok", "Intact up to event 12,041")
    assert found.text.replace("\xa0", " ") == "checked 02:00, anchored outside 4 minutes ago"
    assert found.activity == ""


def test_a_changed_log_is_alarming_and_names_the_event():
    found = verdict(verified_state="tampered", verified_findings=["Event 17 does not fit.", "And event 18."])
    assert (found.tone, found.title) == ("danger", "Changed: Event 17 does not fit.")
    assert found.findings == ("And event 18.",)
    assert "intact" not in words(found).lower()


@pytest.mark.parametrize("findings", [[], ["There is no outside copy."]])
@pytest.mark.parametrize("state", ["incomplete", "intact"])
def test_without_an_outside_copy_nothing_is_called_intact(state, findings):
    found = verdict(verified_state=state, verified_upto=0, verified_findings=findings, anchored_at=None)
    assert (found.state, found.tone) == ("incomplete", "caution")
    assert "Not complete: There is no outside copy" in found.title
    assert "intact" not in words(found).lower()


def test_a_check_that_failed_says_why():
    found = verdict(verified_state="failed", verified_findings=["there is no key"])
    assert found.title == "The log could not be checked: there is no key"
    assert "intact" not in words(found).lower()


def test_a_log_that_was_never_checked_says_so():
    found = verdicts.of(Standing(), NOW)
    assert (found.title, found.tone) == ("Not checked yet", "info")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"verify_requested_at": NOW}, "A check has been asked for and begins in a moment."),
        ({"verify_began_at": NOW - timedelta(minutes=1)}, "It is being checked now."),
        ({"verify_began_at": NOW - timedelta(hours=3)}, "The check that began 06:30 has brought no result."),
        ({"verify_requested_at": NOW - timedelta(hours=8)}, ""),
    ],
)
def test_a_check_under_way_is_said_besides(changes, says):
    assert verdict(**changes).activity == says


def test_an_old_result_is_not_shown_as_sound():
    found = verdict(verified_at=NOW - timedelta(days=3))
    assert (found.tone, "20 Nov 2026, 09:30" in found.text, "overdue" in found.text) == ("caution", True, True)


def test_copies_that_fail_are_said_beside_an_intact_log():
    found = verdict(anchor_error="/mnt/anchors: No space left on device")
    assert found.tone == "caution"
    assert "No space left" in found.text
    assert "anchored outside" not in found.text


def test_times_are_those_of_the_site():
    with override_settings(TIME_ZONE="Pacific/Auckland"), timezone.override("Pacific/Auckland"):
        assert "checked 15:00" in verdict().text


@pytest.mark.parametrize(("who", "is_shown"), [("agent", False), ("lead", False), ("auditor", True), ("admin", True)])
def test_the_state_is_for_those_who_see_everything(db, request, browser_of, vendor, who, is_shown):
    Standing.note(verified_state="tampered", verified_findings=["Event 17 does not fit."], verified_at=timezone.now())
    page = browser_of(request.getfixturevalue(who)).get("/audit/").content.decode()
    assert ("Changed: Event 17 does not fit." in page) == is_shown
    assert ("Check now" in page) == is_shown


def test_somebody_asks_for_a_check(auditor, browser_of, vendor):
    Standing.note(verify_began_at=timezone.now())
    answer = browser_of(auditor).post("/audit/verify/", follow=True)
    assert answer.redirect_chain == [("/audit/", 302)]
    page = answer.content.decode()
    assert "will be checked now" in page
    assert "begins in a moment" in page
    event = Event.objects.get(kind="audit.verify_requested")
    assert event.actor_id == auditor.pk
    assert nightly.is_due(Standing.load(), timezone.now())


@pytest.mark.parametrize("who", ["agent", "lead"])
def test_others_cannot_ask_for_a_check(request, browser_of, vendor, who):
    assert browser_of(request.getfixturevalue(who)).post("/audit/verify/").status_code == 403
    assert Standing.load().verify_requested_at is None
