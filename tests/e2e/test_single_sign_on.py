"""Single sign-on in a browser: in by the provider's page and out by it, with the portal's own policy in force."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Reports, sign_in
from tests.e2e.test_accessibility import check
from tests.installation import Installation, vendor_on_a_port
from tests.openid_provider import CLIENT_ID, CLIENT_SECRET, MAYA, Provider


@pytest.fixture(autouse=True)
def vendor() -> None:
    """These pages ask the vendor nothing: the suite's own installation need not be made ready."""


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with closing(Provider()) as provider:
        yield provider


@pytest.fixture(scope="module")
def connected(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    settings = {
        "OIDC_ISSUER": provider.issuer,
        "OIDC_CLIENT_ID": CLIENT_ID,
        "OIDC_CLIENT_SECRET": CLIENT_SECRET,
        "OIDC_NAME": "Example SSO",
        "OIDC_ROLES": "helpdesk=Agent",
    }
    with (
        vendor_on_a_port(seed=9) as (_, server),
        Installation(tmp_path_factory.mktemp("connected"), server, **settings) as installation,
    ):
        installation.prepare()
        installation.serve()
        yield installation


@pytest.fixture
def page(connected: Installation, browser: Browser, reports: Reports) -> Iterator[Page]:
    with browser.new_context(base_url=connected.url, reduced_motion="reduce") as context:
        reports.watch(context)
        page = context.new_page()
        page.set_default_timeout(8_000)
        yield page


def test_in_by_the_provider_and_out_by_it(page, provider):
    """Browsers apply form-action to the redirects after a form: signing out is one, and names no provider."""
    provider.claims = dict(MAYA)
    page.goto("/history/")
    check(page)
    page.get_by_role("link", name="Continue with Example SSO").click()
    page.wait_for_url(re.compile(r"^[^?]+/history/$"))
    page.get_by_role("button", name="Maya Okafor, account menu").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.wait_for_url(re.compile(r"/accounts/login/$"))
    assert any(path.startswith("/end?client_id=portal") for path in provider.asked)


def test_an_account_is_connected_by_a_form_that_leads_to_the_provider(page, provider):
    provider.claims = MAYA | {"sub": "mika-1", "email": "mika@example.org"}
    page.goto("/accounts/security/")
    sign_in(page, "agent")
    page.get_by_role("link", name="Connect", exact=True).click()
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page.get_by_text("Example SSO signs you in here.")).to_be_visible()
    check(page)
