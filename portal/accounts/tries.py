"""How often somebody may fail before they have to wait, and who is counted together.

Only failures count: an office shares one address, and a sign-in that works gives its try back. Nothing is looked up
about the person, so that a limit says nothing about whether there is one. A try is counted before a password is
hashed and refused without hashing, so that many at once get no more than one after the other.
"""

from __future__ import annotations

import math
import time
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.db import DatabaseError, OperationalError, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.crypto import salted_hmac
from django.utils.translation import ngettext_lazy

from portal import audit
from portal.accounts import tallies
from portal.accounts.hashing import Crowded
from portal.accounts.models import Tally
from portal.accounts.tallies import Limit
from portal.audit.kinds import Result
from portal.audit.origin import network_of

HOUSEKEEPING = 300.0  # seconds between two removals of what is over, in one process
_cleaned_at = -HOUSEKEEPING


QUARTER = 15 * 60
HOUR = 60 * 60
# A name is what was typed: user name and e-mail address of one person count apart, or one would betray the other.
SIGN_IN_NAME = Limit("sign_in.name", 5, QUARTER)  # one name from one network
SIGN_IN_NETWORK = Limit("sign_in.network", 30, QUARTER)
SIGN_IN_EVERYWHERE = Limit("sign_in.everywhere", 30, QUARTER)  # one name from all networks together
SIGN_IN_DEVICE = Limit("sign_in.device", 10, QUARTER)  # a known device, in place of the three above
SECOND_STEP = Limit("second_step.person", 5, QUARTER)
SECOND_STEP_DEVICE = Limit("second_step.device", 5, QUARTER)
CONFIRMATION = Limit("confirmation.person", 5, QUARTER)  # their password asked again
PASSKEY = Limit("passkey.network", 30, QUARTER)
LINK = Limit("link.network", 20, QUARTER)  # one-time links and those from mails
# Requests for mails, not failures: a mailbox must not be flooded.
RESET_NETWORK = Limit("reset.network", 20, HOUR)
RESET_ADDRESS = Limit("reset.address", 3, HOUR)  # one address asked for from one network
RESET_EVERYWHERE = Limit("reset.everywhere", 10, HOUR)
LIMITS = (
    SIGN_IN_NAME,
    SIGN_IN_NETWORK,
    SIGN_IN_EVERYWHERE,
    SIGN_IN_DEVICE,
    SECOND_STEP,
    SECOND_STEP_DEVICE,
    CONFIRMATION,
    PASSKEY,
    LINK,
    RESET_NETWORK,
    RESET_ADDRESS,
    RESET_EVERYWHERE,
)


class Reached(ValidationError):
    """A limit is reached. Nothing was checked; forms show how long to wait."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        minutes = math.ceil(seconds / 60)
        message = ngettext_lazy(
            "Too many failed attempts. Wait %(minutes)d minute, or ask your administrator.",
            "Too many failed attempts. Wait %(minutes)d minutes, or ask your administrator.",
            "minutes",
        )
        super().__init__(message, code="too_many_login_attempts", params={"minutes": minutes})


class Counter(NamedTuple):
    """A limit, and whose tries it counts. The key tells nothing to who reads the database without the portal's key."""

    limit: Limit
    key: str


def counter(limit: Limit, *whose: str) -> Counter:
    tag = salted_hmac(f"portal.accounts.tries.{limit.name}", "\n".join(whose), algorithm="sha256").hexdigest()
    return Counter(limit, f"{limit.name}:{tag}")


def network(request: HttpRequest) -> str:
    """Return the network of the address that the trusted-proxies middleware has settled."""
    return network_of(request.META.get("REMOTE_ADDR", ""))


def folded(name: str) -> str:
    """Return one form for all spellings of a name that a database could take for the same."""
    text = unicodedata.normalize("NFKC", name.strip()[:254]).upper().casefold()
    return unicodedata.normalize("NFKC", text)


def of_sign_in(request: HttpRequest, name: str) -> list[Counter]:
    here, name = network(request), folded(name)
    return [
        counter(SIGN_IN_NAME, name, here),
        counter(SIGN_IN_NETWORK, here),
        counter(SIGN_IN_EVERYWHERE, name),
    ]


