"""Pages through real addresses, with the simulated vendor behind them."""

import pytest

from invitations.models import Invitation, Policy, Status
from portal.accounts.models import User
from tests.conftest import known


def create(browser, **fields):
    return browser.post("/invitations/new/", fields)


def test_board_shows_what_the_vendor_has(agent, browser_of, vendor, look):
    vendor.add("Tilda Brandtner", status=1, client_os="win")
    vendor.add("Payroll laptop")
    look()
    page = browser_of(agent).get("/").content.decode()
    assert "Tilda Brandtner" in page
    assert "Payroll laptop" in page
    assert page.index("Tilda Brandtner") < page.index("Payroll laptop")


def test_empty_board_has_a_way_to_begin(agent, browser_of, vendor, look):
    look()
    assert "/invitations/new/" in browser_of(agent).get("/").content.decode()


def test_create_leads_to_the_code(agent, browser_of, vendor, look):
    look()
    browser = browser_of(agent)
    answer = create(browser, client_name="Lena", ticket="HD-1", note="calls back")
    invitation = Invitation.objects.get()
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"/invitations/{invitation.public_id}/"
    page = browser.get(answer.headers["Location"]).content.decode()
    assert invitation.code_grouped in page
    assert invitation.invite_url in page
    assert (invitation.client_name, invitation.ticket, invitation.note) == ("Lena", "HD-1", "calls back")
    assert invitation.created_by == agent


def test_get_of_new_pre_fills_and_creates_nothing(agent, browser_of, vendor):
    page = browser_of(agent).get("/invitations/new/?client_name=Tom%20%26%20Co&ticket=HD-7&note=hello")
    text = page.content.decode()
    assert "Tom &amp; Co" in text
    assert "HD-7" in text
    assert "hello" in text
    assert not vendor.ledger.effects


@pytest.mark.parametrize(
    ("field", "value"), [("client_name", "x" * 101), ("ticket", "x" * 101), ("client_name", "a\x00b")]
)
def test_bad_input_is_422_and_keeps_what_was_typed(agent, browser_of, vendor, field, value):
    answer = create(browser_of(agent), **{"note": "keep this", field: value})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "keep this" in page
    assert 'aria-invalid="true"' in page
    assert not vendor.ledger.effects


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("  Ada \t Fern ", "Ada Fern"),
        ("\u202eevil\u202c", "evil"),
        ("a\x07b", "ab"),
        ("Zoe 🛟 Zelle", "Zoe 🛟 Zelle"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("a&b=c#/../", "a&b=c#/../"),
        ("y" * 100, "y" * 100),
    ],
)
def test_names_arrive_safely_everywhere(agent, browser_of, vendor, look, typed, stored):
    look()
    browser = browser_of(agent)
    create(browser, client_name=typed)
    look()
    invitation = Invitation.objects.get()
    assert invitation.client_name == stored
    assert [row.client_name for row in vendor.rows().values()] == [stored]
    for path in ("/", f"/invitations/{invitation.public_id}/"):
        assert "<script>alert" not in browser.get(path).content.decode()


def test_the_same_form_twice_makes_one(agent, browser_of, vendor, look):
    look()
    browser = browser_of(agent)
    first = create(browser, client_name="Once", token="a" * 32)
    second = create(browser, client_name="Once", token="a" * 32)
    assert first.headers["Location"] == second.headers["Location"]
    assert len(vendor.rows()) == 1


def test_connect_leads_to_the_single_use_link(agent, browser_of, vendor, look):
    number = vendor.add("Tilda", status=1, client_os="win")
    look()
    path = f"/invitations/{known(number).public_id}/connect/"
    answer = browser_of(agent).post(path, {"token": "b" * 32})
    assert answer.status_code == 303
    assert answer.headers["Location"] in vendor.ledger.links
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert known(number).taken_by == agent


def test_connect_sent_twice_says_so_and_offers_a_fresh_try(agent, browser_of, vendor, look):
    number = vendor.add("Tilda", status=1)
    look()
    browser, path = browser_of(agent), f"/invitations/{known(number).public_id}/connect/"
    browser.post(path, {"token": "b" * 32})
    again = browser.post(path, {"token": "b" * 32})
    assert again.status_code == 409
    assert "Already opened in another tab" in again.content.decode()
    assert f'action="{path}"' in again.content.decode()
    assert len(vendor.ledger.links) == 1
    assert browser.post(path, {"token": "c" * 32}).status_code == 303


