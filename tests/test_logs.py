"""What a real server writes and forwards: every line is JSON, no secret is in one, no event is missing outside."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from contextlib import closing

import pytest
import requests

from tests.audit.receivers import Authority, Receiver, wait_for
from tests.installation import API_KEY, ROOT, Installation, vendor_on_a_port, wait_until
from tests.test_processes import Person, family

SECRET = "Kq3hiddenhiddenhidden"
APP = {"time", "log", "level", "logger", "message", "request", "process", "thread"}
AUDIT = {"time", "log", "seq", "hash", "kind"}
LOGGERS = {"django.request", "invitations.sync", "gunicorn.error", "invitations.management.commands.serve"}


def raw(portal: Installation, request: bytes) -> bytes:
    """Send bytes that no client would."""
    with closing(socket.create_connection(("127.0.0.1", portal.port), timeout=20)) as link:
        link.sendall(request)
        return link.recv(4096)


def provoke(portal: Installation, vendor) -> str:
    """Let pages, errors and the vendor's trouble be logged. Returns the reference of our own fault."""
    agent = Person(portal, "agent")
    for path in (
        "/nothing/%0aforged%1b[31m",
        f"/accounts/password/reset/key/{SECRET}",
        f"/?llt={SECRET}&apikey={SECRET}",
    ):
        agent.session.get(f"{portal.url}{path}", timeout=20)
    requests.get(f"{portal.url}/x", headers={"host": "evil.example"}, timeout=20)
    assert b"400" in raw(portal, f"GET /accounts/enrol/{SECRET}/ HTTP/1.1 x\r\n\r\n".encode())
    portal.ask("ALTER TABLE invitations_entry RENAME TO gone")
    portal.ask("ALTER TABLE invitations_invitation RENAME TO gone_as_well")
    answer = agent.session.get(f"{portal.url}/history/?s={SECRET}", timeout=20)
    portal.ask("ALTER TABLE gone RENAME TO invitations_entry")
    portal.ask("ALTER TABLE gone_as_well RENAME TO invitations_invitation")
    assert answer.status_code == 500
    vendor.fail("list", "status_503", times=None)
    portal.trouble("unreachable")
    vendor.clear()
    portal.trouble("")
    return answer.headers["X-Request-Id"]


def test_every_line_of_a_server_is_json_without_secrets(tmp_path):
    with vendor_on_a_port(seed=3) as (vendor, server), Installation(tmp_path, server) as portal:
        portal.prepare()
        process = portal.serve(workers=2, PYTHONWARNINGS="default")
        reference = provoke(portal, vendor)
        process.terminate()
        process.wait(timeout=30)
        text, rows = portal.log(), portal.ask("SELECT seq, hash, kind FROM audit_event ORDER BY seq")
    lines = [json.loads(line) for line in text.splitlines()]
    app = [line for line in lines if line["log"] == "app"]
    told = [line for line in lines if line["log"] == "audit"]
    assert len(app) + len(told) == len(lines)
    assert all(set(line) - {"exception"} == APP for line in app)
    assert all(set(line) == AUDIT for line in told)
    assert {line["logger"] for line in app} >= LOGGERS
    # the fault's reference is the one the answer has named
    (fault,) = (line for line in app if line["message"].startswith("Internal Server Error"))
    assert fault["request"] == reference
    assert "no such table" in fault["exception"]
    assert all(re.fullmatch(r"|[0-9a-f]{8}", line["request"]) for line in app)
    assert any("forged" in line["message"] for line in app)
    # nothing secret, in no field
    assert SECRET not in text
    assert API_KEY not in text
    assert "********" in text
    # every event of the server stands there, as it is in the database
    first = min(line["seq"] for line in told)
    known = {line["seq"]: (line["hash"], line["kind"]) for line in told}
    assert {seq: tuple(rest) for seq, *rest in rows if seq >= first} == known


def test_commands_leave_their_output_alone(tmp_path):
    with vendor_on_a_port(seed=3) as (_vendor, server), Installation(tmp_path, server) as portal:
        portal.prepare()
        done = subprocess.run(
            [
                sys.executable,
                "manage.py",
                "shell",
                "--no-imports",
                "-c",
                "import logging; logging.warning('x'); print('mine')",
            ],
            cwd=ROOT,
            env=portal.environment,
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout == "mine\n"
    assert json.loads(done.stderr)["message"] == "x"


@pytest.mark.parametrize("is_encrypted", [False, True], ids=["tcp", "tls"])
def test_nothing_is_missing_outside_whoever_dies(tmp_path, is_encrypted):
    """The portal is killed, the receiver dies and comes back: each event has arrived, in order without the doubles."""
    authority = Authority(tmp_path)
    with (
        Receiver(authority.server() if is_encrypted else None) as receiver,
        vendor_on_a_port(seed=3) as (_vendor, server),
        Installation(tmp_path, server, SYSLOG_URL=receiver.url, SYSLOG_CA_FILE=str(authority.file)) as portal,
    ):
        portal.prepare()

        def numbers():
            return [row[0] for row in portal.ask("SELECT seq FROM audit_event ORDER BY seq")]

        def is_complete():
            return receiver.events() == numbers()

        process = portal.serve(workers=2)
        Person(portal, "agent").post("/invitations/new/", client_name="Tilda", token="1" * 32)
        wait_for(is_complete)
        assert max(Counter(receiver.numbers()).values()) == 1, "two workers, one of which sends"
        receiver.die()
        Person(portal, "agent").post("/invitations/new/", client_name="Bo", token="2" * 32)
        wait_until(lambda: portal.ask("SELECT 1 FROM audit_standing WHERE forward_error <> ''"))
        for pid in family(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait(timeout=10)
        receiver.start()
        portal.ask("DELETE FROM portal_cache")  # instead of waiting for the dead one's lease
        process = portal.serve()
        wait_for(is_complete, seconds=60)
        Person(portal, "lead")
        wait_for(is_complete, seconds=60)
        process.terminate()
        process.wait(timeout=30)
        results = portal.ask("SELECT result FROM audit_event WHERE kind = 'audit.forward' ORDER BY seq")
        assert [row[0] for row in results] in (["failed"], ["failed", "ok"])
    assert SECRET not in str(receiver.messages)
