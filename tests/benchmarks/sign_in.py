"""(m) Sign-in under attack: what bad tries cost, who still gets in, what the board feels, and what times betray."""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from urllib.parse import urlencode

from tests.benchmarks.load import Answer, Browser, Tally, percentile, poll_like_pages
from tests.benchmarks.portal import Portal, fill, running, wait_for_list
from tests.benchmarks.report import Table, milliseconds
from tests.installation import PASSWORD, PEOPLE

LOGIN, RESET = "/accounts/login/", "/accounts/password/reset/"
WRONG = "none of anybody's passwords"
HASHES = 30
BOARD = 0.5  # seconds
LIKENESS = 0.1
ROWS = 50
LOOKING = 20  # people with an open board
KNOWN = 50  # people whose names are tried one after the other: a name has a limit of its own
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
DISABLED, PASSWORDLESS = "disabled", "passwordless"
SET_APART = f"""
from portal.accounts.models import User
for user in User.objects.filter(username__startswith="{DISABLED}"):
    User.objects.filter(pk=user.pk).update(is_active=False)
for user in User.objects.filter(username__startswith="{PASSWORDLESS}"):
    user.set_unusable_password()
    user.save()
"""


class Stranger(Browser):
    """Somebody who is not signed in, at an address of their own: the server trusts us as its proxy."""

    ip = "192.0.2.1"

    async def fill_in(self, path: str, **form: str) -> Answer:
        elsewhere = {"X-Forwarded-For": self.ip}
        if "csrftoken" not in self.cookies:
            await self._ask("GET", path, elsewhere, b"")
        body = urlencode(form | {"csrfmiddlewaretoken": self.cookies["csrftoken"]}).encode()
        return await self._ask("POST", path, FORM | elsewhere, body)

    async def sign_in(self, name: str, password: str = WRONG) -> Answer:
        return await self.fill_in(LOGIN, login=name, password=password)


@dataclass
class Attacked:
    """What came of bad tries, and of the person whose account it was."""

    hashes: int
    statuses: Counter[int]
    victim: list[str] = field(default_factory=list)


