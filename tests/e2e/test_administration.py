"""The administration in a browser: under the same policy as every page, and on a phone."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from PIL import Image

LIST = "/admin/accounts/user/"
PICTURES = os.environ.get("PICTURES")


def picture(page, name):
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
def test_pages_of_the_administration_break_no_rule(open_page, width, theme):
    paths = (LIST, f"{LIST}invite/", f"{LIST}import/", "/admin/auth/group/", "/admin/auth/group/1/change/")
    for number, path in enumerate((*paths, "/admin/invitations/policy/1/change/")):
        page = open_page("admin", path, width=width, theme=theme)
        assert page.locator("#content").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        picture(page, f"{number}-{width}")
        page.close()


@pytest.mark.parametrize(("width", "theme"), [(1440, "dark"), (390, "light")])
def test_the_list_of_people_is_cut_at_no_width(open_page, width, theme):
    page = open_page("admin", LIST, width=width, theme=theme)
    cells = page.locator("#result_list tbody :is(td, th)").all()
    assert len(cells) > 20
    assert all(cell.bounding_box()["x"] >= 0 for cell in cells)
    assert all(cell.bounding_box()["x"] + cell.bounding_box()["width"] <= width for cell in cells)
    results = page.locator(".results").first
    assert results.evaluate("one => one.scrollWidth <= one.clientWidth")
    assert page.get_by_text("Second factor:").first.is_visible() == (width == 390)
    picture(page, f"people-{width}")


def test_an_invitation_s_link_is_copied_and_opens_its_page(open_page):
    page = open_page("admin", f"{LIST}invite/", permissions=["clipboard-read", "clipboard-write"])
    page.locator("[name=username]").fill("nia")
    page.get_by_role("button", name="Invite").click()
    page.get_by_role("button", name="Copy link").click()
    page.get_by_text("Copied", exact=True).wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    assert page.locator("#link").inner_text() == link
    picture(page, "link")
    door = open_page("", link[link.index("/accounts/") :], width=390, height=844)
    door.get_by_role("heading", name="Choose a password").wait_for()
    picture(door, "door")


def test_a_team_s_colour_and_logo_are_seen_at_the_door(open_page, portal):
    out = io.BytesIO()
    Image.new("RGB", (600, 200), "teal").save(out, "PNG")
    page = open_page("admin", "/admin/invitations/policy/1/change/")
    page.locator("[name=accent]").fill("#1d4ed8")
    page.locator("[name=logo]").set_input_files({"name": "x.png", "mimeType": "image/png", "buffer": out.getvalue()})
    page.locator("[name=_save]").click()
    page.get_by_text("was changed successfully").wait_for()
    for theme in ("light", "dark"):
        for who, path in (("", "/accounts/login/"), ("agent", "/")):
            door = open_page(who, path, theme=theme)
            assert door.locator(".brand .logo").first.evaluate("image => image.naturalWidth") == 360
            picture(door, f"brand-{theme}-{who}")
            door.close()
    portal.set_policy(accent="", logo_digest="")
