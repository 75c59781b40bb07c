"""PostgreSQL's own programs, pg_dump and pg_restore: found, judged by version, and run without a secret in sight."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from django.db import connection
from django.db.backends.postgresql.client import DatabaseClient

from portal.backups.archive import CHUNK

PACKAGES = Path("/usr/lib/postgresql")  # where Debian keeps those of each version
QUOTED = 400  # characters of what a program has said that are repeated


class ProgramMissing(Exception):
    """There is no such program, or it is older than the server."""


class ProgramFailed(Exception):
    """It ended with an error; the text is its own."""


def find(name: str, server: int) -> str:
    """Return the path of a program that is not older than the server, whose version is such as 170002.

    Raises ProgramMissing with what to install.
    """
    wanted, found = server // 10_000, 0
    places = [path for path in (shutil.which(name), *map(str, PACKAGES.glob(f"*/bin/{name}"))) if path]
    for place in places:
        version = version_of(place)
        if version >= wanted:
            return place
        found = max(found, version)
    has = f"The newest {name} here is of version {found}" if found else f"There is no {name} here"
    raise ProgramMissing(
        f"{has}, and the server is PostgreSQL {wanted}. Install the client programs of version {wanted} "
        f"(Debian: postgresql-client-{wanted}), or run this where they are."
    )


def version_of(place: str) -> int:
    """Return the major version that a program says, 0 if it says none."""
    with suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run([place, "--version"], capture_output=True, text=True, check=False, timeout=20)  # noqa: S603
        if found := re.search(r"\) (\d+)", said.stdout):
            return int(found[1])
    return 0


def command(program: str, options: list[str], *, names_database: bool = False) -> tuple[list[str], dict[str, str]]:
    """Return arguments and environment for a program that works on our database; the password is in the latter.

    Nothing of the portal's own environment is: it may hold the other keys.
    """
    arguments, secrets = DatabaseClient.settings_to_cmd_args_env(connection.settings_dict, [])
    where, database = arguments[1:-1], arguments[-1]
    last = ["--dbname", database] if names_database else [database]
    return [program, "--no-password", *options, *where, *last], {"PATH": os.defpath, **(secrets or {})}


@contextmanager
def speaking(program: str, options: list[str]) -> Iterator[Iterator[bytes]]:
    """Yield what a program writes, in parts. Raises ProgramFailed after the last one if it was not all."""
    arguments, environment = command(program, options)
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(  # noqa: S603
            arguments, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints
        )
        try:
            yield heard(process, complaints)
        finally:
            end(process)


def heard(process: subprocess.Popen[bytes], complaints: IO[bytes]) -> Iterator[bytes]:
    assert process.stdout is not None  # noqa: S101  # nosec B101  # for the types
    while part := process.stdout.read(CHUNK):
        yield part
    conclude(process, complaints)


def feed(program: str, options: list[str], parts: Iterable[bytes]) -> None:
    """Run a program to its end and give it `parts` to read. Raises ProgramFailed."""
    arguments, environment = command(program, options, names_database=True)
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(  # noqa: S603
            arguments, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=complaints
        )
        try:
            assert process.stdin is not None  # noqa: S101  # nosec B101  # for the types
            with suppress(BrokenPipeError):  # it has given up, and says why
                for part in parts:
                    process.stdin.write(part)
                process.stdin.close()
            conclude(process, complaints)
        finally:
            end(process)


def conclude(process: subprocess.Popen[bytes], complaints: IO[bytes]) -> None:
    if process.wait():
        complaints.seek(0)
        said = complaints.read().decode(errors="replace").strip()
        raise ProgramFailed(f"{Path(str(process.args[0])).name}: {said[:QUOTED]}")  # type: ignore[index]


def end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    process.wait()
