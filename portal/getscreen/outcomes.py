"""How a call of the remote API ended, in one of a few words: what is counted, and by what alarms are raised."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from portal.getscreen.errors import GetscreenError, Unavailable

OK = "ok"
REFUSED = "refused"  # an answer that says no to this call: 400, 403 for one id, other 4xx
QUOTA = "quota"  # 402
KEY = "key"  # 401, or 403 to the list
ADDRESS = "address"  # 404: an unknown request URL
LIMITED = "limited"  # 429
FAILING = "failing"  # 5xx
UNREACHABLE = "unreachable"  # no answer: DNS, TLS, timeout
GARBLED = "garbled"  # an answer nobody understands
NOT_ASKED = "not_asked"  # the call was not sent, because others have failed or are under way
OUTCOMES = (OK, REFUSED, QUOTA, KEY, ADDRESS, LIMITED, FAILING, UNREACHABLE, GARBLED, NOT_ASKED)
BY_STATUS: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: KEY,
    HTTPStatus.PAYMENT_REQUIRED: QUOTA,
    HTTPStatus.NOT_FOUND: ADDRESS,
    HTTPStatus.TOO_MANY_REQUESTS: LIMITED,
}

# Is told the method, the outcome, and how many seconds it took, retries included: none of what was said.
Observer = Callable[[str, str, float], None]


def of_answer(status: int, *, is_yes: bool, is_list: bool) -> str:
    """Return the outcome of an answer by its status alone. A 403 to a list is about the key, else about one id."""
    if is_yes:
        return OK
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return FAILING
    if status == HTTPStatus.FORBIDDEN and is_list:
        return KEY
    return BY_STATUS.get(status, REFUSED) if status >= HTTPStatus.BAD_REQUEST else GARBLED


def of_error(error: GetscreenError) -> str:
    """Return the outcome of a call that brought no answer that could be read."""
    return UNREACHABLE if isinstance(error, Unavailable) else GARBLED
