"""A word for the next page: shown once, wherever it had to wait, and never a client's name in a cookie."""

from __future__ import annotations

from tests.conftest import PASSWORD, Browser


def test_of_somebody_signed_in_it_waits_on_the_server_and_is_shown_once(agent, browser_of, vendor):
    browser = browser_of(agent)
    made = browser.post("/invitations/new/", {"client_name": "Tilda"}).headers["Location"]
    answer = browser.post(f"{made}rename/", {"client_name": "Grete Secretive"})
    assert set(answer.cookies) <= {"__Host-sessionid", "__Host-csrftoken", "__Host-acted"}
    said = "The invitation is now named Grete Secretive."
    assert [said in browser.get(made).content.decode() for _ in range(2)] == [True, False]


def test_after_signing_out_it_waits_in_a_cookie_of_this_host_alone(agent, anonymous):
    anonymous.post("/accounts/login/", {"login": "agent", "password": PASSWORD})
    answer = anonymous.post("/accounts/logout/")
    cookie = answer.cookies["__Host-messages"]
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, True, "Lax", "/")
    assert not cookie["domain"]
    pages = [anonymous.get("/accounts/login/").content.decode() for _ in range(2)]
    assert ["You are signed out." in page for page in pages] == [True, False]


def test_what_waited_in_the_cookie_is_shown_after_signing_in_as_well(agent, anonymous, vendor):
    anonymous.post("/accounts/login/", {"login": "agent", "password": PASSWORD})
    anonymous.post("/accounts/logout/")
    anonymous.post("/accounts/login/", {"login": "agent", "password": PASSWORD})
    answer = anonymous.get("/")
    assert "You are signed out." in answer.content.decode()
    assert answer.cookies["__Host-messages"].value == ""
    assert "You are signed out." not in anonymous.get("/").content.decode()


def test_a_cookie_that_somebody_made_up_says_nothing(db):
    browser = Browser()
    browser.cookies["__Host-messages"] = "W1siX19qc29uX21lc3NhZ2UiLDAsMjUsIkNhbGwgMDEyMyIsIiJdXQ:forged"
    assert "Call 0123" not in browser.get("/accounts/login/").content.decode()
