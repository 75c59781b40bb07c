"""Where the current request comes from, so that an event can say it without anybody passing it along."""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from django.http import HttpRequest
from django.http.response import HttpResponseBase


@dataclass(frozen=True, slots=True)
class Origin:
    """The network side of a request. Empty for commands and the watcher."""

    ip: str | None = None
    user_agent: str = ""
    auth_method: str = ""


NOWHERE = Origin()
_current: ContextVar[Origin] = ContextVar("origin", default=NOWHERE)


def current() -> Origin:
    return _current.get()


class RememberOrigin:
    """Keep the request's origin for as long as the request lasts."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        token = _current.set(of_request(request))
        try:
            return self.get_response(request)
        finally:
            _current.reset(token)


def of_request(request: HttpRequest) -> Origin:
    methods = request.session.get("account_authentication_methods") or [{}]
    return Origin(
        ip=request.META.get("REMOTE_ADDR") or None,
        user_agent=request.headers.get("User-Agent", "")[:200],
        auth_method=str(methods[-1].get("method", "")),
    )
