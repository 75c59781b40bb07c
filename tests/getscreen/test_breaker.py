"""The breaker stops asking a service in trouble, and finds out gently when it is back."""

from __future__ import annotations

import pytest

from portal.getscreen import configured
from portal.getscreen.breaker import Breaker
from portal.getscreen.errors import GetscreenError, Unavailable


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock)


def end(breaker: Breaker, *outcomes: bool) -> None:
    for well in outcomes:
        breaker.ended(well=well)


def is_open(breaker: Breaker) -> bool:
    return breaker.wait(is_probe=False) > 0


def test_five_failures_in_a_row_open_it(breaker):
    end(breaker, False, False, False, False)
    assert not is_open(breaker)
    end(breaker, False)
    assert is_open(breaker)


def test_a_success_between_starts_the_count_anew(breaker):
    end(breaker, False, False, False, False, True, False, False, False, False)
    assert not is_open(breaker)


def test_half_of_ten_calls_within_half_a_minute_open_it(breaker):
    end(breaker, *[True, False] * 4, True)
    assert not is_open(breaker)
    end(breaker, False)
    assert is_open(breaker)


def test_old_calls_do_not_count(breaker, clock):
    end(breaker, *[True, False] * 4)
    clock.now += 31
    end(breaker, True, False)
    assert not is_open(breaker)


def test_it_stays_open_for_about_fifteen_seconds(breaker, clock):
    end(breaker, *[False] * 5)
    assert 12 <= breaker.wait(is_probe=True) <= 18
    clock.now += 11.9
    assert breaker.wait(is_probe=True) > 0
    clock.now += 6.2
    assert breaker.wait(is_probe=True) == 0


def test_only_one_probe_goes_out_and_nothing_else(breaker, clock):
    end(breaker, *[False] * 5)
    clock.now += 19
    assert breaker.wait(is_probe=False) == Breaker.SOON
    assert breaker.wait(is_probe=True) == 0
    assert breaker.wait(is_probe=True) == Breaker.SOON


def test_two_good_probes_close_it(breaker, clock):
    end(breaker, *[False] * 5)
    clock.now += 19
    for _ in range(2):
        assert is_open(breaker)
        assert breaker.wait(is_probe=True) == 0
        end(breaker, True)
    assert not is_open(breaker)


def test_a_bad_probe_opens_it_again(breaker, clock):
    end(breaker, *[False] * 5)
    clock.now += 19
    breaker.wait(is_probe=True)
    end(breaker, False)
    assert 12 <= breaker.wait(is_probe=True) <= 18


def test_calls_that_began_before_it_opened_say_nothing(breaker):
    end(breaker, *[False] * 5)
    end(breaker, True, True, True)
    assert is_open(breaker)


def test_a_probe_that_never_ends_gives_way_to_another(breaker, clock):
    end(breaker, *[False] * 5)
    clock.now += 19
    assert breaker.wait(is_probe=True) == 0
    clock.now += 29
    assert breaker.wait(is_probe=True) > 0
    clock.now += 2
    assert breaker.wait(is_probe=True) == 0


# --- With a client in front of the simulator --------------------------------------------------------


def fails(call) -> GetscreenError:
    with pytest.raises(GetscreenError) as caught:
        call()
    return caught.value


def test_a_client_whose_service_is_down_stops_asking(make, simulator, breaker, clock):
    client = make(breaker=breaker)
    simulator.fail("*", "refused", times=None)
    for _ in range(5):
        fails(client.list)
    simulator.clear()
    number = simulator.add(status=1)
    for call in (client.list, client.create, lambda: client.connect(number), lambda: client.close(number)):
        error = fails(call)
        assert isinstance(error, Unavailable)
        assert not error.may_have_acted
        assert 12 <= error.retry_after <= 18
    assert simulator.ledger.count("created") == 0
    clock.now += 19
    before = len(simulator.ledger.requests)
    assert client.create().status == 0
    asked = [request.operation for request in simulator.ledger.requests[before:]]
    assert asked == ["list", "list", "create"], "only a list may find out"


@pytest.mark.parametrize(
    "fault", ["status_500", "truncated", "html", "redirect", "reset_before", "hang", "drip", "null_data"]
)
def test_what_says_that_the_service_is_in_trouble_opens_it(make, simulator, breaker, fault):
    client = make(breaker=breaker)
    simulator.fail("list", fault, times=None)
    for _ in range(5):
        fails(client.list)
    assert is_open(breaker)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 429])
def test_an_answer_that_says_no_is_an_answer(make, simulator, breaker, status):
    client = make(breaker=breaker)
    simulator.fail("list", f"status_{status}", times=None)
    for _ in range(12):
        fails(client.list)
    assert not is_open(breaker)


def test_two_clients_of_one_process_share_what_they_learn(make, simulator, breaker):
    one, other = make(breaker=breaker), make(breaker=breaker)
    simulator.fail("create", "status_500", times=None)
    for _ in range(5):
        fails(one.create)
    assert fails(other.create).retry_after


def test_a_configured_process_has_one_breaker(settings):
    clients = configured.new_client(at_once=4), configured.new_client(at_once=None)
    assert clients[0]._breaker is clients[1]._breaker is configured.breaker


def test_an_outage_adds_a_tenth_to_the_load_and_then_takes_it_away(make, simulator):
    """Without a breaker 100 failing lists would be 300 calls; the budget lets 10 retries through."""
    client = make()
    simulator.fail("list", "status_500", times=None)
    for _ in range(100):
        fails(client.list)
    assert len(simulator.ledger.find("/v1/support/list")) <= 111
