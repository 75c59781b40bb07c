"""A throw-away PostgreSQL server on loopback for the test run: `python -m tests.postgres available|start|stop`.

`start` prints a DATABASE_URL; `start durable` is for what is measured or crashed: it writes through to
the disk. The server refuses to run as root, so root starts it as `postgres`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from portal.embedded import free_port
from tests.tools import postgres_bin

STATE = Path(tempfile.gettempdir()) / f"portal-test-postgres-{os.getuid()}"


def run(*command: str) -> None:
    as_postgres = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    subprocess.run([*as_postgres, *command], check=True, stdout=subprocess.DEVNULL, cwd="/")


def start(*, durable: bool = False) -> str:
    """Make a new cluster, start it and return its address."""
    programs = postgres_bin()
    if programs is None:
        raise SystemExit(1)
    stop()
    STATE.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(STATE, "postgres", "postgres")
    data, port = STATE / "data", free_port()
    run(
        str(programs / "initdb"),
        "-D",
        str(data),
        "-U",
        "portal",
        "--auth=trust",
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
    )
    options = f"-h 127.0.0.1 -p {port} -k {STATE} -c max_connections=50"
    if not durable:
        options += " -c fsync=off -c full_page_writes=off"
    run(str(programs / "pg_ctl"), "-D", str(data), "-o", options, "-l", str(STATE / "log"), "-w", "start")
    return f"postgres://portal@127.0.0.1:{port}/postgres"


def crash() -> None:
    """Kill the server with -9, as a crash of it would, and start it again as it was started before."""
    programs = postgres_bin()
    assert programs is not None
    data = STATE / "data"
    options = (data / "postmaster.opts").read_text(encoding="utf-8").split()
    os.kill(int((data / "postmaster.pid").read_text(encoding="utf-8").split()[0]), signal.SIGKILL)
    again = [str(programs / "pg_ctl"), "-D", str(data), "-o", " ".join(word.strip('"') for word in options[3:])]
    for pause in (0.05, 0.2, 0.5, 1, 2, 4):  # its orphans notice after a moment, and hold its memory until then
        try:
            return run(*again, "-l", str(STATE / "log"), "-w", "start")
        except subprocess.CalledProcessError:
            time.sleep(pause)
    return run(*again, "-l", str(STATE / "log"), "-w", "start")


def stop() -> None:
    programs = postgres_bin()
    if programs is not None and (STATE / "data" / "postmaster.pid").exists():
        run(str(programs / "pg_ctl"), "-D", str(STATE / "data"), "-m", "immediate", "-w", "stop")
    shutil.rmtree(STATE, ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["available"]:
        sys.exit(postgres_bin() is None)
    elif sys.argv[1:] == ["start"] or sys.argv[1:] == ["start", "durable"]:
        print(start(durable="durable" in sys.argv))  # noqa: T201
    else:
        stop()
