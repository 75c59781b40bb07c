"""Where the log cannot be written for want of space, actions refuse with the reason, and reading goes on."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path

import pytest
from django.db import connection

from portal import audit
from portal.getscreen.simulator import Simulator
from tests import batteries, chain
from tests.crashes.restarting import Warm
from tests.installation import answers, vendor_on_a_port, wait_until
from tests.test_processes import Person, family

CHANGES = ("created", "link_minted", "renamed", "closed")


@contextmanager
def at_work(folder: Path, database: Path) -> Iterator[tuple[Simulator, Warm, Person]]:
    with vendor_on_a_port(seed=5) as (vendor, server):
        vendor.remaining = 1000
        more = {"DATABASE_URL": f"sqlite:///{database}", "AUDIT_KEY_FILE": str(folder / "keys" / "audit.pem")}
        with Warm(folder, server, **more) as portal:
            portal.database = database
            portal.prepare((("lead", "Ada", "Ferreira", "Team lead"),))
            portal.start()
            try:
                yield vendor, portal, Person(portal, "lead")
            finally:
                with suppress(OSError):
                    portal.kill()


def effects(vendor: Simulator) -> int:
    return sum(vendor.ledger.count(kind) for kind in CHANGES)


def refuse_and_recover(
    vendor: Simulator, portal: Warm, lead: Person, fill: Callable[[], None], free: Callable[[], None]
) -> int:
    """Fill the disk, see every action refused while reading goes on, free it and see all work again.

    Returns how many actions that were.
    """
    number = vendor.add("Tilda", status=1)
    path = f"/invitations/{portal.known(number, 1)}"
    calls = {
        "create": lambda: lead.post("/invitations/new/", client_name="Lena", token="5" * 32),
        "connect": lambda: lead.post(f"{path}/connect/"),
        "rename": lambda: lead.post(f"{path}/rename/", client_name="New"),
        "preview": lambda: lead.session.get(f"{portal.url}{path}/preview/", timeout=60),
        "close": lambda: lead.post(f"{path}/close/"),
    }
    before = effects(vendor)
    portal.ask("PRAGMA wal_checkpoint(TRUNCATE)")  # what has been used already would have room for some more
    fill()
    for name, call in calls.items():
        refused = call()
        assert refused.status_code == HTTPStatus.SERVICE_UNAVAILABLE, name
        assert "audit log" in refused.text, name
        for readable in ("/", f"{path}/"):
            answer = lead.session.get(f"{portal.url}{readable}", timeout=60)
            assert answer.status_code == HTTPStatus.OK, readable
            assert "Tilda" in answer.text
    assert effects(vendor) == before, "the vendor was asked for something that is in no log"
    free()
    wait_until(lambda: answers(f"{portal.url}/readyz"), says="not ready again")
    accepted = [call().status_code for call in calls.values()]
    assert accepted == [302, 303, 302, 200, 302]
    assert effects(vendor) == before + len(calls) - 1
    assert portal.ask("PRAGMA integrity_check") == [("ok",)]
    assert chain.faults_in(portal.ask) == []
    return len(calls)


def limit(portal: Warm, size: int) -> None:
    """Let no file of the server grow beyond so many bytes; -1 lifts it. Needs no rights that tests lack."""
    for pid in family(portal.server):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_without_space_actions_refuse_and_reading_goes_on(tmp_path):
    with at_work(tmp_path, tmp_path / "portal.sqlite3") as (vendor, portal, lead):
        count = refuse_and_recover(
            vendor, portal, lead, lambda: limit(portal, 4096), lambda: limit(portal, resource.RLIM_INFINITY)
        )
    batteries.report(
        f"no file may grow (RLIMIT_FSIZE, SQLite): {count} of {count} actions refused with the reason, nothing asked "
        f"of the vendor, pages readable; with space again {count} of {count} done without a restart, chain intact"
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


if batteries.IS_LONG and os.geteuid() == 0:

    def test_on_a_full_disk_actions_refuse_and_reading_goes_on(tmp_path: Path, small_disk: Path) -> None:
        filler = small_disk / "filler"

        with at_work(tmp_path, small_disk / "portal.sqlite3") as (vendor, portal, lead):

            def fill() -> None:
                with suppress(OSError), filler.open("wb", buffering=0) as file:
                    while file.write(bytes(4096)):
                        pass
                assert not answers(f"{portal.url}/readyz")

            count = refuse_and_recover(vendor, portal, lead, fill, filler.unlink)
        batteries.report(
            f"full disk (tmpfs of 8 MiB, SQLite): {count} of {count} actions refused with the reason, nothing asked of "
            f"the vendor, pages readable, readiness red; with space again {count} of {count} done without a restart, "
            "chain intact"
        )


def test_a_disk_that_is_almost_full_is_noticed_before_a_commit_meets_it(db, monkeypatch, tmp_path):
    """SQLite touches the disk only at a commit, and the readiness probe never comes to one."""
    monkeypatch.setitem(connection.settings_dict, "NAME", tmp_path / "portal.sqlite3")
    audit.ensure_writable()
    full = os.statvfs_result((4096, 4096, 10, 10, 10, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda folder: full)
    with pytest.raises(audit.Unavailable, match="full"):
        audit.ensure_writable()
