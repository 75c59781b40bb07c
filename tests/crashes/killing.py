"""Processes that write the audit log and are killed with -9 at any moment: a program that prints what it found.

`writers KILLS` kills four writers, singly and together, starts others and looks what is left.
`server KILLS FOLDER` kills PostgreSQL's server under them. `keys KILLS` kills whoever makes the signing
key or changes it. The program itself never opens the database: each look is a process of its own.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.db import DatabaseError, connection  # noqa: E402

from portal import audit  # noqa: E402
from portal.audit import anchors, checkpoints, keys, purging, rotation  # noqa: E402
from portal.audit.kinds import Phase  # noqa: E402
from portal.audit.merkle import BLOCK  # noqa: E402
from portal.audit.models import Detail, Event, Standing, Watermark, first_event  # noqa: E402
from portal.audit.verification import Verification  # noqa: E402
from tests import postgres  # noqa: E402

Tell = Callable[..., None]
LONGEST = 0.3  # seconds that writers live after they have all begun
PATIENCE = 60.0  # seconds, for a sign of life on a busy machine


# What writers do, again and again. Each tells what it was told to be committed.


def append(tell: Tell) -> int:
    with audit.writing(durable=True):
        event = audit.record(
            "invitation.connect",
            phase=Phase.INTENT,
            reference=audit.new_reference(),
            target_type="invitation",
            target_id="a-public-id",
            target_label="Tilda",
            details={"ticket": "HD-1"},
        )
    tell("event", event.seq, event.hash)
    return event.seq


def seal(tell: Tell) -> None:
    append(tell)
    checkpoints.seal()
    tell("anchor", Standing.load().anchored_size)


def remove(tell: Tell) -> None:
    """Erase the details of a few events and purge whole blocks as soon as there are some."""
    last = append(tell)
    first = random.randint(max(first_event(), last - 50), last)
    purging.erase(range(first, min(first + 3, last + 1)), reason="asked for")
    tell("erased", first)
    upto = (last - 1) // BLOCK * BLOCK
    if upto >= first_event():
        purging.purge(upto, reason="old")
        tell("purged", upto)


def rotate(tell: Tell) -> None:
    append(tell)
    _, new = rotation.rotate()
    tell("key", new.hex)


ROLES = (append, seal, remove, rotate)  # one process each


# Processes.


@dataclass
class Process:
    """A child with what it has told so far."""

    role: str
    pid: int
    pipe: int
    text: bytes = b""

    def read(self) -> bool:
        """Take what it tells now; False at its end."""
        some = os.read(self.pipe, 65536)
        self.text += some
        return bool(some)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def bury(self) -> list[list[Any]]:
        """Wait for its end and return all that it told."""
        while self.read():
            pass
        os.close(self.pipe)
        os.waitpid(self.pid, 0)
        return [json.loads(line) for line in self.text.splitlines()]


def fork(work: Callable[[Tell], None], role: str = "") -> Process:
    """Run `work` in a child. What it tells is one write into a pipe, so a kill never halves it."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return Process(role, pid, reading)
    os.close(reading)
    try:
        random.seed()
        work(lambda *said: os.write(writing, (json.dumps(said) + "\n").encode()))
        os._exit(0)
    except BaseException as error:
        os.write(writing, (json.dumps(["failed", repr(error)[:1000]]) + "\n").encode())
        os._exit(1)


def forever(work: Callable[[Tell], Any], *, forgiving: bool) -> Callable[[Tell], None]:
    """Repeat; where the server is killed, a lost connection is made again."""

    def run(tell: Tell) -> None:
        while True:
            try:
                work(tell)
            except DatabaseError:
                if not forgiving:
                    raise
                connection.close()
                time.sleep(0.02)

    return run


def begin(slot: int, *, forgiving: bool = False) -> Process:
    return fork(forever(ROLES[slot], forgiving=forgiving), ROLES[slot].__name__)


