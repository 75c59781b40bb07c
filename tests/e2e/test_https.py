"""The way an operator runs it: https at a proxy, secure cookies, HSTS, origins checked, no switch for plain http."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import sign_in
from tests.e2e.forwarder import can_make_certificates, forwarder

pytestmark = pytest.mark.skipif(
    not can_make_certificates() and not os.environ.get("CI"), reason="openssl is not installed"
)


@pytest.fixture(scope="module")
def secure_url(running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A second server on the same database, behind the proxy."""
    installation = running[1]
    port = installation.secure_port
    folder: Path = tmp_path_factory.mktemp("tls")
    with forwarder(folder, port) as url:
        process = installation.serve(
            port=port, PUBLIC_URL=url, INSECURE_HTTP="0", TRUSTED_PROXIES="127.0.0.1", ALLOWED_HOSTS="localhost"
        )
        yield url
        process.terminate()
        process.wait(timeout=20)


def test_the_journey_over_https(open_page, secure_url, vendor, portal):
    page = open_page("", "/", base_url=secure_url, ignore_https_errors=True)
    expect(page.get_by_role("region", name="Notice")).to_have_count(0)
    sign_in(page, "agent")
    expect(page.get_by_role("heading", name="Board")).to_be_visible()
    cookies = {cookie["name"]: cookie for cookie in page.context.cookies()}
    assert set(cookies) - {"__Host-acted"} == {"__Host-sessionid", "__Host-csrftoken", "__Host-known"}
    assert all(cookie["secure"] and cookie["httpOnly"] for cookie in cookies.values())

    answer = page.goto("/invitations/new/")
    assert answer is not None
    assert answer.headers["strict-transport-security"] == "max-age=63072000; includeSubDomains"
    assert "form-action 'self' http" in answer.headers["content-security-policy"]
    page.get_by_label("Client name").fill("Tilda Brandtner")
    page.get_by_role("button", name="Create invitation").click()
    expect(page.get_by_role("heading", name="Your invitation is ready")).to_be_visible()
    (row,) = vendor.rows().values()

    vendor.join(row.id)
    with page.context.expect_page() as opened:
        page.get_by_role("button", name=re.compile("Connect to Tilda")).click()
    expect(opened.value.get_by_role("heading", name="You are connected (simulated)")).to_be_visible()
    (visit,) = [request for request in vendor.ledger.requests if "llt" in request.query]
    assert "referer" not in visit.headers
    assert visit.headers.get("origin") in (None, "null")

    page.get_by_role("link", name="Rename").click()
    page.get_by_role("dialog").get_by_label("Client name").fill("Tilda B.")
    page.get_by_role("button", name="Save name").click()
    expect(page.get_by_text("The invitation is now named Tilda B.")).to_be_visible()
    page.get_by_role("link", name="Close invitation").click()
    page.get_by_role("dialog").get_by_role("button", name="Close invitation").click()
    expect(page.get_by_text("The invitation for Tilda B. is closed.")).to_be_visible()
    page.get_by_role("button", name="account menu").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_plain_http_is_sent_to_https(secure_url, portal, playwright):
    """Only the proxy's word makes a request secure."""
    request = playwright.request.new_context(extra_http_headers={"Host": "localhost"})
    answer = request.get(f"http://127.0.0.1:{portal.secure_port}/accounts/login/", max_redirects=0)
    assert answer.status == 301
    assert answer.headers["location"].startswith("https://localhost")
    request.dispose()


def test_a_form_from_another_site_is_refused(secure_url, playwright):
    request = playwright.request.new_context(base_url=secure_url, ignore_https_errors=True)
    page = request.get("/accounts/login/")
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text())
    assert token
    form = {"csrfmiddlewaretoken": token[1], "login": "agent", "password": "x"}
    for headers in ({"Origin": "https://elsewhere.example"}, {"Origin": "null"}, {}):
        assert request.post("/accounts/login/", form=form, headers=headers).status == 403
    request.dispose()
