"""Passkeys in a browser with a virtual authenticator, on an installation that asks everybody for a second step."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e.conftest import Reports, sign_in
from tests.e2e.test_accessibility import check
from tests.installation import PASSWORD, Installation, vendor_on_a_port

DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture(autouse=True)
def vendor() -> None:
    """These pages ask the vendor nothing: the suite's own installation need not be made ready."""


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Passkeys belong to a host name, which 127.0.0.1 is none of."""
    with (
        vendor_on_a_port(seed=9) as (_, server),
        Installation(tmp_path_factory.mktemp("strict"), server, REQUIRE_MFA="everyone") as installation,
    ):
        installation.url = installation.environment["PUBLIC_URL"] = f"http://localhost:{installation.port}"
        installation.prepare()
        installation.serve()
        yield installation


@pytest.fixture
def device(strict: Installation, browser: Browser, reports: Reports) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a page on a person's new device, which can or cannot keep passkeys."""
    opened: list[BrowserContext] = []

    def device(*, knows: bool = True, **options: object) -> Page:
        context = browser.new_context(base_url=strict.url, reduced_motion="reduce", **options)
        opened.append(context)
        reports.watch(context)
        page = context.new_page()
        page.set_default_timeout(8_000)
        if knows:
            protocol = context.new_cdp_session(page)
            protocol.send("WebAuthn.enable")
            protocol.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})
        return page

    yield device
    for context in opened:
        context.close()


def set_up(page: Page, name: str) -> None:
    if name:
        page.goto("/")
        sign_in(page, name)
    expect(page.get_by_role("heading", name="Set up your second step")).to_be_visible()
    page.get_by_role("link", name="Use a passkey").click()
    page.get_by_label("Name").fill("Work laptop")
    page.get_by_role("button", name="Create the passkey").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()


PAGES = ("", "app/", "passkeys/add/", "codes/", "codes/new/", "passkeys/1/rename/", "passkeys/1/remove/")


def test_every_page_about_factors_can_be_used_by_everybody_on_every_screen(device, strict):
    page = device()
    page.goto("/")
    sign_in(page, "forgetful")
    expect(page.get_by_role("heading", name="Set up your second step")).to_be_visible()
    check(page)
    set_up(page, "")
    check(page)
    page.set_viewport_size({"width": 320, "height": 700})
    ((key,),) = strict.ask("SELECT max(id) FROM mfa_authenticator WHERE type = 'webauthn'")
    paths = [f"/accounts/security/{path}".replace("/1/", f"/{key}/") for path in PAGES]
    for path in (*paths, "/accounts/reauthenticate/code/", "/accounts/reauthenticate/passkey/"):
        assert page.goto(path).status == 200, path
        assert page.url.endswith(path)
        check(page)
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), path
    leave(page)
    sign_in(page, "forgetful")
    expect(page.get_by_role("heading", name="Show your passkey")).to_be_visible()
    check(page)


def leave(page: Page) -> None:
    page.goto("/accounts/logout/")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def at_the_board(page: Page, strict: Installation) -> None:
    expect(page).to_have_url(f"{strict.url}/")
    expect(page.get_by_role("heading", name="Board")).to_be_visible()


def test_a_passkey_is_the_second_step_and_then_the_only_one(device, strict):
    page = device()
    set_up(page, "agent")
    page.get_by_role("link", name="I have kept them").click()
    at_the_board(page, strict)

    leave(page)
    page.locator("[name=login]").fill("agent")
    page.locator("[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Show your passkey")).to_be_visible()
    page.get_by_role("button", name="Use a passkey").click()
    at_the_board(page, strict)

    leave(page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    at_the_board(page, strict)
    told = strict.ask("SELECT record FROM audit_event WHERE kind = 'signin.ok' ORDER BY seq")
    events = [json.loads(record) for (record,) in told if "Mika Lindqvist" in record]
    steps = [event["facts"]["methods"] for event in events]
    assert steps == [["password"], ["password", "passkey"], ["passkey"]]

    page.goto("/accounts/security/")
    expect(page.locator("li b", has_text="Work laptop")).to_be_visible()
    page.get_by_role("link", name="Rename Work laptop").click()
    page.get_by_label("Name").fill("Old laptop")
    page.get_by_role("button", name="Save name").click()
    expect(page.locator("li b", has_text="Old laptop")).to_be_visible()
    expect(page.get_by_role("link", name="Remove Old laptop")).to_have_count(0)


def test_a_device_without_the_passkey_says_so_and_a_recovery_code_helps(device, strict):
    page = device()
    set_up(page, "colleague")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download").click()
    codes = saved.value.path().read_text().split("\n")
    assert len(codes) == 11
    assert re.fullmatch(r"\d{5} \d{5}", codes[0])

    other = device()
    other.goto("/")
    other.get_by_role("button", name="Sign in with a passkey").click()
    expect(other.get_by_role("alert")).to_contain_text("did not answer")
    other.locator("[name=login]").fill("colleague")
    other.locator("[name=password]").fill(PASSWORD)
    other.get_by_role("button", name="Sign in", exact=True).click()
    other.get_by_label("recovery code").fill(codes[0])
    other.get_by_role("button", name="Sign in", exact=True).click()
    at_the_board(other, strict)


def test_without_scripts_the_page_offers_the_other_way(device, strict):
    page = device(knows=False, java_script_enabled=False)
    page.goto("/")
    sign_in(page, "lead")
    page.get_by_role("link", name="Use a passkey").click()
    expect(page.get_by_text("Passkeys need JavaScript")).to_be_visible()
    page.get_by_role("link", name="Use an authenticator app instead").click()
    picture = page.get_by_alt_text("QR code for the authenticator app")
    expect(picture).to_be_visible()
    assert page.request.get(str(picture.get_attribute("src"))).headers["content-type"] == "image/svg+xml; charset=utf-8"