@pytest.mark.parametrize(("status", "code"), [(0, 409), (3, 409)])
def test_connect_looks_at_the_state_once_more(agent, browser_of, vendor, look, status, code):
    number = vendor.add("Tilda", status=1)
    look()
    vendor.leave(number) if status == 0 else vendor.close(number)
    answer = browser_of(agent).post(f"/invitations/{known(number).public_id}/connect/")
    assert answer.status_code == code
    assert not vendor.ledger.links
    assert known(number).status == status


def test_connect_is_never_a_get(agent, browser_of, vendor, look):
    number = vendor.add("Tilda", status=1)
    look()
    path = f"/invitations/{known(number).public_id}/connect/"
    assert browser_of(agent).get(path).status_code == 405
    assert browser_of(agent).head(path).status_code == 405
    assert not vendor.ledger.links


@pytest.mark.parametrize(
    ("policy", "choice", "video"),
    [
        ("default", "yes", None),
        ("on", "no", "true"),
        ("off", "yes", "false"),
        ("ask", "yes", "true"),
        ("ask", "no", "false"),
    ],
)
def test_recording_policy_is_applied_by_the_server(agent, browser_of, vendor, look, policy, choice, video):
    number = vendor.add("Tilda", status=1)
    look()
    Policy.objects.update_or_create(pk=1, defaults={"recording": policy})
    browser_of(agent).post(f"/invitations/{known(number).public_id}/connect/", {"record": choice})
    sent = [request.query for request in vendor.ledger.requests if request.path.endswith("/support/connect")]
    assert [query.get("video") for query in map(dict, map(first_values, sent))] == [video]


def first_values(query):
    if isinstance(query, str):
        from urllib.parse import parse_qsl

        return dict(parse_qsl(query))
    return {name: value[0] if isinstance(value, list) else value for name, value in dict(query).items()}


def test_a_new_try_carries_the_answer_about_recording_along(agent, browser_of, vendor, look):
    number = vendor.add("Tilda", status=1)
    look()
    Policy.objects.update_or_create(pk=1, defaults={"recording": "ask"})
    vendor.fail("connect", "status_500", times=None)
    page = browser_of(agent).post(f"/invitations/{known(number).public_id}/connect/", {"record": "no"})
    assert '<input type="hidden" name="record" value="no">' in page.content.decode()


@pytest.mark.parametrize("token", ["a\x00b", "<script>", "x" * 200])
def test_a_token_that_is_none_counts_as_a_new_click(agent, browser_of, vendor, look, token):
    number = vendor.add("Tilda", status=1)
    look()
    assert (
        browser_of(agent).post(f"/invitations/{known(number).public_id}/connect/", {"token": token}).status_code == 303
    )


def test_rename_arrives_at_the_vendor(agent, browser_of, vendor, look):
    look()
    browser = browser_of(agent)
    create(browser, client_name="Old")
    path = f"/invitations/{Invitation.objects.get().public_id}/rename/"
    assert "Old" in browser.get(path).content.decode()
    assert browser.post(path, {"client_name": "New"}).status_code == 302
    assert Invitation.objects.get().client_name == "New"
    assert [row.client_name for row in vendor.rows().values()] == ["New"]
    assert browser.post(path, {"client_name": ""}).status_code == 422


def test_closing_twice_is_a_success(agent, browser_of, vendor, look):
    look()
    browser = browser_of(agent)
    create(browser, client_name="Done")
    path = f"/invitations/{Invitation.objects.get().public_id}/close/"
    assert "Close invitation" in browser.get(path).content.decode()
    assert browser.post(path).status_code == 302
    assert browser.post(path).status_code == 302
    assert Invitation.objects.get().status == Status.CLOSED
    assert "Done" in browser.get("/history/?q=done").content.decode()