def listen(processes: list[Process], seconds: float) -> None:
    """Take what they tell for so long, so that no pipe fills up."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        for process in ready(processes, left):
            process.read() or time.sleep(0.01)


def ready(processes: list[Process], seconds: float) -> Iterator[Process]:
    readable, _, _ = select.select([process.pipe for process in processes], [], [], seconds)
    return (process for process in processes if process.pipe in readable)


def wait_for_life(processes: list[Process], heard: list[int]) -> None:
    """Wait until each has told something since `heard`."""
    until = time.monotonic() + PATIENCE
    while any(len(process.text) <= before for process, before in zip(processes, heard, strict=True)):
        if time.monotonic() > until or any(b'"failed"' in process.text for process in processes):
            return
        listen(processes, 0.02)


# What must be true afterwards.


@dataclass
class Found:
    """Everything that was told to be committed, and what was found wrong."""

    kills: Counter[str] = field(default_factory=Counter)
    events: dict[int, str] = field(default_factory=dict)
    anchored: int = 0
    purged: int = 0
    erased: set[int] = field(default_factory=set)
    looks: int = 0
    problems: list[str] = field(default_factory=list)

    def take(self, told: list[list[Any]]) -> None:
        for what, *values in told:
            if what == "event":
                self.events[values[0]] = values[1]
            elif what == "anchor":
                self.anchored = max(self.anchored, values[0])
            elif what == "purged":
                self.purged = max(self.purged, values[0])
            elif what == "erased":
                self.erased.add(values[0])
            elif what == "failed":
                self.problems.append(f"a writer failed: {values[0]}")

    def look(self) -> None:
        """Look at what is left in a new process, as after a restart, and let it go on with the log."""
        self.looks += 1
        told = fork(self.check, "look").bury()
        self.problems += [str(values[0]) for what, *values in told if what in ("wrong", "failed")]
        if ["done"] not in told:
            self.problems.append("the look did not come to its end")
        mark = max((values[0] for what, *values in told if what == "mark"), default=0)
        self.events = {seq: event_hash for seq, event_hash in self.events.items() if seq > mark}

    def check(self, tell: Tell) -> None:
        wait_for_orphans()
        for problem in (*self.missing(), *unsound()):
            tell("wrong", problem)
        purging.finish_purge()
        seal(lambda *_: None)
        for problem in unsound():
            tell("wrong", f"after going on: {problem}")
        tell("mark", first_event() - 1)
        tell("done")

    def missing(self) -> Iterator[str]:
        """Name what was told to be committed and is not there."""
        stored, mark = dict(Event.objects.values_list("seq", "hash")), first_event() - 1
        for seq, event_hash in self.events.items():
            if seq > mark and stored.get(seq) != event_hash:
                yield f"event {seq} was acknowledged and is missing"
        if mark < self.purged:
            yield f"the purge up to {self.purged} was acknowledged and is missing"
        if anchors.read([settings.AUDIT_CHECKPOINT_DIR]).newest < self.anchored:
            yield f"the anchor at {self.anchored} was acknowledged and is missing"
        for seq in Detail.objects.filter(seq__in=[seq for seq in self.erased if seq > mark]).values_list("seq"):
            yield f"the details of {seq} were erased and are there"


def unsound() -> Iterator[str]:
    """Name what is wrong with the log by itself."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA integrity_check")
            if (said := cursor.fetchall()) != [("ok",)]:
                yield f"integrity: {said}"
    numbers = list(Event.objects.order_by("seq").values_list("seq", flat=True))
    if numbers and numbers != list(range(numbers[0], numbers[-1] + 1)):
        yield "there is a gap"
    mark = Watermark.objects.order_by("-upto").first()
    if numbers and numbers[0] > (mark.upto if mark else 0) + 1:
        yield "the first events are missing"
    key = keys.current()  # raises if a kill has left it unusable
    report = Verification(anchors.read([settings.AUDIT_CHECKPOINT_DIR]), [key.public]).run()
    if report.state != "intact":
        yield f"{report.state}: {report.sentences[:3]}"


