"""What one look at the vendor does to our rows, and the races between looking and acting."""

from __future__ import annotations

from invitations import actions
from invitations.models import Entry, Invitation, Status
from tests.conftest import known
from tests.invitations.watching import kinds


def test_new_rows_are_external_and_keep_the_vendors_time(vendor, look):
    number = vendor.add("Made elsewhere", created_at=1_790_000_000)
    look()
    row = known(number)
    assert row.is_external
    assert int(row.created_at.timestamp()) == 1_790_000_000
    assert kinds(row) == [Entry.Kind.FOUND]


def test_joining_and_leaving_are_lines_with_their_precision(vendor, look):
    number = vendor.add("Tilda")
    look()
    vendor.join(number, os="linux")
    look()
    assert known(number).joined_at is not None
    assert known(number).client_os == "linux"
    vendor.leave(number)
    look()
    row = known(number)
    assert kinds(row) == ["found", "joined", "left"]
    assert row.joined_at is None
    assert all(entry.precision >= 1 for entry in row.entries.all())


def test_renames_made_elsewhere_arrive(vendor, look):
    number = vendor.add("Old")
    first = look()
    vendor.rename(number, "New")
    assert look().revision > first.revision
    assert known(number).client_name == "New"


def test_a_look_without_news_leaves_the_revision(vendor, look):
    vendor.add("Tilda", status=1)
    assert look().revision == look().revision


def test_a_list_begun_before_a_create_does_not_close_it(agent, vendor, look):
    vendor.after("list", lambda: actions.create(by=agent, client_name="Lena"))
    look()
    row = Invitation.objects.get(client_name="Lena")
    assert row.is_open
    assert row.created_by == agent


def test_a_list_begun_before_a_close_does_not_reopen_it(lead, vendor, look):
    number = vendor.add("Tilda", status=1)
    look()
    vendor.after("list", lambda: actions.close(invitation=known(number), by=lead))
    look()
    assert known(number).status == Status.CLOSED


def test_a_list_begun_before_a_rename_does_not_undo_it(lead, vendor, look):
    number = vendor.add("Old")
    look()
    vendor.after("list", lambda: actions.rename(invitation=known(number), by=lead, client_name="New"))
    look()
    assert known(number).client_name == "New"


def test_a_list_begun_before_a_look_at_one_does_not_undo_it(agent, vendor, look):
    number = vendor.add("Tilda")
    look()

    def join_and_try_to_connect():
        vendor.join(number)
        actions.connect(invitation=known(number), by=agent)

    vendor.after("list", join_and_try_to_connect)
    look()
    assert known(number).status == Status.JOINED
    assert "left" not in kinds(known(number))


def test_another_key_never_closes_the_rows_of_the_first(agent, browser_of, vendor, look):
    number = vendor.add("Tilda")
    look()
    Invitation.objects.update(account="00000000", vendor_id=number + 5000)
    snapshot = look()
    old = Invitation.objects.get(account="00000000")
    assert old.is_open
    assert old.account != snapshot.account
    page = browser_of(agent).get("/").content.decode()
    assert "other account" in page
    answer = browser_of(agent).post(f"/invitations/{old.public_id}/connect/")
    assert answer.status_code == 409


def test_a_row_of_unknown_status_is_shown_and_not_connected(agent, browser_of, vendor, look):
    number = vendor.add("Meeting room", status=1)
    vendor.fail("list", "unknown_status", times=None)
    look()
    assert known(number).status == Status.UNKNOWN
    assert "Unknown" in browser_of(agent).get("/").content.decode()
