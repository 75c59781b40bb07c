"""Browsers before a real installation. Every test fails on a console error, a page error or a CSP report."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from portal.getscreen.simulator import Ledger, Simulator
from tests.installation import PASSWORD, Installation, vendor_on_a_port
from tests.tools import chromium, chromium_args

HERE = Path(__file__).parent
# Playwright keeps an event loop in this thread for the whole run; other tests use the ORM meanwhile.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

REPORT_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) => {
  console.error(`CSP: ${event.violatedDirective} blocked ${event.blockedURI} in ${location.pathname}`);
});
"""
FAILED_LOAD = re.compile(r"Failed to load resource: the server responded with a status of (\d+)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if chromium() is None and not os.environ.get("CI"):
                item.add_marker(pytest.mark.skip(reason="no Chromium is installed"))


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return {"executable_path": chromium(), "args": chromium_args()}


class Reports:
    """What browsers complained about in this test. Answers with an expected status are not complaints."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._expected: set[str] = set()

    def clear(self) -> None:
        self.found.clear()
        self._expected.clear()

    def expect(self, *statuses: int) -> None:
        self._expected.update(map(str, statuses))

    def watch(self, context: BrowserContext) -> None:
        context.add_init_script(REPORT_VIOLATIONS)
        context.on("console", lambda message: self._note(message.type, message.text))
        context.on("weberror", lambda error: self.found.append(f"error: {error.error}"))

    def _note(self, kind: str, text: str) -> None:
        load = FAILED_LOAD.match(text)
        if load and load[1] in self._expected:
            return
        if kind in ("error", "warning", "assert"):
            self.found.append(f"{kind}: {text}")


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Simulator, Installation]]:
    with (
        vendor_on_a_port(seed=7) as (simulator, server),
        Installation(tmp_path_factory.mktemp("portal"), server) as installation,
    ):
        installation.prepare()
        installation.serve()
        yield simulator, installation


@pytest.fixture(autouse=True)
def vendor(running: tuple[Simulator, Installation]) -> Simulator:
    """The simulated vendor, as new: no invitation, no fault, 100 sessions left."""
    simulator, installation = running
    simulator.clear()
    for row in simulator.rows():
        simulator.remove(row)
    simulator.remaining = 100
    installation.finish_round(simulator)
    simulator.ledger = Ledger()
    installation.forget_everything()
    installation.set_policy(recording="default", previews="click", creates_per_hour="0", connects_per_ten_minutes="0")
    installation.set_policy(escalate_page_seconds="60")
    installation.trouble("")
    return simulator


@pytest.fixture
def portal(running: tuple[Simulator, Installation]) -> Installation:
    return running[1]


@pytest.fixture(scope="session")
def all_reports() -> Reports:
    return Reports()


@pytest.fixture
def reports(all_reports: Reports) -> Iterator[Reports]:
    all_reports.clear()
    yield all_reports
    assert all_reports.found == []


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.locator("[name=login]").fill(name)
    page.locator("[name=password]").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


@pytest.fixture(scope="session")
def session_of(running: tuple[Simulator, Installation], browser: Browser) -> Callable[[str], Any]:
    """The cookies of a person who has signed in through the page, once per run."""
    kept: dict[str, Any] = {}

    def cookies(name: str) -> Any:
        if name not in kept:
            with browser.new_context(base_url=running[1].url) as context:
                page = context.new_page()
                page.goto("/accounts/login/")
                sign_in(page, name)
                page.wait_for_url(re.compile(r".*/$"))
                page.get_by_role("button", name="account menu").wait_for()
                kept[name] = context.storage_state()
        return kept[name]

    return cookies


@pytest.fixture(scope="session")
def contexts(browser: Browser, all_reports: Reports) -> Iterator[Callable[..., BrowserContext]]:
    """A browser's profile per person and kind, kept for the whole run: its warm cache saves a second per test."""
    kept: dict[str, BrowserContext] = {}

    def context(name: str, options: dict[str, Any]) -> BrowserContext:
        key = f"{name} {sorted(options.items())}"
        if key not in kept:
            kept[key] = browser.new_context(reduced_motion="reduce", **options)
            all_reports.watch(kept[key])
        return kept[key]

    yield context
    for each in kept.values():
        each.close()


@pytest.fixture
def open_page(
    portal: Installation,
    reports: Reports,
    contexts: Callable[..., BrowserContext],
    session_of: Callable[[str], Any],
) -> Iterator[Callable[..., Page]]:
    """Open a tab: `open_page("agent", "/history/")`, without a name nobody is signed in."""
    used: list[BrowserContext] = []

    def open_page(
        name: str = "",
        path: str = "/",
        *,
        width: int = 1440,
        height: int = 900,
        permissions: Sequence[str] = (),
        theme: Literal["light", "dark"] = "light",
        **options: Any,
    ) -> Page:
        context = contexts(name, {"base_url": portal.url} | options)
        used.append(context)
        context.clear_cookies()
        if name:
            context.add_cookies(session_of(name)["cookies"])
        context.grant_permissions(list(permissions))
        page = context.new_page()
        page.set_default_timeout(8_000)
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=theme)
        page.goto(path)
        return page

    yield open_page
    for context in used:
        for page in context.pages:
            page.close()
        context.clear_permissions()
