"""The whole life of invitations, made up at random: whatever happens, expiry closes nothing that is in use or not ours.

A machine of hypothesis acts as people, clients, colleagues in the vendor's dashboard, clocks, administrators, faults
and the watcher, against two accounts of the simulator that give the same ids. What each `close` of the watcher meets is
looked up at the vendor in the moment it arrives there.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
import requests
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from invitations import actions, expiry, operations, stale, sync
from invitations.models import Entry, Invitation, Operation, Policy, Status
from invitations.refusals import ActionRefused
from invitations.settling import CHECKED_FOR
from invitations.tokens import new_token
from portal.accounts.models import User
from portal.audit.findings import Grade
from portal.audit.models import Event
from portal.audit.verification import Verification
from portal.getscreen import configured
from portal.getscreen.client import Client
from portal.getscreen.errors import GetscreenError
from portal.getscreen.links import AllowedHosts
from portal.getscreen.simulator import FAULTS, TABLE, Simulator
from portal.getscreen.simulator.account import WAITING, UnknownInvitation
from portal.getscreen.simulator.account import Row as RemoteRow
from portal.getscreen.types import Secret
from tests import batteries
from tests.invitations.watching import pass_time
from tests.simulated import mount

HISTORIES = batteries.count(short=25 if connection.vendor == "sqlite" else 10, long=1000)
STEPS = 25
HOUR = timedelta(hours=1)
MOST_APART = 60 * 3600.0  # seconds between the two clocks
TIMES = {
    Invitation: (
        "created_at",
        "taken_at",
        "expires_at",
        "expired_at",
        "still_at",
        "joined_at",
        "active_at",
        "closed_at",
    ),
    Operation: ("started_at", "finished_at"),
    Entry: ("at",),
}
# Left out is what only takes long: megabytes, and thousands of rows that become rows of ours.
SLOW = {"huge", "deep", "many_rows"}
ACTS = ("list", "info", "create", "update", "connect", "close")
SURPRISES = ("join", "activate", "close", "remove", "extend", "claim")
ONE = st.integers(0, 5)


Surprise = Callable[..., None]


class Died(BaseException):
    """The process ends in the middle of a call: nothing of ours is run any more."""


class Account(Simulator):
    """An account whose clock may be another than ours, and whose lists may miss rows."""

    def __init__(self, key: str, seed: int, judge: Callable[[Account, int], None], surprise: Surprise) -> None:
        self.ahead = 0.0  # seconds
        self.surprises: deque[str] = deque()  # at the next calls of `info`, one each
        self.surprise = surprise
        super().__init__(api_key=key, seed=seed, clock=lambda: time.time() + self.ahead)
        self.left_out: set[int] = set()
        self.judge = judge

    def open_rows(self) -> list[RemoteRow]:
        return [row for row in super().open_rows() if row.id not in self.left_out]

    def age(self, seconds: float) -> None:
        for row in self._rows.values():
            row.created_at -= seconds

    def forget_plans(self) -> None:
        self.clear()
        self.surprises.clear()
        self.left_out.clear()
        self._moments.clear()

    def _info(self, call: Any) -> Any:
        what, number = self.surprises.popleft() if self.surprises else "", call.number("connection_id")
        self.surprise(self, number, what, is_answered=False) if what else None
        answer = super()._info(call)
        self.surprise(self, number, what, is_answered=True) if what else None
        return answer

    def _note_call(self, call: Any) -> None:
        super()._note_call(call)
        if call.operation == "close":
            self.judge(self, call.number("connection_id"))


class World:
    """What outlives a history: people, two keys, and how much has happened in all of them."""

    def __init__(self, agent: User, lead: User) -> None:
        self.agent, self.lead = agent, lead
        self.happened: Counter[str] = Counter()
        self.client: Client | None = None


def client_of(account: Account) -> Client:
    session = requests.Session()
    mount(session, account, url="http://127.0.0.1:1/v1")
    return Client(
        api_key=Secret(account.api_key),
        base_url="http://127.0.0.1:1/v1",
        link_hosts=AllowedHosts.parse(["go.getscreen.me"]),
        session=session,
        sleep=lambda seconds: None,
    )


@contextmanager
def undone() -> Iterator[None]:
    """Forget a history in the end. What must be committed by itself may be inside, as in a test of its own."""
    block = transaction.atomic()
    block._from_testcase = True
    with block:
        yield
        transaction.set_rollback(True)


class Life(RuleBasedStateMachine):
    """One history. Rules come again and again in an order that hypothesis chooses."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.undone = undone()
        self.undone.__enter__()
        self.accounts = [Account(f"key-{n}-not-real", n, self.judge, self.surprise) for n in (1, 2)]
        self.clients = [client_of(account) for account in self.accounts]
        self.turn = 0
        self.world.client = self.clients[0]
        self.lease = sync.Lease()
        self.is_person = False
        self.wrong: list[str] = []

    @property
    def account(self) -> Account:
        return self.accounts[self.turn]

    def ours(self, one: int) -> Invitation | None:
        rows = list(Invitation.objects.order_by("-pk")[:6])
        return rows[one % len(rows)] if rows else None

    def theirs(self, one: int) -> int | None:
        ids = sorted(row.id for row in self.account.rows().values() if row.is_open)[-6:]
        return ids[one % len(ids)] if ids else None

    def person(self, what: str, action: Callable[[], object]) -> None:
        """Let a person act; whatever is refused or fails is told to them."""
        was_person, self.is_person = self.is_person, True
        try:
            with suppress(GetscreenError, ActionRefused, PermissionDenied, Died):
                action()
                self.world.happened[what] += 1
        finally:
            self.is_person = was_person

    def judge(self, account: Account, number: int) -> None:
        """Look, as the vendor, at what the watcher is about to close."""
        if self.is_person:
            return
        self.world.happened["calls of close by expiry"] += 1
        remote = account.rows().get(number)
        row = Invitation.objects.filter(vendor_id=number, account=self.clients[self.turn].fingerprint).first()
        faults = {
            "of another account": account is not self.account,
            "of an unknown id": row is None,
            "in use or closed": remote is not None and remote.status != WAITING,
            "external": (remote is not None and remote.external) or (row is not None and row.is_external),
            **(self.faults_of(row, remote, account) if row is not None else {}),
        }
        self.wrong += [f"closed {number}: {what}" for what, is_so in faults.items() if is_so]

    def faults_of(self, row: Invitation, remote: RemoteRow | None, account: Account) -> dict[str, bool]:
        now = timezone.now()
        lifetime = row.expires_at - row.created_at if row.expires_at else timedelta.max
        age = timedelta(seconds=account.now() - remote.created_at) if remote else timedelta.max
        others = row.operations.filter(verb="expire", state__in=["unknown", "pending"])
        return {
            "not due": row.expires_at is None or row.expires_at > now,
            "younger at the vendor": age + 10 * timedelta(seconds=1) < lifetime,
            "claimed": row.taken_by_id is not None,
            "while another attempt is open": others.filter(started_at__gt=now - CHECKED_FOR).count() != 1,
        }

    # People.

    @initialize(hours=st.sampled_from([1, 24]), waiting=st.integers(1, 4), elsewhere=st.lists(st.sampled_from([0, 1])))
    def begin(self, hours: int, waiting: int, elsewhere: list[int]) -> None:
        Policy.load()
        Policy.objects.update(expires_after_hours=hours, creates_per_hour=0, connects_per_ten_minutes=0)
        self.round()
        for _ in range(waiting):
            self.create("")
        for status in elsewhere[:2]:
            self.add_elsewhere("Tilda", status)

    @rule(name=st.sampled_from(["", "Tilda", "Bo"]))
    def create(self, name: str) -> None:
        self.person("created", lambda: actions.create(by=self.world.agent, client_name=name))

    @rule(name=st.sampled_from(["", "Tilda"]), fault=st.sampled_from(["hang_after", "reset_after", "hang"]))
    def lose_a_create(self, name: str, fault: str) -> None:
        self.account.fail("create", fault)
        self.account.fail("list", "refused")
        self.create(name)

    @rule(one=ONE, hours=st.sampled_from(expiry.HOURS))
    def extend(self, one: int, hours: int) -> None:
        if row := self.ours(one):
            self.extend_one(row, hours)

    def extend_one(self, row: Invitation, hours: int) -> None:
        before = row.expires_at
        self.person("extended", lambda: expiry.extend(invitation=row, by=self.world.lead, hours=hours))
        latest = timezone.now() + expiry.FURTHEST + HOUR
        assert row.expires_at == before or (before and row.expires_at and before < row.expires_at < latest)

    @rule(one=ONE, is_taken=st.booleans())
    def claim_or_release(self, one: int, is_taken: bool) -> None:
        if row := self.ours(one):
            self.claim(row, self.world.agent if is_taken else None)

    def claim(self, row: Invitation, who: User | None) -> None:
        actions.save(row, taken_by=who, taken_by_name=who.display_name if who else "")

    @rule(one=ONE)
    def connect(self, one: int) -> None:
        if row := self.ours(one):
            self.person("connected", lambda: actions.connect(invitation=row, by=self.world.agent, record=False))

    @rule(one=ONE, name=st.sampled_from(["Tilda", "Cy"]))
    def rename(self, one: int, name: str) -> None:
        if row := self.ours(one):
            self.person("renamed", lambda: actions.rename(invitation=row, by=self.world.lead, client_name=name))

    @rule(one=ONE)
    def close(self, one: int) -> None:
        if row := self.ours(one):
            self.person("closed by people", lambda: actions.close(invitation=row, by=self.world.lead))

    @rule(hours=st.sampled_from(list(stale.AGES)))
    def close_stale_ones(self, hours: int) -> None:
        chosen = list(stale.candidates(self.world.lead, account="", hours=hours)[:3])
        if chosen:
            about: dict[str, Any] = {"by": self.world.lead, "token": new_token()}
            about["holders"] = {row.public_id: str(row.taken_by_id or "") for row in chosen}
            self.person("closed together", lambda: stale.close_all(chosen, **about))

    # Clients, and colleagues in the vendor's dashboard.

    @rule(name=st.sampled_from(["", "Tilda"]), status=st.sampled_from([0, 0, 1, 2]))
    def add_elsewhere(self, name: str, status: int) -> None:
        self.account.add(name, status=status)
        self.world.happened["made elsewhere"] += 1

    @rule(one=ONE, what=st.sampled_from(["join", "join", "leave", "activate", "close", "remove"]))
    def happen_elsewhere(self, one: int, what: str) -> None:
        number = self.theirs(one)
        if number is not None:
            getattr(self.account, what)(number)
            self.world.happened[f"{what} elsewhere"] += 1

    @rule(what=st.sampled_from(SURPRISES))
    def happen_at_the_next_look(self, what: str) -> None:
        """To whichever is looked at: before the answer what may happen anywhere, after it what the portal can know."""
        self.account.surprises.append(what)

    def surprise(self, account: Account, number: int, what: str, *, is_answered: bool) -> None:
        row = Invitation.objects.filter(vendor_id=number, account=self.clients[self.turn].fingerprint).first()
        if what in ("extend", "claim"):
            if is_answered and row is not None:
                self.extend_one(row, 8) if what == "extend" else self.claim(row, self.world.agent)
        elif not is_answered:
            with suppress(UnknownInvitation):
                getattr(account, what)(number)
                self.world.happened[f"{what} just before a look"] += 1

    # Time, administrators, faults.

    @rule(minutes=st.sampled_from([1, 10, 70, 70, 600, 1500, 1500, 5000]))
    def wait(self, minutes: int) -> None:
        self.let_pass(60.0 * minutes)

    @rule(
        minutes=st.sampled_from([70, 1500, 1500, 5000]),
        act=st.sampled_from(["", "", "close", "info", "list"]),
        name=st.sampled_from(["hang", "hang_after", "reset_after", "status_503", "status_402", "bad_status_line"]),
        what=st.sampled_from(["", "", *SURPRISES]),
    )
    def wait_until_it_expires(self, minutes: int, act: str, name: str, what: str) -> None:
        """The usual story, with trouble just when it matters."""
        self.wait(minutes)
        if what:
            self.account.surprises.append(what)
        if act:
            self.account.fail(act, name)
        self.watch(2)

    def let_pass(self, seconds: float) -> None:
        """Let everything, here and at the vendor, have happened so much earlier."""
        delta = timedelta(seconds=seconds)
        for model, names in TIMES.items():
            model.objects.update(**{name: F(name) - delta for name in names})  # type: ignore[attr-defined]
        pass_time(seconds)
        for account in self.accounts:
            account.age(seconds)

    @rule(hours=st.sampled_from([-30, -2, 2, 30]))
    def let_our_clock_jump(self, hours: int) -> None:
        """Ours alone: the vendor's goes on, so that it falls behind as seen from here, or gets ahead."""
        if abs(self.account.ahead - 3600.0 * hours) > MOST_APART:
            return
        self.let_pass(3600.0 * hours)
        for account in self.accounts:
            account.ahead -= 3600.0 * hours
        self.world.happened["jumps of the clock"] += 1

    @rule(hours=st.sampled_from([-30, 30]))
    def create_while_our_clock_is_wrong(self, hours: int) -> None:
        self.let_our_clock_jump(hours)
        self.create("")
        self.let_our_clock_jump(-hours)
        self.watch(1)

    @rule(hours=st.sampled_from([0, 1, 24]))
    def change_the_policy(self, hours: int) -> None:
        before = list(Invitation.objects.order_by("pk").values_list("expires_at"))
        Policy.objects.update(expires_after_hours=hours)
        assert list(Invitation.objects.order_by("pk").values_list("expires_at")) == before

    @rule()
    def change_the_key(self) -> None:
        self.turn = 1 - self.turn
        self.world.client = self.clients[self.turn]

    @rule(act=st.sampled_from(ACTS), name=st.sampled_from(sorted(set(FAULTS) - SLOW)), times=st.integers(1, 3))
    def plan_a_fault(self, act: str, name: str, times: int) -> None:
        if act in TABLE[name].fits:
            self.account.fail(act, name, times=times)
            self.world.happened["faults"] += times

    @rule(act=st.sampled_from(["create", "close", "info"]))
    def die_in_the_next(self, act: str) -> None:
        self.account.after(act, self.die)

    def die(self) -> None:
        raise Died

    @rule(one=ONE)
    def leave_out_of_lists(self, one: int) -> None:
        number = self.theirs(one)
        self.account.left_out ^= {number} if number is not None else set()

    # The watcher.

    @rule(times=st.integers(1, 4))
    def watch(self, times: int) -> None:
        for _ in range(times):
            self.round()

    def round(self) -> None:
        self.lease.take()
        operations.abandon_interrupted()
        with suppress(Died):
            sync.run_round(self.clients[self.turn], lease=self.lease)
        self.world.happened["rounds"] += 1

    @invariant()
    def nothing_wrong_was_closed(self) -> None:
        assert self.wrong == []

    def teardown(self) -> None:
        try:
            self.end_well()
        finally:
            self.world.happened["histories"] += 1
            self.world.happened["expired"] += Invitation.objects.filter(expired_at__isnull=False).count()
            self.undone.__exit__(None, None, None)

    def end_well(self) -> None:
        """Without faults whatever is due is closed in the end, every operation has an outcome, and the log is whole."""
        self.let_pass(25 * 3600.0)
        self.watch(2)
        for account in self.accounts:
            account.forget_plans()
        for _ in range(4):
            self.let_pass(23 * 3600.0)
            self.round()
        fingerprint = self.clients[self.turn].fingerprint
        left = Invitation.objects.filter(account=fingerprint, status=Status.WAITING, is_external=False, taken_by=None)
        # By the vendor's clock as well, which may have been the slower one.
        left = left.filter(expires_at__lt=timezone.now() - timedelta(seconds=MOST_APART) - HOUR)
        for _ in range(left.count()):
            self.round()
        assert self.wrong == []
        assert not left.exists()
        assert not Operation.objects.filter(state=Operation.State.PENDING).exists()
        for op in Operation.objects.filter(verb="expire"):
            told = list(Event.objects.filter(reference=op.reference).order_by("seq").values_list("phase", flat=True))
            assert told[0] == "intent"
            assert set(told[1:]) & {"outcome", "reconciled"}
        report = Verification(None, []).run()
        assert [finding for finding in report.findings if finding.grade == Grade.TAMPERED] == []


@pytest.fixture
def world(agent, lead, monkeypatch) -> World:
    world = World(agent, lead)
    monkeypatch.setattr(configured, "client", lambda: world.client)
    monkeypatch.setattr(configured, "watching_client", lambda: world.client)
    return world


def test_expiry_closes_nothing_in_use_in_any_history(world):
    machine = type("Bound", (Life,), {"world": world})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=HISTORIES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        ),
    )
    happened = world.happened
    assert happened["histories"] >= HISTORIES
    told = ", ".join(f"{what} {number}" for what, number in sorted(happened.items()) if what != "histories")
    batteries.report(
        f"life of invitations: {happened['histories']} random histories of at most {STEPS} steps, "
        f"wrong closes 0 ({told})"
    )
