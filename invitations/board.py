"""The board: which rows, in which groups and order, for one viewer and one filter.

Counts and pages are the database's work, so that thousands of open invitations cost little more than
one page of them. What is rendered is shared by everybody with the same rights, sight and filter.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db.models import FETCH_RAISE, Case, Count, F, IntegerField, Q, Value, When
from django.http import QueryDict
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from invitations import assignment, urgency
from invitations.fragments import Kept, Version
from invitations.health import Health
from invitations.models import (
    RECENTLY_CLOSED,
    Invitation,
    InvitationQuerySet,
    Policy,
    Snapshot,
    Status,
    sight_of,
)
from invitations.presentation import Row, tag_of
from invitations.teams import names
from invitations.unsettled import Shown, on_board
from portal.accounts.access import Access
from portal.accounts.models import User
from portal.templatetags.viewer import Shared

TABS: tuple[tuple[str, str | Promise], ...] = (
    ("needs", _("Needs you")),
    ("waiting", _("Waiting")),
    ("session", _("In session")),
    ("all", _("All")),
)
GROUPS: dict[str, tuple[str | Promise, str | Promise]] = {
    "needs": (_("Needs you"), _("longest wait first")),
    "taken": (_("Taken care of"), _("longest wait first")),
    "waiting": (_("Waiting for client"), _("newest first")),
    "session": (_("In session"), ""),
    "other": (_("Unknown and closed"), _("closed rows leave in 15 min")),
}
KINDS = list(GROUPS)
KIND_OF = {Status.JOINED: "needs", Status.WAITING: "waiting", Status.ACTIVE: "session"}
DENSE_FROM = 20
PAGE = 200  # rows
CALLED = 5  # clients by name in one answer for a hidden page
# A full page of the board is about half a megabyte, a row 3 kB.
boards: Kept[Shared] = Kept(32)
row_texts: Kept[str] = Kept(1_000)
surroundings: Kept[bytes] = Kept(32)
counts: Kept[dict[str, int]] = Kept(32)
waiters: Kept[Waiting] = Kept(32)
SEARCHED = ("client_name", "ticket", "created_by_name", "taken_by_name")


@dataclass(frozen=True)
class Tab:
    key: str
    label: str | Promise
    count: int
    url: str
    is_current: bool


@dataclass(frozen=True)
class Group:
    kind: str
    title: str | Promise
    hint: str | Promise
    count: int
    rows: list[str]  # rendered


@dataclass(frozen=True)
class Waiting:
    """Who waits for anybody, and by their primary key for whom of those who have been given a client."""

    needs: int
    joined: list[dict[str, Any]]
    urgent: list[dict[str, Any]]
    given: dict[int | None, list[dict[str, Any]]]


class Board:
    """The board as one person asked for it. Nothing but its tag is worked out before it is needed."""

    def __init__(
        self, *, user: User, query: QueryDict, snapshot: Snapshot, policy: Callable[[], Policy], health: Health
    ) -> None:
        self.user = user
        self.may = Access(user)
        self.sight = sight_of(user, snapshot)
        self.snapshot = snapshot
        self.policy_of = policy
        self.health = health
        self.tab = query.get("f", "all") if query.get("f") in dict(TABS) else "all"
        self.whose = "mine" if query.get("whose") == "mine" else "team"
        self.team = self.chosen_team(query.get("team", ""))
        self.query = query.get("q", "").replace("\x00", "").strip()[:100]
        self.wanted_page = int(number) if (number := query.get("page", ""))[:4].isdecimal() and len(number) < 5 else 1
        self.poll_seconds = settings.POLL_SECONDS
        self.at_least: int | None = None  # the revision that the polling page has, and that will do in a rush
        self.recently_closed_minutes = int(RECENTLY_CLOSED / timedelta(minutes=1))

    @cached_property
    def policy(self) -> Policy:
        return self.policy_of()

    @property
    def ask_recording(self) -> bool:
        return self.policy.recording == Policy.Recording.ASK

    def params(self, **changes: str) -> dict[str, str]:
        """Return the filter as query parameters, leaving out what is the default."""
        team = str(self.team) if self.team else ""
        wanted = {"f": self.tab, "whose": self.whose, "team": team, "q": self.query} | changes
        defaults = {"f": "all", "whose": "team", "team": "", "q": "", "page": "1"}
        return {name: value for name, value in wanted.items() if value != defaults[name]}

    def url(self, name: str = "board", **changes: str) -> str:
        params = self.params(**changes)
        return reverse(name, query=params) if params else reverse(name)

    @property
    def rows_url(self) -> str:
        return self.url("board_rows", page=str(self.wanted_page))

    @property
    def waiting_url(self) -> str:
        return self.url("board_waiting", f="all", q="")

    @property
    def clear_url(self) -> str:
        return reverse("board")

    @property
    def search_params(self) -> list[tuple[str, str]]:
        return [(name, value) for name, value in self.params().items() if name != "q"]

    @property
    def whose_urls(self) -> dict[str, str]:
        return {whose: self.url(whose=whose) for whose in ("team", "mine")}

    def chosen_team(self, text: str) -> int | None:
        """Return the team whose rows alone are wanted: one of the viewer's own, or any for who sees everything."""
        number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
        return number if self.sight.oversees or number in self.sight.teams else None

    @cached_property
    def teams(self) -> dict[int, str]:
        return names() if self.snapshot.has_teams else {}

    @property
    def team_choices(self) -> list[tuple[str, str, bool]]:
        """Return name, address and whether it is chosen of each team to filter by; nothing where there is no choice."""
        own = [pk for pk in self.teams if self.sight.oversees or pk in self.sight.teams]
        if len(own) < 2:
            return []
        found = [(self.teams[pk], self.url(team=str(pk)), pk == self.team) for pk in own]
        return [(str(_("All teams")), self.url(team=""), self.team is None), *found]

    @property
    def team_name(self) -> str:
        return self.teams.get(self.team, "") if self.team else ""

    @property
    def is_filtered(self) -> bool:
        return bool(self.params())

    @cached_property
    def scope_tag(self) -> str:
        """Return what differs whenever the fragment would look different for another reason than a new revision.

        People with the same rights who see the same rows share it. What time alone changes moves the revision as well.
        """
        return tag_of(
            *scope_of(self.may),
            *self.sight.facts,
            self.team,
            self.user.pk if self.whose == "mine" else "",
            self.tab,
            self.wanted_page,
            self.query,
            get_language(),
            settings.RELEASE,
            *self.health.facts,
        )

    @property
    def tag(self) -> str:
        """Return the polling tag of the board as it is now."""
        return revision_tag(self.snapshot.revision, self.scope_tag)

    def polled_tag(self, page_has: str, *, can_wait: bool) -> str:
        """Return the tag of the board that a page polls which has the one tagged `page_has`.

        While changes come in a row that may be an earlier one than now, if that page `can_wait`, but never one
        before what it has.
        """
        if page_has == self.tag:
            return page_has  # without rendering anything
        self.at_least = revision_in(page_has) if can_wait else None
        return revision_tag(self.shared.revision, self.scope_tag)

    @cached_property
    def shared(self) -> Version[Shared]:
        """The polled element, rendered once for everybody. A new list from the vendor is shown at once."""
        return boards.get(
            self.scope_tag,
            lambda: Shared(self.render("board")),
            revision=self.snapshot.revision,
            at_least=self.at_least,
            while_same=self.snapshot.good_at,
        )

    @property
    def html(self) -> str:
        return self.shared.value.text_for(self.user.pk)

    @property
    def fragment(self) -> bytes:
        """The answer to a poll: the polled element, and before it what changes with it elsewhere on the page.

        That is the same for everybody with this tag as well, but for the time of the last good list, which no tag has.
        """
        key = (self.scope_tag, self.snapshot.good_at)
        about = {"revision": self.snapshot.revision, "at_least": self.shared.revision}
        around = surroundings.get(key, lambda: self.render("around").encode(), **about).value
        return around + self.shared.value.for_person(self.user.pk)

    def render(self, part: str) -> str:
        # Without a request and a viewer, so that nothing of this one person can get in.
        site = {"name": self.policy.helpdesk_name}
        context = {"board": self, "may": self.may, "health": self.health, "portal": site}
        return render_to_string(f"invitations/board.html#{part}", context)

    def row_html(self, row: Row) -> str:
        """One row as everybody with these rights sees it; of a changed board most rows are as they were."""
        key = (*row.facts, *scope_of(self.may), self.policy.recording, self.policy.previews)
        key += (self.policy.shared_link, get_language())
        return row_texts.get(key, lambda: self.render_row(row)).value

    def render_row(self, row: Row) -> str:
        return render_to_string("invitations/row.html", {"row": row, "invitation": row.invitation, "board": self})

    @cached_property
    def scope(self) -> InvitationQuerySet:
        """Every row of everybody's, a team's or the viewer's own board, before tab and search."""
        rows = Invitation.objects.visible_to(self.user, self.snapshot).on_board(timezone.now())
        if self.team:
            rows = rows.filter(team=self.team)
        if self.whose == "mine":
            rows = rows.filter(Q(created_by=self.user) | Q(taken_by=self.user))
        return rows.annotate(kind=kind_of(self.snapshot.account))

    @property
    def waiting(self) -> dict[str, Any]:
        """How many wait for anybody or for the viewer, the last of them to come, and who waits too long, for alerts."""
        found = waiters.get(self.scope_tag, self.find_waiting, revision=self.snapshot.revision).value
        mine = found.given.get(self.user.pk, [])
        return {"needs": found.needs + len(mine), "joined": found.joined + mine[:CALLED], "urgent": found.urgent}

    def find_waiting(self) -> Waiting:
        """Look once for everybody with this tag, also for those who wait for one person alone."""
        joined = self.scope.filter(joined_at__isnull=False)
        anybody = joined.filter(of_kind("needs"))
        urgent = anybody.filter(urgency.urgent(self.policy, timezone.now()))
        given: dict[int | None, list[dict[str, Any]]] = {}
        for row in joined.filter(of_kind("taken"), assignment.CALLS_HOLDER).order_by("-joined_at"):
            given.setdefault(row.taken_by_id, []).append(called(row, "-given"))
        return Waiting(
            self.needs,
            [called(row) for row in anybody.order_by("-joined_at")[:CALLED]],
            list(map(called, urgent.order_by("joined_at")[:CALLED])) if self.urgent else [],
            given,
        )

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many rows each tab has, and how many of all are open."""
        return counts.get(self.scope_tag, lambda: self.counted(self.scope), revision=self.snapshot.revision).value

    @cached_property
    def found(self) -> dict[str, int]:
        """How many rows of each group the search found."""
        return self.counted(self.scope.filter(self.matching)) if self.query else self.counts

    def counted(self, rows: InvitationQuerySet) -> dict[str, int]:
        kinds = {kind: Count("pk", filter=of_kind(kind)) for kind in KINDS}
        late = of_kind("needs") & urgency.urgent(self.policy, timezone.now())
        counted: dict[str, int] = rows.aggregate(
            **kinds, all=Count("pk"), open=Count("pk", filter=~Q(status=Status.CLOSED)), urgent=Count("pk", filter=late)
        )
        return counted

    @property
    def total(self) -> int:
        return self.counts["open"]

    @property
    def needs(self) -> int:
        return self.counts["needs"]

    @property
    def urgent(self) -> int:
        return self.counts["urgent"]

    @property
    def tabs(self) -> list[Tab]:
        return [Tab(key, label, self.counts[key], self.url(f=key), key == self.tab) for key, label in TABS]

    @property
    def pages(self) -> int:
        return max(1, -(-self.found[self.tab] // PAGE))

    @property
    def page(self) -> int:
        return min(max(self.wanted_page, 1), self.pages)

    @property
    def first_on_page(self) -> int:
        return (self.page - 1) * PAGE + 1

    @property
    def last_on_page(self) -> int:
        return min(self.page * PAGE, self.found[self.tab])

    @property
    def found_total(self) -> int:
        return self.found[self.tab]

    @property
    def page_urls(self) -> dict[str, str]:
        urls = {}
        if self.page > 1:
            urls["before"] = self.url(page=str(self.page - 1))
        if self.page < self.pages:
            urls["after"] = self.url(page=str(self.page + 1))
        return urls

    @cached_property
    def rows(self) -> list[Row]:
        """One page of rows, those who wait for a person first."""
        rows = self.scope if self.tab == "all" else self.scope.filter(of_kind(self.tab))
        if self.query:
            rows = rows.filter(self.matching)
        start = (self.page - 1) * PAGE
        ordered = rows.order_by(*IN_ORDER).defer("note").fetch_mode(FETCH_RAISE)[start : start + PAGE]
        teams = self.teams if len(self.teams) > 1 else {}
        about = (self.may, self.policy, self.snapshot.account, self.health.why_not)
        return [Row(row, *about, team=teams.get(row.team_id, "") if row.team_id else "") for row in ordered]

    @cached_property
    def groups(self) -> list[Group]:
        groups = []
        for number, (kind, (title, hint)) in enumerate(GROUPS.items()):
            rows = [self.row_html(row) for row in self.rows if row.invitation.kind == number]  # type: ignore[attr-defined]
            if rows:
                groups.append(Group(kind, title, hint, self.found[kind], rows))
        return groups

    @property
    def unsettled(self) -> Shown:
        return on_board(self.sight)

    @property
    def is_dense(self) -> bool:
        return self.counts["all"] > DENSE_FROM

    @property
    def matching(self) -> Q:
        """What the search looks for: client, ticket, agent or (where shown) code.

        A regular expression, because SQLite compares without case only in English otherwise.
        """
        found = Q()
        for field in SEARCHED:
            found |= Q(**{f"{field}__iregex": re.escape(self.query)})
        digits = "".join(self.query.split())
        return found | Q(code__contains=digits) if self.may.see_codes and digits.isdecimal() else found


def revision_tag(revision: int, scope: str) -> str:
    return f"{revision}-{scope}"


def revision_in(tag: str) -> int:
    """Return the revision that a polling tag names; zero for what is none of ours."""
    number = tag.partition("-")[0]
    return int(number) if number.isascii() and number.isdecimal() and len(number) < 19 else 0


def forget() -> None:
    """Drop all that this process has kept: for tests, whose databases begin anew with the same revisions."""
    for kept in (boards, row_texts, surroundings, counts, waiters):
        kept.forget()


def called(row: Invitation, given: str = "") -> dict[str, Any]:
    """Return what a page needs to call out a client: anew, where somebody is given one who has joined before."""
    return {
        "id": row.public_id + given,
        "since": int(row.joined_at.timestamp()) if row.joined_at else 0,
        "name": row.display_name,
        "url": reverse("invitation", kwargs={"public_id": row.public_id}),
    }


def scope_of(may: Access) -> tuple[str, ...]:
    """Return what decides which rows and buttons a person sees, the same for everybody who sees the same."""
    return tuple(name for name, is_allowed in sorted(vars(may).items()) if is_allowed)


def kind_of(account: str) -> Case:
    """Return a row's group as its place in GROUPS. Rows of another API key cannot be acted on."""
    taken = When(~Q(taken_by_name=""), status=Status.JOINED, then=Value(KINDS.index("taken")))
    numbers = [taken, *(When(status=status, then=Value(KINDS.index(kind))) for status, kind in KIND_OF.items())]
    foreign = [When(~Q(account=account), then=Value(KINDS.index("other")))] if account else []
    return Case(*foreign, *numbers, default=Value(KINDS.index("other")), output_field=IntegerField())


def of_kind(kind: str) -> Q:
    return Q(kind=KINDS.index(kind))


def when_joined(then: Any, default: Any = None) -> Case:
    return Case(When(status=Status.JOINED, then=then), default=default)


# Nobody there first, then the longest wait; the rest by age, the newest first.
IN_ORDER = (
    "kind",
    when_joined(F("joined_at")),
    "-created_at",
    "-pk",
)
