"""A believable board that lives: clients join, are served or give up, colleagues elsewhere invite.

Responsible for invented people and for when something happens to them. Refuses to know how a change is
made and how it is shown.
"""

from __future__ import annotations

import random
import threading

from portal.getscreen.simulator.account import ACTIVE, JOINED, SYSTEMS, WAITING, Row
from portal.getscreen.simulator.app import Simulator

REMAINING = 87
MOST_ROWS = 15
MINUTE = 60.0

# Name, status, system, minutes since the invitation was made.
BOARD = (
    ("Tamsin Okoro, Accounts", JOINED, "win", 4),
    ("Bo Lindqvist", JOINED, "mac", 11),
    ("Harbour Street Dental, front desk", WAITING, "", 2),
    ("Priya Venn", WAITING, "", 17),
    ("Warehouse tablet 3", WAITING, "", 34),
    ("Old library terminal", WAITING, "", 92),
    ("Marek Dolin (printer again)", ACTIVE, "win", 23),
    ("Ines Calloway", ACTIVE, "android", 48),
)
NAMES = (
    "Ada Fenwick",
    "Kiosk, north entrance",
    "Joris Haan",
    "Lucia Ferrante, payroll",
    "Reception laptop",
    "Oyelaran & Sons",
    "Noor Haddad",
    "Workshop bench 2",
    "Dilys Prothero",
    "Tomasz Wrona",
    "",
)
# How long something lasts, in seconds: at least, at most.
UNTIL_JOINED = (6.0, 12.0)
UNTIL_SEEDED_JOINED = (3 * MINUTE, 12 * MINUTE)
UNTIL_LEFT = (4 * MINUTE, 9 * MINUTE)
UNTIL_CLOSED = (3 * MINUTE, 10 * MINUTE)
UNTIL_ENDED = (4 * MINUTE, 12 * MINUTE)
BETWEEN_INVITATIONS = (90.0, 4 * MINUTE)


def seed(simulator: Simulator) -> None:
    """Fills an empty account with the board and the sessions that already run."""
    simulator.remaining = REMAINING
    for name, status, system, minutes in BOARD:
        simulator.add(name, status, system, created_at=simulator.now() - minutes * MINUTE)


class Life:
    """What happens on the board, decided by one dice and the account's clock.

    Each row has one moment at which its present status ends, drawn when the status is first seen.
    """

    def __init__(self, simulator: Simulator, dice: random.Random | None = None) -> None:
        self._simulator = simulator
        self._dice = dice or random.Random()  # noqa: S311 - an invented life needs no secrets
        self._ends: dict[tuple[int, float], float] = {}
        self._next_invitation = simulator.now() + self._draw(BETWEEN_INVITATIONS)

    def run(self, stopping: threading.Event, every: float = 1.0) -> None:
        """Lives until told to stop."""
        while not stopping.wait(every):
            self.step()

    def step(self) -> None:
        """Everything that is due by now happens."""
        now = self._simulator.now()
        rows = self._simulator.open_rows()
        for row in rows:
            if self._end_of(row) <= now:
                self._end(row)
        self._invite_elsewhere(now)
        self._make_room()

    def _end_of(self, row: Row) -> float:
        """When the row's present status ends. A status is known by when it began."""
        present = (row.id, row.changed_at)
        if present not in self._ends:
            self._ends[present] = row.changed_at + self._draw(self._span(row))
        return self._ends[present]

    def _span(self, row: Row) -> tuple[float, float]:
        if row.status == JOINED:
            return UNTIL_LEFT
        if row.status == ACTIVE:
            return UNTIL_ENDED
        if row.has_left:
            return UNTIL_CLOSED
        return UNTIL_SEEDED_JOINED if row.external else UNTIL_JOINED

    def _end(self, row: Row) -> None:
        if row.status == JOINED:
            self._simulator.leave(row.id)
        elif row.status == ACTIVE or row.has_left:
            self._simulator.close(row.id)
        else:
            self._simulator.join(row.id, self._dice.choice(SYSTEMS))

    def _invite_elsewhere(self, now: float) -> None:
        if now < self._next_invitation:
            return
        self._next_invitation = now + self._draw(BETWEEN_INVITATIONS)
        if len(self._simulator.open_rows()) < MOST_ROWS - 3:
            self._simulator.add(self._dice.choice(NAMES))

    def _make_room(self) -> None:
        """The oldest waiting invitations are closed elsewhere, those not made by the portal first."""
        rows = self._simulator.open_rows()
        waiting = [row for row in rows if row.status == WAITING]
        waiting.sort(key=lambda row: (not row.external, row.created_at))
        for row in waiting[: max(0, len(rows) - MOST_ROWS)]:
            self._simulator.close(row.id)

    def _draw(self, span: tuple[float, float]) -> float:
        return self._dice.uniform(*span)
