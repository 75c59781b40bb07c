"""A throw-away PostgreSQL server on loopback for the test run: `python -m tests.postgres available|start|stop`.

`start` prints a DATABASE_URL. The server refuses to run as root, so root starts it as `postgres`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from portal.embedded import free_port
from tests.tools import postgres_bin

STATE = Path(tempfile.gettempdir()) / f"portal-test-postgres-{os.getuid()}"


def run(*command: str) -> None:
    as_postgres = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    subprocess.run([*as_postgres, *command], check=True, stdout=subprocess.DEVNULL, cwd="/")


def start() -> str:
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
    options = f"-h 127.0.0.1 -p {port} -k {STATE} -c fsync=off -c full_page_writes=off -c max_connections=50"
    run(str(programs / "pg_ctl"), "-D", str(data), "-o", options, "-l", str(STATE / "log"), "-w", "start")
    return f"postgres://portal@127.0.0.1:{port}/postgres"


def stop() -> None:
    programs = postgres_bin()
    if programs is not None and (STATE / "data" / "postmaster.pid").exists():
        run(str(programs / "pg_ctl"), "-D", str(STATE / "data"), "-m", "immediate", "-w", "stop")
    shutil.rmtree(STATE, ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["available"]:
        sys.exit(postgres_bin() is None)
    elif sys.argv[1:] == ["start"]:
        print(start())  # noqa: T201
    else:
        stop()
