"""What the simulated vendor answers, method by method, seen through `requests`."""

import itertools
import json
from collections.abc import Callable

import pytest
import requests

from portal.getscreen.simulator import Ledger, Simulator
from tests.simulated import mount

KEY = "test-key-not-real"
URL = "http://127.0.0.1:1/v1"
NOW = 1_800_000_000.0

type Send = Callable[..., requests.Response]


@pytest.fixture
def simulator() -> Simulator:
    return Simulator(api_key=KEY, clock=lambda: NOW, seed=1)


@pytest.fixture
def session(simulator):
    with requests.Session() as session:
        session.trust_env = False
        mount(session, simulator, URL)
        yield session


@pytest.fixture
def send(session) -> Send:
    def send(method: str, path: str, *, key: str | None = KEY, **options) -> requests.Response:
        headers = {} if key is None else {"X-Api-Key": key}
        return session.request(
            method, f"{URL}/{path}", headers=headers, timeout=(1, 1), allow_redirects=False, **options
        )

    return send


def test_a_created_invitation_has_the_documented_fields(send, simulator):
    created = send("POST", "support/create", params={"client_name": "Jo & Co"}).json()["data"]
    assert created == {
        "id": 20177,
        "status": 0,
        "create_time": int(NOW),
        "invite_code": created["invite_code"],
        "invite_url": f"https://https://go.getscreen.me/invite/{created['invite_code']}",
        "connect_url": created["connect_url"],
        "client_name": "Jo & Co",
        "client_os": "",
        "client_preview_url": "",
    }
    assert created["invite_code"].isdigit()
    assert len(created["invite_code"]) == 9
    assert created["connect_url"].replace("https://https://", "https://") in simulator.ledger.turbo_links


def test_the_list_holds_open_invitations_and_what_remains(send, simulator):
    kept, gone = simulator.add("kept"), simulator.add("gone")
    simulator.close(gone)
    answer = send("GET", "support/list").json()
    assert answer["remain"] == 100
    assert [row["id"] for row in answer["data"]] == [kept]


def test_without_a_known_limit_remain_is_left_out(send, simulator):
    simulator.remaining = None
    assert send("POST", "support/create").status_code == 200
    assert "remain" not in send("GET", "support/list").json()


def test_only_creates_by_the_api_use_up_the_plan(send, simulator):
    simulator.remaining = 1
    simulator.add("elsewhere")
    assert send("POST", "support/create").status_code == 200
    assert send("POST", "support/create").status_code == 402
    assert simulator.remaining == 0
    assert simulator.ledger.count("created") == 1


def test_info_knows_closed_invitations_until_they_are_removed(send, simulator):
    id = simulator.add("Jo", status=3)
    assert send("GET", "support/info", params={"connection_id": id}).json()["data"]["status"] == 3
    simulator.remove(id)
    assert send("GET", "support/info", params={"connection_id": id}).status_code == 400


def test_a_joined_client_has_a_system_and_a_picture(send, simulator, session):
    id = simulator.add(status=1, client_os="linux")
    row = send("GET", "support/info", params={"connection_id": id}).json()["data"]
    assert row["client_os"] == "linux"
    picture = session.get(row["client_preview_url"], timeout=1)
    assert picture.headers["Content-Type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG\r\n\x1a\n")
    assert simulator.ledger.count("key_leaked") == 0
    simulator.leave(id)
    assert session.get(row["client_preview_url"], timeout=1).status_code == 404


def test_a_key_sent_along_for_a_picture_is_noticed(session, simulator):
    session.get("https://go.getscreen.me/preview/x.png", headers={"X-Api-Key": KEY}, timeout=1)
    assert [effect.detail for effect in simulator.ledger.effects if effect.kind == "key_leaked"] == ["preview"]


def test_update_renames(send, simulator):
    id = simulator.add("before")
    answer = send("POST", "support/update", json={"connection_id": id, "name": "after"})
    assert answer.json() == {"status": 0}
    assert simulator.row(id).client_name == "after"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"connection_id": "1", "name": "x"}', b'{"connection_id": 1, "name": 2}'],
)
def test_an_update_that_names_nothing_is_rejected(send, body):
    assert send("POST", "support/update", data=body).status_code == 400


@pytest.mark.parametrize("known", ["support/update", "agents/update"])
def test_a_server_may_know_either_update_path(send, simulator, known):
    id = simulator.add()
    simulator.update_paths = frozenset({known})
    statuses = {
        path: send("POST", path, json={"connection_id": id, "name": "x"}).status_code
        for path in ("support/update", "agents/update")
    }
    assert statuses == {path: 200 if path == known else 404 for path in statuses}
    assert simulator.ledger.count("device_opened") == 0


def test_any_other_call_of_a_device_is_noticed(send, simulator):
    assert send("POST", "agents/connect", params={"connection_id": 1}).status_code == 404
    assert simulator.ledger.count("device_opened") == 1


