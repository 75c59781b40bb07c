"""What other sites may do with the portal's addresses: link to a page, and nothing else."""

import pytest

from portal.accounts.models import OneTimeLink
from portal.audit.models import Event
from tests.conftest import whole_log

LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
PICTURE = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}
FRAME = LINK | {"sec-fetch-dest": "iframe"}
SIBLING = {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}
OWN = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}
TYPED = LINK | {"sec-fetch-site": "none"}


@pytest.mark.parametrize("headers", [{}, LINK, OWN, TYPED], ids=["silent", "link", "own", "typed"])
def test_a_link_and_the_portal_s_own_requests_pass(headers, agent, browser_of, vendor):
    assert browser_of(agent).get("/board/rows/", headers=headers).status_code == 200


@pytest.mark.parametrize("headers", [PICTURE, FRAME, SIBLING], ids=["picture", "frame", "sibling"])
def test_another_site_embeds_nothing(headers, agent, browser_of, vendor):
    answer = browser_of(agent).get("/board/rows/", headers=headers)
    assert (answer.status_code, answer.content) == (403, b"")
    event = Event.objects.get(kind="access.embedded")
    assert (event.result, event.actor_id, event.target_label) == ("denied", agent.pk, "/board/rows/")


def test_a_stranger_s_tries_are_counted_together(anonymous, db):
    for _ in range(5):
        assert anonymous.get("/accounts/login/", headers=FRAME).status_code == 403
    assert Event.objects.filter(kind="access.embedded").count() == 1


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_s_form_is_refused_although_it_has_a_token(site, agent, browser_of, vendor):
    answer = browser_of(agent).post("/invitations/new/", {"client_name": "T"}, headers=LINK | {"sec-fetch-site": site})
    assert answer.status_code == 403
    assert "could not be verified" in answer.content.decode()
    assert Event.objects.get(kind="access.csrf").actor_id == agent.pk
    assert not vendor.ledger.requests


@pytest.mark.parametrize("header", ["sec-purpose", "purpose", "x-purpose", "x-moz"])
@pytest.mark.parametrize("path", ["/", "/accounts/login/", "/no/such/page/"])
def test_nothing_is_loaded_before_a_person_has_asked(header, path, agent, browser_of, vendor):
    assert browser_of(agent).get(path, headers={header: "prefetch"}).status_code == 403
    assert browser_of(agent).post(path, headers={header: "prefetch;prerender"}).status_code == 403
    assert not Event.objects.filter(kind__startswith="access").exists()


def test_a_refusal_never_keeps_the_token_of_a_link(anonymous, db):
    token = OneTimeLink.objects.issue(OneTimeLink.Purpose.ADMINISTRATOR)
    assert anonymous.get(f"/accounts/enrol/{token}/", headers=FRAME).status_code == 403
    assert anonymous.post(f"/accounts/enrol/{token}/", headers=LINK).status_code == 403
    assert Event.objects.count() == 2
    assert token not in whole_log()


@pytest.mark.parametrize("page", ["enrol", "invite", "sign-in", "password/reset/key"])
@pytest.mark.parametrize("headers", [FRAME, {}], ids=["frame", "form"])
def test_nor_does_it_where_the_link_was_cut_off(page, headers, anonymous, db):
    path = f"/accounts/{page}/3-abc-0123456789abcdef"
    (anonymous.get if headers else anonymous.post)(path, headers=headers or LINK)
    assert "0123456789abcdef" not in whole_log()


def test_an_address_that_does_not_exist_is_refused_all_the_same(anonymous, db):
    assert anonymous.get("/no/such/page/", headers=PICTURE).status_code == 403
    assert Event.objects.get().target_label == "/no/such/page/"
