"""The demo's board and the process that serves it."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
import requests

from portal.getscreen.simulator import Simulator, demo
from portal.getscreen.simulator.__main__ import main

KEY = "test-key-not-real"
ROOT = Path(__file__).parents[2]
START = 1_800_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def simulator(clock):
    simulator = Simulator(api_key=KEY, clock=clock, seed=1)
    demo.seed(simulator)
    return simulator


@pytest.fixture
def life(simulator):
    return demo.Life(simulator, random.Random(1))


def live(life, clock, seconds, every=1):
    for _ in range(0, seconds, every):
        clock.now += every
        life.step()


def test_the_board_is_believable(simulator):
    rows = simulator.open_rows()
    ages = [START - row.created_at for row in rows]
    assert Counter(row.status for row in rows) == {0: 4, 1: 2, 2: 2}
    assert simulator.remaining == 87
    assert min(ages) >= 60
    assert max(ages) > 90 * 60
    assert len(simulator.history()) == 2


def test_a_new_client_joins_within_seconds(simulator, life, clock):
    id = simulator.create("Jo").id
    live(life, clock, 5)
    assert simulator.row(id).status == 0
    live(life, clock, 8)
    assert simulator.row(id).status == 1
    assert simulator.row(id).client_os in ("win", "mac", "linux", "android")
    assert simulator.remaining == 86


def test_a_client_nobody_serves_leaves_and_the_invitation_closes(simulator, life, clock):
    id = simulator.create("Jo").id
    live(life, clock, 10 * 60)
    assert simulator.ledger.count("left", id) == 1
    live(life, clock, 11 * 60)
    assert simulator.row(id).status == 3


def test_a_session_ends(simulator, life, clock):
    id = simulator.create("Jo").id
    live(life, clock, 13)
    link = simulator.mint_link(id)
    assert simulator.use_link(link.token, link.signature).status == 2
    live(life, clock, 13 * 60)
    assert simulator.row(id).status == 3
    assert simulator.history()[-1].stopped_at is not None


def test_the_board_stays_alive_and_small(simulator, life, clock):
    sizes = []
    for _ in range(12):
        live(life, clock, 10 * 60, every=10)
        sizes.append(len(simulator.open_rows()))
    assert min(sizes) >= 2
    assert max(sizes) <= demo.MOST_ROWS
    assert simulator.ledger.count("created") == 0


def test_too_many_invitations_make_room(simulator, life):
    for number in range(20):
        simulator.create(f"Client {number}")
    life.step()
    assert len(simulator.open_rows()) == demo.MOST_ROWS


def test_a_life_ends_when_told(life):
    stopping = threading.Event()
    stopping.set()
    life.run(stopping)


def test_a_life_goes_on_until_told(simulator):
    stopping = threading.Event()
    steps = []

    class Watched(demo.Life):
        def step(self) -> None:
            steps.append(1)
            stopping.set()

    Watched(simulator).run(stopping, every=0.001)
    assert steps == [1]


def started(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "portal.getscreen.simulator", "--port", "0", *arguments],
        cwd=ROOT,
        env={**os.environ, "GETSCREEN_API_KEY": KEY},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def rows_of(process):
    word, port = process.stdout.readline().split()
    assert word == "ready"
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(f"http://127.0.0.1:{port}/v1/support/list", headers={"X-Api-Key": KEY}, timeout=5).json()
    return port, answer["data"]


def test_the_demo_says_it_is_ready_and_ends_with_its_stdin():
    with started("--demo") as process:
        port, rows = rows_of(process)
        assert len(rows) == 8
        assert rows[0]["invite_url"].startswith(f"http://127.0.0.1:{port}/invite/")
        process.stdin.close()
        assert process.wait(timeout=10) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_too(number):
    with started() as process:
        _, rows = rows_of(process)
        assert rows == []
        process.send_signal(number)
        assert process.wait(timeout=10) == 0


def test_without_a_key_it_does_not_start(monkeypatch, capsys):
    monkeypatch.delenv("GETSCREEN_API_KEY", raising=False)
    assert main([]) == 2
    assert "GETSCREEN_API_KEY" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--demo"]])
def test_main_serves_until_stdin_ends(monkeypatch, capsys, arguments):
    read_end, write_end = os.pipe()
    os.close(write_end)
    monkeypatch.setenv("GETSCREEN_API_KEY", KEY)
    monkeypatch.setattr("portal.getscreen.simulator.__main__.STDIN", read_end)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert main(arguments) == 0
    os.close(read_end)
    assert capsys.readouterr().out.startswith("ready ")