def test_close_answers_with_an_empty_body_and_only_once(send, simulator):
    id = simulator.add()
    answer = send("POST", "support/close", params={"connection_id": id})
    assert (answer.status_code, answer.content) == (200, b"")
    assert send("POST", "support/close", params={"connection_id": id}).status_code == 400
    assert simulator.ledger.count("closed", id) == 1


def test_the_answer_to_an_unknown_id_can_be_chosen(send, simulator):
    simulator.unknown_id_status = 403
    assert send("POST", "support/close", params={"connection_id": 1}).status_code == 403


@pytest.mark.parametrize("id", ["", "x", "-1", "1.5", "٣"])
def test_a_connection_id_must_be_a_number(send, id):
    assert send("GET", "support/info", params={"connection_id": id}).status_code == 400


@pytest.mark.parametrize("key", [None, "", "another-key", "schlüssel".encode()])
def test_every_other_key_is_refused(send, simulator, key):
    assert send("GET", "support/list", key=key).status_code == 403
    assert send("POST", "support/create", key=key).status_code == 403
    assert simulator.ledger.count("created") == 0


def test_a_key_in_the_query_is_refused_and_noticed(send, simulator):
    assert send("GET", "support/list", key=None, params={"apikey": KEY}).status_code == 403
    assert simulator.ledger.count("key_leaked") == 1
    assert KEY not in repr(simulator.ledger.requests)


def test_a_revoked_key_is_refused(send, simulator):
    simulator.api_key = "the-next-key-not-real"
    assert send("GET", "support/list").status_code == 403


def test_unknown_addresses_and_wrong_methods_are_told_apart(send):
    assert send("GET", "support/nothing").status_code == 404
    assert send("GET", "support/close").status_code == 405


def test_a_connect_link_carries_the_slips_of_the_documentation(send, simulator):
    id = simulator.add(status=1)
    link = send("POST", "support/connect", params={"connection_id": id}).json()["data"]["url"]
    assert link.startswith(f"https://https://go.getscreen.me/?connect={id}&amp;llt=")
    assert simulator.ledger.links == (link.replace("https://", "", 1).replace("&amp;", "&"),)


def test_a_link_to_this_machine_keeps_its_scheme_single(send, simulator):
    simulator.public_url = "http://127.0.0.1:9"
    id = simulator.add(status=1)
    link = send("POST", "support/connect", params={"connection_id": id}).json()["data"]["url"]
    assert link.startswith(f"http://127.0.0.1:9/?connect={id}&amp;llt=")


def test_video_is_true_or_false(send, simulator):
    id = simulator.add(status=1)
    assert send("POST", "support/connect", params={"connection_id": id, "video": "True"}).status_code == 400


def test_a_one_time_link_works_once(send, simulator, session):
    id = simulator.add("Jo <b>", status=1)
    send("POST", "support/connect", params={"connection_id": id})
    first, second = (session.get(simulator.ledger.links[0], timeout=1) for _ in range(2))
    assert first.status_code == 200
    assert "You are connected (simulated)" in first.text
    assert "Jo &lt;b&gt;" in first.text
    assert second.status_code == 410
    assert "This link was already used" in second.text
    assert simulator.row(id).status == 2
    assert (simulator.ledger.count("link_used"), simulator.ledger.count("link_reused")) == (1, 1)


def test_a_forged_or_orphaned_one_time_link_opens_nothing(send, simulator, session):
    id = simulator.add(status=1)
    send("POST", "support/connect", params={"connection_id": id})
    link = simulator.ledger.links[0]
    assert session.get(link[:-1], timeout=1).status_code == 404
    assert session.get("https://go.getscreen.me/?connect=1", timeout=1).status_code == 404
    simulator.close(id)
    assert session.get(link, timeout=1).status_code == 404


def test_a_turbo_link_works_for_whoever_holds_it(simulator, session):
    id = simulator.add(status=1)
    for _ in range(2):
        assert session.get(simulator.ledger.turbo_links[0], timeout=1).status_code == 200
    assert simulator.ledger.count("turbo_used", id) == 2
    assert simulator.ledger.count("activated", id) == 1


