"""How each call of the remote API ended is told once, in one word; what was not sent is told as such."""

import pytest

from portal.getscreen.breaker import Breaker
from portal.getscreen.client import METHODS
from portal.getscreen.errors import GetscreenError, Unavailable
from portal.getscreen.outcomes import OUTCOMES

FAULTS = {
    "status_400": "refused",
    "status_401": "key",
    "status_402": "quota",
    "status_403": "key",
    "status_404": "address",
    "status_429": "limited",
    "status_500": "failing",
    "html": "garbled",
    "redirect": "garbled",
}


@pytest.fixture
def told():
    return []


@pytest.fixture
def api(make, told):
    return make(observe=lambda *call: told.append(call))


def outcomes(told):
    return [(method, outcome) for method, outcome, _seconds in told]


def test_what_works_is_counted_with_its_duration(api, simulator, told):
    api.list()
    made = api.create("Kim")
    api.info(made.id)
    api.rename(made.id, "Bo")
    api.connect(made.id)
    api.close(made.id)
    names = ["support/list", "support/create", "support/info", "support/update", "support/connect", "support/close"]
    assert outcomes(told) == [(name, "ok") for name in names]
    assert all(0 < seconds < 60 for *_, seconds in told)
    assert set(names) <= set(METHODS)


@pytest.mark.parametrize(("fault", "outcome"), FAULTS.items())
def test_each_way_to_fail_has_its_word_and_is_counted_once(api, simulator, told, fault, outcome):
    simulator.fail("list", fault, times=None)
    with pytest.raises(GetscreenError):
        api.list()
    assert outcomes(told) == [("support/list", outcome)]
    assert outcome in OUTCOMES


def test_a_refused_id_is_no_rejected_key(api, simulator, told):
    simulator.fail("info", "status_403", times=None)
    with pytest.raises(GetscreenError):
        api.info(1)
    assert outcomes(told) == [("support/info", "refused"), ("support/list", "ok")]


def test_what_is_not_sent_is_counted_as_such(make, simulator, told):
    breaker = Breaker()
    api = make(breaker=breaker, observe=lambda *call: told.append(call))
    simulator.fail("*", "status_500", times=None)
    for _ in range(Breaker.CONSECUTIVE):
        assert not breaker.is_open
        with pytest.raises(Unavailable):
            api.create("Kim")
    assert breaker.is_open
    with pytest.raises(Unavailable):
        api.create("Kim")
    assert outcomes(told)[-2:] == [("support/create", "failing"), ("support/create", "not_asked")]
    assert told[-1] == ("support/create", "not_asked", 0.0)
