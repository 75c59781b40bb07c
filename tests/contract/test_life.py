"""What the portal relies on at the vendor, whoever plays the vendor."""

import time

import pytest

from portal.getscreen.errors import KeyRejected, Refused
from portal.getscreen.types import Status

NAME = "Contract test: Zoë & 1 + 1 = 100 %"
NEW_NAME = "Contract test, renamed: 名前"
DAY = 86_400


def ids(listing):
    return [invitation.id for invitation in listing.invitations]


def test_an_invitation_lives_as_documented(api, create):
    created = create(NAME)
    assert created.status is Status.WAITING
    assert created.client_name == NAME
    assert created.client_os == ""
    assert not created.preview_url
    assert created.code.isdigit()
    assert created.invite_url.endswith(f"/invite/{created.code}")
    assert created.created_at == pytest.approx(time.time(), abs=DAY)

    api.rename(created.id, NEW_NAME)
    info = api.info(created.id)
    assert (info.id, info.code, info.client_name) == (created.id, created.code, NEW_NAME)
    assert info.status is Status.WAITING

    listing = api.list()
    assert ids(listing).count(created.id) == 1
    assert listing.dropped == 0

    api.close(created.id)
    assert created.id not in ids(api.list())
    api.close(created.id)


def test_a_list_says_what_remains_and_when(api):
    listing = api.list()
    assert listing.remaining is None or listing.remaining >= 0
    assert listing.served_at == pytest.approx(time.time(), abs=DAY)


def test_a_wrong_key_is_rejected(target):
    with pytest.raises(KeyRejected):
        target.client("wrong-key-not-real").list()


def test_history_is_there_or_not_in_the_plan(api):
    try:
        history = api.history(limit=1)
    except Refused:
        return
    assert history.offset == 0
    assert len(history.sessions) <= 1


def test_creating_uses_up_the_plan(simulated_target):
    api = simulated_target.client()
    before = api.list().remaining
    api.create(NAME)
    assert api.list().remaining == before - 1


def test_a_connect_link_is_minted_once_per_call(simulated_target):
    api, simulator = simulated_target.client(), simulated_target.simulator
    id = simulator.add("Jo", status=1)
    links = [api.connect(id, record=record).reveal() for record in (None, True)]
    assert tuple(links) == simulator.ledger.links
    assert len(set(links)) == 2


def test_a_joined_client_has_a_picture(simulated_target):
    api, simulator = simulated_target.client(), simulated_target.simulator
    id = simulator.add("Jo", status=1, client_os="mac")
    info = api.info(id)
    assert (info.status, info.client_os) == (Status.JOINED, "mac")
    assert api.preview(info.preview_url).content_type == "image/png"
    assert simulator.ledger.count("key_leaked") == 0


def test_a_session_is_in_the_history(simulated_target):
    api, simulator = simulated_target.client(), simulated_target.simulator
    id = simulator.add("Jo", status=2)
    history = api.history(invitation_id=id)
    assert (history.total, history.offset) == (1, 0)
    (session,) = history.sessions
    assert session.invitation_id == id
    assert session.started_at is not None
    assert session.stopped_at is None
    assert session.operators


@pytest.mark.parametrize("known", ["support/update", "agents/update"])
def test_renaming_finds_the_path_this_server_knows(simulated_target, known):
    api, simulator = simulated_target.client(), simulated_target.simulator
    simulator.update_paths = frozenset({known})
    id = simulator.add("Jo")
    for name in ("Joan", "Joanna"):
        api.rename(id, name)
        assert simulator.row(id).client_name == name
    assert simulator.ledger.count("device_opened") == 0


def test_an_invitation_nobody_knows_is_refused(simulated_target):
    with pytest.raises(Refused):
        simulated_target.client().info(999_999_999)
