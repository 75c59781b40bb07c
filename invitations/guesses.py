"""How many codes nobody has issued may be tried: so few that guessing is hopeless, however many networks do it.

Only unknown codes count. A network that has tried too many waits; where all networks together have, typed codes are
taken only from networks from which a client went on lately. Links that were sent are never refused
(docs/decisions/0022 has the numbers).
"""

from __future__ import annotations

from datetime import timedelta

from django.db.models.functions import Now
from django.http import HttpRequest

from portal.accounts import tallies, tries
from portal.accounts.models import Tally
from portal.accounts.tallies import Limit
from portal.accounts.tries import Counter, Reached
from portal.audit.origin import wider_network_of

WINDOW = 10 * 60
NETWORK = Limit("join_code.network", 20, WINDOW)  # one IPv4 address, or a /64
WIDER = Limit("join_code.wider_network", 60, WINDOW)  # a /24, or the /48 of which one customer has 65,536 networks
EVERYWHERE = Limit("join_code.everywhere", 200, WINDOW)
FAMILIAR = Limit("join_code.familiar", 1, 30 * 24 * 60 * 60)  # a mark that lasts so long, not a limit


def open_to(request: HttpRequest) -> list[Counter]:
    """Return what an unknown code from there counts against. Raises Reached where none may be tried now. Only reads."""
    own = [
        tries.counter(NETWORK, tries.network(request)),
        tries.counter(WIDER, wider_network_of(request.META.get("REMOTE_ADDR", ""))),
    ]
    everywhere = tries.counter(EVERYWHERE)
    reached = dict(tries.reached_of([*own, everywhere]))
    if everywhere in reached and is_familiar(request):
        del reached[everywhere]
        counters = own
    else:
        counters = [*own, everywhere]
    if reached:
        raise Reached(max(reached.values()))
    return counters


def count(counters: list[Counter]) -> None:
    """Count an unknown code. The one that reaches a limit is an event, once for its window."""
    tries.fail(counters)


def remember(request: HttpRequest) -> None:
    """Note that a client with a right code went on from this network, for so long from now."""
    mark = familiar(request)
    if not tallies.take(mark.key, mark.limit.allowed, mark.limit.seconds).allowed:
        Tally.objects.filter(key=mark.key).update(ends_at=Now() + timedelta(seconds=mark.limit.seconds))


def is_familiar(request: HttpRequest) -> bool:
    return Tally.objects.filter(key=familiar(request).key, count__gt=0, ends_at__gt=Now()).exists()


def familiar(request: HttpRequest) -> Counter:
    return tries.counter(FAMILIAR, tries.network(request))