def test_preview_is_fetched_by_the_server(agent, browser_of, vendor, look):
    number = vendor.add("Tilda", status=1, client_os="win")
    look()
    path = f"/invitations/{known(number).public_id}/preview/"
    answer = browser_of(agent).get(path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.content.startswith(b"\x89PNG")
    Policy.objects.update_or_create(pk=1, defaults={"previews": "off"})
    assert browser_of(agent).get(path).status_code == 403


def test_qr_code_is_an_image_without_inline_style(agent, browser_of, vendor, look):
    number = vendor.add("Tilda")
    look()
    answer = browser_of(agent).get(f"/invitations/{known(number).public_id}/qr/")
    assert answer.headers["Content-Type"] == "image/svg+xml; charset=utf-8"
    assert b"style=" not in answer.content


def test_unchanged_poll_is_304_and_a_change_is_not(agent, browser_of, vendor, look):
    number = vendor.add("Tilda")
    look()
    browser = browser_of(agent)
    first = browser.get("/board/rows/", headers={"hx-request": "true"})
    tag = first.headers["HX-PTag"]
    same = browser.get("/board/rows/", headers={"hx-request": "true", "hx-ptag": tag})
    assert same.status_code == 304
    assert int(same.headers["X-Good-At"]) > 0
    vendor.join(number, os="mac")
    look()
    changed = browser.get("/board/rows/", headers={"hx-request": "true", "hx-ptag": tag})
    assert changed.status_code == 200
    assert changed.headers["HX-PTag"] != tag
    assert "Client joined" in changed.content.decode()


def test_poll_of_a_signed_out_browser_sends_the_page_to_sign_in(anonymous, db):
    answer = anonymous.get("/board/rows/", headers={"hx-request": "true"})
    assert answer.headers["HX-Redirect"] == "/accounts/login/?next=%2F"


def test_post_after_the_session_ended_comes_back_to_the_detail_page(anonymous, db):
    answer = anonymous.post("/invitations/abc/connect/")
    assert answer.headers["Location"] == "/accounts/login/?next=%2Finvitations%2Fabc%2F"
    assert anonymous.post("/invitations/new/").headers["Location"].endswith("next=%2Finvitations%2Fnew%2F")


@pytest.mark.parametrize("tab", ["needs", "waiting", "session", "all", "nonsense"])
def test_tabs_search_and_whose_filter_the_board(agent, colleague, browser_of, vendor, look, tab):
    vendor.add("Waiting Wanda")
    vendor.add("Joined Jon", status=1)
    vendor.add("Session Sue", status=2)
    look()
    page = browser_of(agent).get(f"/board/rows/?f={tab}").content.decode()
    shown = {name for name in ("Waiting Wanda", "Joined Jon", "Session Sue") if name in page}
    every = {"Waiting Wanda", "Joined Jon", "Session Sue"}
    wanted = {"needs": {"Joined Jon"}, "waiting": {"Waiting Wanda"}, "session": {"Session Sue"}}
    assert shown == wanted.get(tab, every)
    assert "Joined Jon" not in browser_of(agent).get("/board/rows/?q=wanda").content.decode()
    assert "Joined Jon" not in browser_of(agent).get("/board/rows/?whose=mine").content.decode()
    code = Invitation.objects.get(client_name="Joined Jon").code
    assert "Joined Jon" in browser_of(agent).get(f"/board/rows/?q={code[:3]}%20{code[3:]}").content.decode()


def test_auditor_sees_neither_codes_nor_links_nor_pictures(auditor, browser_of, vendor, look):
    number = vendor.add("Tilda", status=1, client_os="win")
    look()
    browser, row = browser_of(auditor), known(number)
    for path in ("/", f"/invitations/{row.public_id}/", "/history/"):
        page = browser.get(path).content.decode()
        assert row.code not in page.replace("\u00a0", "")
        assert row.invite_url not in page
        assert "/preview/" not in page
    assert "Tilda" not in browser.get(f"/?q={row.code}").content.decode()


def test_nobody_in_particular_gets_a_page_that_says_so(outsider: User, browser_of, vendor):
    answer = browser_of(outsider).get("/")
    assert answer.status_code == 403
    assert "role" in answer.content.decode()


def test_quota_is_refused_politely(agent, browser_of, vendor, look):
    vendor.remaining = 0
    look()
    answer = create(browser_of(agent), client_name="Lena")
    assert answer.status_code == 503
    assert "Lena" in answer.content.decode()
    assert "limit is used up" in answer.content.decode()
    assert not vendor.ledger.effects


def test_unknown_invitation_is_404(agent, browser_of, vendor):
    for tail in ("", "connect/", "close/", "rename/", "preview/", "qr/", "live/"):
        method = browser_of(agent).post if tail == "connect/" else browser_of(agent).get
        assert method(f"/invitations/nothing-here/{tail}").status_code == 404


def test_a_closed_invitations_page_claims_no_freshness(agent, browser_of, vendor, look):
    number = vendor.add("Tilda")
    look()
    vendor.close(number)
    look()
    page = browser_of(agent).get(f"/invitations/{known(number).public_id}/").content.decode()
    assert "Getscreen answered at" in page
    assert 'data-stale-after="' not in page