def wait_for_orphans() -> None:
    """PostgreSQL notices only after a moment that a client was killed, and may commit until then."""
    others = """SELECT COUNT(*) FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND datname = current_database() AND pid <> pg_backend_pid()"""
    until = time.monotonic() + PATIENCE
    while connection.vendor == "postgresql" and time.monotonic() < until:
        with connection.cursor() as cursor:
            cursor.execute(others)
            if cursor.fetchone() == (0,):
                return
        time.sleep(0.02)


# The three batteries.


def kill_writers(kills: int) -> Found:
    found = Found()
    found.take(fork(seal).bury())  # the first anchor
    writers: dict[int, Process] = {}
    while sum(found.kills.values()) < kills and not found.problems:
        for slot in set(range(len(ROLES))) - set(writers):
            writers[slot] = begin(slot)
        listen(list(writers.values()), random.uniform(0, LONGEST))
        together = random.random() < 0.4  # then there is a look at what is left; else the others go on
        doomed = list(writers) if together else [random.randrange(len(ROLES))]
        for slot in doomed:
            writers[slot].kill()
        for slot in doomed:
            found.kills[writers[slot].role] += 1
            found.take(writers.pop(slot).bury())
        if together:
            found.look()
    end(writers.values(), found)
    return found


def kill_server(kills: int, folder: Path) -> Found:
    postgres.STATE = folder
    found = Found()
    found.take(fork(seal).bury())
    writers = {slot: begin(slot, forgiving=True) for slot in range(len(ROLES))}
    for _ in range(kills):
        heard = [len(process.text) for process in writers.values()]
        wait_for_life(list(writers.values()), heard)
        listen(list(writers.values()), random.uniform(0, LONGEST))
        postgres.crash()
        found.kills["server"] += 1
    wait_for_life(list(writers.values()), [len(process.text) for process in writers.values()])
    end(writers.values(), found)
    return found


def end(writers: Any, found: Found) -> None:
    for process in writers:
        process.kill()
    for process in writers:
        found.take(process.bury())
    found.look()


def kill_key_makers(kills: int) -> Found:
    """Half of them are killed while they make the first key of a new folder, half while they change a key."""
    found = Found()
    found.take(fork(seal).bury())
    for number in range(kills):
        if number % 2:
            kill_maker(found, "rotating", forever(rotate, forgiving=False), 0.15)
            found.look()
        else:
            told = kill_maker(found, "creating", partial(make_key, number), 0.008)
            found.take(fork(partial(use_key, number, told)).bury())
    return found


def kill_maker(found: Found, role: str, work: Callable[[Tell], None], seconds: float) -> list[list[Any]]:
    maker = fork(work)
    time.sleep(random.uniform(0, seconds))
    with suppress(ProcessLookupError):
        maker.kill()
    found.kills[role] += 1
    told = maker.bury()
    found.take(told)
    return told


def use_folder(number: int) -> None:
    settings.AUDIT_KEY_FILE = settings.AUDIT_KEY_FILE.parent / str(number) / "audit.pem"


def make_key(number: int, tell: Tell) -> None:
    use_folder(number)
    tell("key", keys.current().public.hex)


def use_key(number: int, told: list[list[Any]], tell: Tell) -> None:
    use_folder(number)
    key = keys.current()
    if told and told != [["key", key.public.hex]]:
        tell("failed", "the key that was used is another one now")
    if not key.public.verifies(key.sign(b"text"), b"text"):
        tell("failed", "the key cannot be used")


def main() -> None:
    name, count, *rest = sys.argv[1:]
    if name == "writers":
        found = kill_writers(int(count))
    elif name == "server":
        found = kill_server(int(count), Path(rest[0]))
    else:
        found = kill_key_makers(int(count))
    said = {"kills": found.kills, "events": len(found.events), "looks": found.looks, "problems": found.problems[:20]}
    print(json.dumps(said))  # noqa: T201


if __name__ == "__main__":
    main()