class Site:
    """The portal under attack, and how often it has hashed."""

    def __init__(self, portal: Portal, log: Path) -> None:
        self.portal, self.log = portal, log

    @property
    def hashes(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0

    def stranger(self, ip: str, cookies: dict[str, str] | None = None) -> Stranger:
        found = Stranger(self.portal.port, cookies or {})
        found.ip = ip
        return found

    def forget_tries(self) -> None:
        self.portal.ask("DELETE FROM accounts_tally")


def run(quick: bool) -> Table:
    table = Table(
        "m",
        "Sign-in under attack",
        f"1,000 bad tries in 60 s cost at most {HASHES} hashes and lock nobody out; 3 tries/s leave the board's p95 "
        f"at {BOARD * 1000:.0f} ms or less; medians of known and unknown names differ by {LIKENESS:.0%} at most",
        ("What", "Measured"),
    )
    with tempfile.TemporaryDirectory(prefix="hashes-") as folder:
        log = Path(folder) / "hashes"
        settings = {"DJANGO_SETTINGS_MODULE": "tests.benchmarks.counting", "HASH_LOG": str(log)}
        with running(TRUSTED_PROXIES="127.0.0.1/32", **settings) as (simulator, portal):
            fill(simulator, ROWS)
            prepare(portal)
            portal.serve(workers=2)
            wait_for_list(portal, ROWS)
            site = Site(portal, log)
            attack(table, site, quick)
            storm(table, site, quick)
            enumerate_people(table, site, quick)
    table.notes.append(
        "Two workers of eight threads on SQLite, Argon2id as in production; the load comes from the same machine. "
        "Hashes are counted in the hasher itself, those of the victim's own sign-ins left out."
    )
    return table


def prepare(portal: Portal) -> None:
    names = [f"{kind}{number}" for kind in ("known", DISABLED, PASSWORDLESS) for number in range(KNOWN)]
    portal.manage("migrate", "--verbosity", "0")
    portal.prepare((*PEOPLE, *((name, "Person", name, "Agent") for name in names)))
    portal.manage("shell", "-v", "0", "-c", SET_APART)


# --- what bad tries cost ------------------------------------------------------------------------------


def attack(table: Table, site: Site, quick: bool) -> None:
    count, seconds = (100, 6.0) if quick else (1_000, 60.0)
    names = cycle(["agent", "colleague", "agent", "nobody", "agent@example.org"])
    one = asyncio.run(guess(site, count, seconds, lambda _: (next(names), "203.0.113.66")))
    told = f"{one.hashes} hashes; answers {dict(one.statuses)}"
    table.add(f"{count} bad tries in {seconds:.0f} s from one network", told, met=one.hashes <= HASHES)
    table.add(
        "the person meanwhile, 3 times each", "; ".join(one.victim), met=all("refused" not in x for x in one.victim)
    )
    site.forget_tries()
    many = asyncio.run(guess(site, count, seconds, lambda number: ("agent", f"100.64.{number // 250}.{number % 250}")))
    told = f"{many.hashes} hashes; answers {dict(many.statuses)}"
    table.add(f"{count} on one name from as many networks", told, met=many.hashes <= HASHES)
    table.add("the person meanwhile", "; ".join(many.victim), met="refused" not in many.victim[0])
    site.forget_tries()


async def guess(site: Site, count: int, seconds: float, whom: Callable[[int], tuple[str, str]]) -> Attacked:
    """Send bad tries evenly, and let the person sign in on a known device and on new ones meanwhile."""
    device = await known_device(site)
    before, statuses, own = site.hashes, Counter[int](), Counter[str]()
    crowd = [site.stranger("192.0.2.1") for _ in range(20)]
    free = asyncio.Queue[Stranger]()
    for each in crowd:
        free.put_nowait(each)

    async def one(number: int) -> None:
        stranger = await free.get()
        name, stranger.ip = whom(number)
        statuses[(await stranger.sign_in(name)).status] += 1
        free.put_nowait(stranger)

    async def victim(where: str, ip: str, cookies: dict[str, str]) -> None:
        person = site.stranger(ip, cookies)
        answer = await person.sign_in("agent", PASSWORD)
        for _ in range(3):
            if answer.status != 503:
                break
            own[f"{where}: told to wait a few seconds"] += 1
            await asyncio.sleep(3)
            answer = await person.sign_in("agent", PASSWORD)
        own[f"{where}: {'let in' if answer.status == 302 else 'refused'}"] += 1
        await person.close()

    tasks = []
    for number in range(count):
        tasks.append(asyncio.create_task(one(number)))
        if number in (count // 4, count // 2, count - 1):
            tasks.append(asyncio.create_task(victim("known device, the attacker's network", "203.0.113.66", device)))
            tasks.append(asyncio.create_task(victim("new device, the person's network", "198.51.100.9", {})))
        await asyncio.sleep(seconds / count)
    await asyncio.gather(*tasks)
    for each in crowd:
        await each.close()
    let_in = sum(times for text, times in own.items() if text.endswith("let in"))
    told = [f"{text} {times} times" for text, times in sorted(own.items())]
    return Attacked(site.hashes - before - let_in, statuses, told)


async def known_device(site: Site) -> dict[str, str]:
    """Return what the person's own browser keeps after a sign-in that has ended."""
    person = site.stranger("198.51.100.7")
    answer = await person.sign_in("agent", PASSWORD)
    if answer.status != 302:
        raise RuntimeError(f"the person could not sign in before the attack: {answer.status}")
    await person.close()
    return {"known": person.cookies["known"]}


# --- what the board feels -----------------------------------------------------------------------------


def storm(table: Table, site: Site, quick: bool) -> None:
    seconds = 6.0 if quick else 60.0
    browsers = site.portal.browsers(site.portal.people(LOOKING + 1))
    for rate in (0, 3):
        pages, polls, tries = asyncio.run(look(site, browsers, rate, seconds))
        p95 = percentile(pages.seconds, 0.95)
        told = f"boards p50 {milliseconds(percentile(pages.seconds, 0.5))}, p95 {milliseconds(p95)} of {pages.count}"
        told += f"; polls p95 {milliseconds(percentile(polls.seconds, 0.95))} of {polls.count}"
        told += f"; other answers {pages.others(200) + polls.others(200, 204, 304)}"
        if rate:
            told += f"; tries p50 {milliseconds(percentile(tries.seconds, 0.5))}, answers {dict(tries.statuses)}"
        table.add(
            f"{LOOKING} people look, {rate} sign-ins/s for {seconds:.0f} s", told, met=p95 <= BOARD if rate else None
        )
    site.forget_tries()


async def look(site: Site, browsers: list[Browser], rate: int, seconds: float) -> tuple[Tally, Tally, Tally]:
    pages, polls, tries = Tally(), Tally(), Tally()
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    looking = asyncio.create_task(poll_like_pages(browsers[1:], polls, every=3.0, until=lambda: loop.time() > end))

    async def open_boards() -> None:
        while loop.time() < end:
            pages.note(await browsers[0].get("/"))
            await asyncio.sleep(0.25)

    async def one(number: int) -> None:
        stranger = site.stranger(f"100.65.{number // 250}.{number % 250}", {"csrftoken": token})
        tries.note(await stranger.sign_in(f"nobody{number}"))
        await stranger.close()

    first = site.stranger("192.0.2.1")
    await first.get(LOGIN)
    await first.close()
    token = first.cookies["csrftoken"]
    opening, tasks = asyncio.create_task(open_boards()), []
    while loop.time() < end:
        if rate:
            tasks.append(asyncio.create_task(one(len(tasks))))
        await asyncio.sleep(1 / (rate or 1))
    await asyncio.gather(opening, looking, *tasks)
    await browsers[0].close()
    return pages, polls, tries


# --- what times betray --------------------------------------------------------------------------------


def enumerate_people(table: Table, site: Site, quick: bool) -> None:
    count = 20 if quick else 500
    kinds = ("known", "nobody", DISABLED, PASSWORDLESS)
    sign_ins = {kind: 60 if kind in kinds[2:] and not quick else count for kind in kinds}
    seen = asyncio.run(measure(site, sign_ins, lambda who, kind, number: who.sign_in(f"{kind}{number % KNOWN}")))
    compare(table, "sign-in by name", seen)
    site.forget_tries()
    mails = dict.fromkeys(kinds[:2], count)
    seen = asyncio.run(measure(site, mails, lambda who, kind, number: who.sign_in(address(kind, number))))
    compare(table, "sign-in by e-mail address", seen)
    site.forget_tries()
    seen = asyncio.run(measure(site, mails, lambda who, kind, number: who.fill_in(RESET, email=address(kind, number))))
    compare(table, "reset by mail", seen)


def address(kind: str, number: int) -> str:
    return f"{kind}{number % KNOWN}@example.org"


async def measure(
    site: Site, counts: dict[str, int], ask: Callable[[Stranger, str, int], object]
) -> dict[str, list[Answer]]:
    """Try each kind so often, mixed and one after the other, each from a network of its own."""
    turns = [(kind, number) for kind, count in counts.items() for number in range(count)]
    random.Random(5).shuffle(turns)
    stranger, seen = site.stranger("192.0.2.1"), {kind: [] for kind in counts}
    await stranger.get(LOGIN)
    for place, (kind, number) in enumerate(turns):
        stranger.ip = f"100.{66 + place // 62_500}.{place // 250 % 250}.{place % 250}"
        seen[kind].append(await ask(stranger, kind, number))
    await stranger.close()
    return seen


def compare(table: Table, what: str, seen: dict[str, list[Answer]]) -> None:
    medians = {kind: statistics.median(answer.seconds for answer in answers) for kind, answers in seen.items()}
    apart = max(abs(median / medians["nobody"] - 1) for median in medians.values())
    looks = {(answer.status, len(answer.headers)) for answers in seen.values() for answer in answers}
    told = ", ".join(f"{kind} {milliseconds(median)} of {len(seen[kind])}" for kind, median in medians.items())
    alike = len(looks) == 1
    table.add(
        what, f"{told}; {apart:.1%} apart; {'one' if alike else 'not one'} answer", met=apart <= LIKENESS and alike
    )
