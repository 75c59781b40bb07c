"""What customers call themselves is text wherever it is shown: nothing runs, and nothing even has to be blocked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests import batteries
from tests.e2e.payloads import PAYLOADS
from tests.installation import Installation, wait_until

CANARY = "window.owned = () => console.error('a script of a name ran')"
ODD = (  # nothing that could run, but what may turn a page around or widen it
    "\u202eevil\u202c gnp.exe",
    "שלום עולם (קבלה)",
    "W" * 100,
    "a&amp;b <b>bold</b>",
)
NAMES = PAYLOADS + ODD
LAST = "Tilda"
DETAILS = batteries.count(short=8, long=len(NAMES))  # how many are opened one by one
# What the product never builds, so wherever it stands, a name has built it.
FOREIGN = """
[...document.querySelectorAll("main *, header *, dialog *, title *, #content *")].filter((e) =>
  e.matches("script:not([src]), [onerror], [onload], [onfocus], [ontoggle], iframe, object, embed, base, math, marquee,"
    + " image, audio, video, animate, set, [href^='javascript:'], [src='x'], [srcset='x'], [hx-trigger='load'], b > b")
).map((e) => e.outerHTML)
"""


def create(page: Page, portal: Installation, name: str) -> None:
    """Send the form of a new invitation, as the page would."""
    token = page.locator("[name=csrfmiddlewaretoken]").first.input_value()
    form = {"csrfmiddlewaretoken": token, "client_name": name, "ticket": name, "note": f"{name}\n\n{name}"}
    answer = page.request.post(
        "/invitations/new/",
        form=form,
        headers={"Origin": portal.url, "User-Agent": name.encode("ascii", "replace").decode()},
    )
    assert answer.ok, answer.status


@pytest.fixture
def outside() -> list[str]:
    """Addresses that a page has asked for elsewhere."""
    return []


@pytest.fixture
def page(open_page: Callable[..., Page], portal: Installation, outside: list[str]) -> Page:
    page = open_page("admin")
    page.add_init_script(CANARY)
    page.on("request", lambda request: request.url.startswith(portal.url) or outside.append(request.url))
    page.on("dialog", lambda dialog: outside.append(f"dialog: {dialog.message}"))
    return page


@pytest.fixture
def filled(page: Page, vendor: Any, portal: Installation) -> list[str]:
    """Invitations of which everything that can be said in words is hostile; their public ids."""
    vendor.remaining = 1000
    portal.set_policy(creates_per_hour="0", connects_per_ten_minutes="0")
    page.goto("/invitations/new/")
    for name in (*NAMES, LAST):
        create(page, portal, name.replace("\x0c", " "))
    for row in list(vendor.rows().values()):
        vendor.join(row.id, row.client_name)
    known = "SELECT public_id FROM invitations_invitation WHERE status = 1 ORDER BY id"
    wait_until(lambda: len(portal.ask(known)) == len(NAMES) + 1, seconds=20)
    portal.ask("UPDATE invitations_invitation SET created_by_name = client_name, taken_by_name = client_name")
    portal.ask("UPDATE invitations_snapshot SET revision = revision + 1")
    return [public_id for (public_id,) in portal.ask(known)]


def look(page: Page, path: str) -> None:
    answer = page.goto(path)
    assert answer is not None
    assert answer.ok, (path, answer.status)
    assert page.evaluate(FOREIGN) == [], path


def test_hostile_texts_are_text_on_every_page(page, filled, vendor, portal, outside, reports):
    looks = ["/", "/?q=owned", "/history/", "/audit/", "/audit/?q=owned", "/audit/export/", "/admin/audit/event/"]
    look(page, "/")
    shown = set(page.locator(".row h3 a").all_inner_texts())
    assert {name for name in NAMES if "\x0c" not in name and "\u202e" not in name} <= shown
    looks += ["/admin/invitations/invitation/", "/admin/accounts/user/"]
    step = max(1, len(filled) // DETAILS)
    for public_id in filled[::step]:
        looks += [f"/invitations/{public_id}/", f"/invitations/{public_id}/close/", f"/invitations/{public_id}/rename/"]
    (pk,) = portal.ask("SELECT min(id) FROM invitations_invitation")[0]
    seqs = [seq for (seq,) in portal.ask("SELECT seq FROM audit_event WHERE kind = 'invitation.created' ORDER BY seq")]
    looks += [f"/admin/invitations/invitation/{pk}/change/", *(f"/audit/{seq}/" for seq in seqs[-len(NAMES) :: step])]
    for path in looks:
        look(page, path)
    assert page.evaluate("typeof owned") == "function"
    assert outside == []
    batteries.report(
        f"hostile texts: {len(NAMES)} in name, ticket, note, system, people; {len(looks)} pages in Chromium: "
        f"scripts run 0, CSP reports {len(reports.found)}, requests elsewhere {len(outside)}"
    )


def test_hostile_texts_are_text_where_scripts_put_them(page, filled, vendor, portal, outside):
    """In dialogs, after a poll has exchanged the rows, in what is said aloud, and in the history."""
    look(page, "/")
    for name in PAYLOADS[:: batteries.count(short=20, long=4)]:
        row = page.locator(".row").filter(has=page.get_by_role("link", name=name, exact=True)).first
        row.get_by_title("More actions").click()
        row.get_by_text("Close invitation…").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert page.evaluate(FOREIGN) == [], name
        page.keyboard.press("Escape")
        page.goto("/")
    closed = [row.id for row in vendor.rows().values()][:5]
    for number in closed:
        vendor.close(number)
    expect(page.locator(".row[data-status='1']")).to_have_count(len(filled) - len(closed), timeout=15_000)
    assert page.evaluate(FOREIGN) == []
    look(page, "/history/")
    assert page.get_by_text("<script>owned(1)</script>").count() > 0
    assert outside == []


def test_the_narrow_page_stays_narrow(page, filled):
    page.set_viewport_size({"width": 390, "height": 844})
    for path in ("/", *(f"/invitations/{public_id}/" for public_id in filled[-5:-1])):
        look(page, path)
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), path


def test_what_is_looked_for_would_be_seen(page, reports):
    """A name that builds something is found, blocked and reported; one that runs is heard."""
    page.goto("/")
    page.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<svg onload=owned(1)>')")
    assert len(page.evaluate(FOREIGN)) == 1
    wait_until(lambda: page.evaluate("1") and [each for each in reports.found if "CSP" in each], seconds=5)
    page.evaluate("owned(1)")
    wait_until(lambda: page.evaluate("1") and [each for each in reports.found if "a script" in each], seconds=5)
    reports.clear()


def test_there_are_sixty_and_more():
    assert len(set(PAYLOADS)) >= 60
    assert max(map(len, NAMES)) <= 100
