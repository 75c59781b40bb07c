"""Backups, restores and upgrades that are killed with -9 at any moment: a program that prints what it found.

`backup KILLS FOLDER`, `upgrade KILLS FOLDER`: of the portal in the database. `restore KILLS FOLDER`: the newest backup
there, into a database that is empty. The program itself never opens the database: each step is a process of its own.
"""

from __future__ import annotations

import io
import json
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.crashes.killing import Process, Tell, fork, unsound, wait_for_orphans  # isort: skip  # sets Django up

from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from invitations.management.commands.serve import refuse_unmigrated
from portal.accounts.models import OneTimeLink, Session
from portal.audit import checkpoints
from portal.audit.models import Event
from portal.backups import archive, keeping, making, schema, targets

Step = Callable[[Tell], None]


def run(step: Step) -> list[list[Any]]:
    return fork(step).bury()


def tell_unsound(tell: Tell) -> None:
    checkpoints.seal()  # whoever was killed may not have come to it
    for problem in unsound():
        tell("wrong", problem)


def quietly(*words: str) -> None:
    call_command(*words, stdout=io.StringIO())


class Battery:
    """One command: what it works on, what may be left of it at any moment, and that it comes to its end afterwards."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.longest = 0.0  # seconds of one that nobody interrupts
        self.kills = self.ended = 0
        self.problems: list[str] = []

    def prepare(self, tell: Tell) -> None: ...

    def act(self, tell: Tell) -> None: ...

    def look(self, tell: Tell) -> None: ...

    def do(self, step: Step) -> None:
        """Run a step to its end, and keep what went wrong in it."""
        told = run(self.complete(step))
        self.problems += [str(said[1:]) for said in told if said[0] in ("failed", "wrong")]
        if ["done"] not in told:
            self.problems.append(f"{step.__name__} did not come to its end")

    @staticmethod
    def complete(step: Step) -> Step:
        def whole(tell: Tell) -> None:
            step(tell)
            tell("done")

        return whole

    def begin(self) -> None:
        self.do(self.prepare)
        began = time.monotonic()
        self.do(self.act)
        self.longest = time.monotonic() - began
        self.do(self.look)

    def interrupt(self) -> None:
        self.do(self.prepare)
        acting: Process = fork(self.complete(self.act))
        time.sleep(random.uniform(0, self.longest))
        os.kill(acting.pid, 9)
        self.ended += ["done"] in acting.bury()
        self.kills += 1
        self.do(self.look)


class Backup(Battery):
    def act(self, tell: Tell) -> None:
        making.make(self.folder)

    def look(self, tell: Tell) -> None:
        """Every file that has a backup's name is a whole one."""
        wait_for_orphans()
        for _, file in keeping.backups_in(self.folder):
            archive.open_backup(file).check()
        tell_unsound(tell)


class Upgrade(Battery):
    def prepare(self, tell: Tell) -> None:
        quietly("migrate", "invitations", "0007", "-v0")

    def act(self, tell: Tell) -> None:
        quietly("upgrade", "--dir", str(self.folder))

    def look(self, tell: Tell) -> None:
        """The log is whole; the upgrade can be run again, and everything is there then."""
        wait_for_orphans()
        tell_unsound(tell)
        self.act(tell)
        refuse_unmigrated()
        for problem in schema.left_undone():
            tell("wrong", f"not there after the upgrade: {problem}")


class Restore(Battery):
    def prepare(self, tell: Tell) -> None:
        """Empty the database, and forget what is outside of the one that was restored there before."""
        for file in settings.AUDIT_CHECKPOINT_DIR.iterdir():
            file.unlink()
        wait_for_orphans()
        if connection.vendor == "sqlite":
            targets.forget(Path(str(connection.settings_dict["NAME"])))
        else:
            with connection.cursor() as cursor:
                targets.make_empty(cursor)
                cursor.execute(f"DROP TABLE IF EXISTS {schema.UNFINISHED}")

    def act(self, tell: Tell) -> None:
        quietly("restore", str(keeping.backups_in(self.folder)[0][1]))

    def look(self, tell: Tell) -> None:
        """It is not served, or it is whole; a restore that was not finished can be run again."""
        wait_for_orphans()
        try:
            refuse_unmigrated()
        except CommandError:
            self.act(tell)
        refuse_unmigrated()
        if not Event.objects.filter(kind="backup.restored").exists() or schema.left_undone():
            tell("wrong", "served, and not all of it is there")
        if Session.objects.exists() or OneTimeLink.objects.exists():
            tell("wrong", "somebody is signed in")
        tell_unsound(tell)


def main() -> None:
    name, kills, folder = sys.argv[1:]
    battery = {"backup": Backup, "upgrade": Upgrade, "restore": Restore}[name](Path(folder))
    battery.begin()
    while battery.kills < int(kills) and not battery.problems:
        battery.interrupt()
    said = {"kills": battery.kills, "ended": battery.ended, "problems": battery.problems[:20]}
    print(json.dumps(said))  # noqa: T201


if __name__ == "__main__":
    main()