@pytest.mark.parametrize(
    ("browser", "system"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64)", "win"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)", "mac"),
        ("Mozilla/5.0 (Linux; Android 15)", "android"),
        ("Mozilla/5.0 (X11; Linux x86_64)", "linux"),
    ],
)
def test_a_client_joins_and_leaves_by_the_buttons(simulator, session, browser, system):
    id = simulator.add(code="012345678")
    page = "https://go.getscreen.me/invite/012345678"
    invited = session.get(page, timeout=1)
    assert "You are the client (simulated)" in invited.text
    assert "012 345 678" in invited.text
    session.headers["User-Agent"] = browser
    answer = session.post(page, data={"action": "join"}, timeout=1, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/invite/012345678")
    assert (simulator.row(id).status, simulator.row(id).client_os) == (1, system)
    assert "You are waiting" in session.get(page, timeout=1).text
    simulator.activate(id)
    assert "is connected to you" in session.get(page, timeout=1).text
    session.post(page, data={"action": "leave"}, timeout=1, allow_redirects=False)
    assert (simulator.row(id).status, simulator.row(id).client_os) == (0, "")
    simulator.close(id)
    assert session.get(page, timeout=1).status_code == 410


def test_pages_are_strict_and_styled_from_the_same_origin(simulator, session):
    simulator.add(code="1")
    page = session.get("https://go.getscreen.me/invite/1", timeout=1)
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; form-action 'self'")
    assert "<script" not in page.text
    assert "style=" not in page.text
    css = session.get("https://go.getscreen.me/simulated.css", timeout=1)
    assert css.headers["Content-Type"].startswith("text/css")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/elsewhere", 404),
        ("GET", "/invite/0", 404),
        ("GET", "/turbo/x", 404),
        ("POST", "/turbo/x", 405),
        ("DELETE", "/invite/0", 405),
    ],
)
def test_other_addresses_show_nothing(session, method, path, status):
    assert session.request(method, f"https://go.getscreen.me{path}", timeout=1).status_code == status


def test_history_tells_of_sessions_the_latest_first(send, simulator, session):
    id = simulator.add(status=1)
    send("POST", "support/connect", params={"connection_id": id, "video": "true"})
    session.get(simulator.ledger.links[0], timeout=1)
    simulator.close(id)
    simulator.add(status=2)
    answer = send("GET", "history/list").json()
    assert (answer["offset"], answer["limit"], answer["total"]) == (0, 20, 2)
    running, ended = answer["data"]
    assert (running["id"], running["stop"], running["video"]) == (2, None, None)
    assert (ended["support_id"], ended["start"], ended["stop"]) == (id, int(NOW), int(NOW))
    assert ended["video"]["url"].endswith("/video/1.webm")
    assert ended["client"][0]["login"]


def test_history_is_filtered_and_paged(simulator, send):
    ticks = itertools.count(NOW)
    simulator._clock = lambda: next(ticks)
    ids = [simulator.add(status=2) for _ in range(3)]

    def found(**params):
        answer = send("GET", "history/list", params=params).json()
        return answer["total"], [session["support_id"] for session in answer["data"]]

    assert found(support_id=ids[1]) == (1, [ids[1]])
    assert found(offset=1, limit=1) == (3, [ids[1]])
    assert found(limit=1_000)[0] == 3
    assert found(date_from=int(NOW) + 10_000) == (0, [])
    assert found(date_to=int(NOW) - 1) == (0, [])
    assert found(video="true") == (0, [])
    assert found(agent_id=1) == (0, [])


def test_the_drive_methods_say_what_they_did(simulator):
    id = simulator.add("Jo", status=2, client_os="mac")
    simulator.activate(id)
    simulator.join(id, "android")
    simulator.rename(id, "Joan")
    simulator.leave(id)
    simulator.remove(id)
    kinds = [effect.kind for effect in simulator.ledger.effects]
    assert kinds == ["joined", "activated", "renamed", "left", "removed"]
    with pytest.raises(LookupError):
        simulator.leave(id)


def test_ids_are_never_given_twice(simulator):
    first = simulator.add()
    simulator.remove(first)
    assert simulator.add() == first + 1


def test_rows_are_copies(simulator):
    id = simulator.add("Jo")
    simulator.rows()[id].client_name = "changed"
    assert simulator.row(id).client_name == "Jo"


def test_the_ledger_keeps_no_key(send, simulator):
    send("POST", "support/update", json={"connection_id": 1, "name": "x"})
    (request,) = simulator.ledger.find("support/update")
    assert request.headers["x-api-key"] == "present"
    assert json.loads(request.body)["name"] == "x"
    assert (request.operation, request.method, request.at) == ("update", "POST", NOW)


def test_something_can_happen_just_before_an_answer_is_made(send, simulator):
    id = simulator.add(status=1)
    simulator.before("connect", lambda: simulator.close(id))
    assert send("POST", "support/connect", params={"connection_id": id}).status_code == 400


def test_something_can_happen_after_an_answer_is_made(send, simulator):
    id = simulator.add("before")
    simulator.after("list", lambda: simulator.rename(id, "after"))
    names = [send("GET", "support/list").json()["data"][0]["client_name"] for _ in range(2)]
    assert names == ["before", "after"]


def test_the_same_seed_gives_the_same_account():
    first, second = (Simulator(api_key=KEY, clock=lambda: NOW, seed=5) for _ in range(2))
    first.add()
    second.add()
    assert first.rows() == second.rows()


def test_a_ledger_may_forget_what_is_old():
    ledger = Ledger(keep=2)
    for number in range(3):
        ledger.note_effect("created", number, NOW)
    assert [effect.id for effect in ledger.effects] == [1, 2]
