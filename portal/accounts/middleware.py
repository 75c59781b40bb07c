"""Every refusal is an event, whatever view, guard or limit it came from."""

from collections.abc import Callable
from http import HTTPStatus

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from portal import audit
from portal.audit import strangers
from portal.audit.kinds import Result
from portal.audit.origin import path_of


class RecordDenials:
    """Record who was refused which page, and who was stopped after too many tries."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            record_limited(request)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        if isinstance(exception, PermissionDenied):
            audit.record_anyway(
                "access.denied",
                result=Result.DENIED,
                actor=request.user,
                target_type="page",
                target_label=path_of(request),
                facts={"method": request.method, "status": int(HTTPStatus.FORBIDDEN)},
            )


def record_limited(request: HttpRequest) -> None:
    about = {"result": Result.DENIED, "target_type": "page", "target_label": path_of(request)}
    if request.user.is_authenticated:
        audit.record_anyway("access.limited", actor=request.user, **about)
    else:
        strangers.record("access.limited", **about)