def of_reset(request: HttpRequest, address: str) -> list[Counter]:
    here, address = network(request), folded(address)
    return [
        counter(RESET_ADDRESS, address, here),
        counter(RESET_NETWORK, here),
        counter(RESET_EVERYWHERE, address),
    ]


def of_links(request: HttpRequest) -> list[Counter]:
    return [counter(LINK, network(request))]


# --- counting ----------------------------------------------------------------------------------------


class Attempt:
    """A try that counts as failed until it says otherwise."""

    has_failed = True

    def succeed(self) -> None:
        self.has_failed = False


@contextmanager
def counted(counters: Sequence[Counter], **about: Any) -> Iterator[Attempt]:
    """Try something once. Raises Reached before anything is done where a limit is reached.

    An error that is not the person's, such as a crowded portal, gives the try back. The failure that reaches a
    limit leaves one event with `about`.
    """
    take(counters)
    attempt = Attempt()
    try:
        yield attempt
    except ValidationError:
        note(counters, about)
        raise
    except BaseException:
        give_back(counters)
        raise
    if attempt.has_failed:
        note(counters, about)
    else:
        give_back(counters)


def refuse_reached(counters: Sequence[Counter]) -> None:
    """Raise Reached if a limit is reached. Reads only: a flood of refused tries must not keep others from writing."""
    if reached := reached_of(counters):
        raise Reached(max(wait for _, wait in reached))


def reached_of(counters: Sequence[Counter]) -> list[tuple[Counter, int]]:
    """Return the counters that are at their limit, with the seconds that are left."""
    by_key = {each.key: each for each in counters}
    rows = Tally.objects.filter(key__in=by_key, ends_at__gt=Now()).values_list("key", "count", F("ends_at") - Now())
    return [
        (by_key[key], min(max(1, math.ceil(left.total_seconds())), by_key[key].limit.seconds))
        for key, count, left in rows
        if count >= by_key[key].limit.allowed
    ]


def take(counters: Sequence[Counter]) -> None:
    """Count one try everywhere or nowhere. Raises Reached, and Crowded where others kept the database busy for long."""
    refuse_reached(counters)
    try:
        clean()
        take_all(counters)
    except OperationalError:
        raise Crowded from None


@transaction.atomic()
def take_all(counters: Sequence[Counter]) -> None:
    for each in counters:  # always in the order of their limits, so that no two tries wait for each other
        taken = tallies.take(each.key, each.limit.allowed, each.limit.seconds)
        if not taken.allowed:
            raise Reached(min(taken.wait_seconds, each.limit.seconds))


def spend(counters: Sequence[Counter], **about: Any) -> None:
    """Count one of what is limited also where it works, such as mails. Raises Reached."""
    take(counters)
    note(counters, about)


def fail(counters: Sequence[Counter], **about: Any) -> None:
    """Count a failure that has happened. It stays one where it cannot be counted."""
    with suppress(Reached, Crowded, DatabaseError):
        spend(counters, **about)


def give_back(counters: Sequence[Counter]) -> None:
    """Undo `take`. Where that cannot be written the try stays counted, and what it was for is not undone by it."""
    with suppress(DatabaseError), transaction.atomic():
        for each in counters:
            tallies.give_back(each.key)


def note(counters: Sequence[Counter], about: dict[str, Any]) -> None:
    """Record each limit that this failure has reached, once for its window."""
    with suppress(DatabaseError):
        record_reached(counters, about)


def record_reached(counters: Sequence[Counter], about: dict[str, Any]) -> None:
    for each, wait in reached_of(counters):
        if tallies.take(f"{each.key}:told", 1, wait).allowed:
            audit.record_anyway("limit.reached", result=Result.DENIED, facts=each.limit.facts, **about)


def clean() -> None:
    """Remove what is over, now and then."""
    global _cleaned_at
    now = time.monotonic()
    if now - _cleaned_at >= HOUSEKEEPING:
        _cleaned_at = now
        Tally.objects.filter(ends_at__lte=Now()).delete()


def page(request: HttpRequest, reached: Reached) -> HttpResponse:
    """Return the page that says how long to wait."""
    minutes = math.ceil(reached.seconds / 60)
    response = render(request, "429.html", {"minutes": minutes}, status=429)
    response.headers["Retry-After"] = str(reached.seconds)
    return response
