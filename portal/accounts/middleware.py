"""Every refusal is an event, whatever view or guard it came from."""

from collections.abc import Callable
from http import HTTPStatus

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from portal import audit
from portal.audit.kinds import Result
from portal.audit.origin import path_of


class RecordDenials:
    """Record who was refused which page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        if isinstance(exception, PermissionDenied):
            audit.record(
                "access.denied",
                result=Result.DENIED,
                actor=request.user,
                target_type="page",
                target_label=path_of(request),
                facts={"method": request.method, "status": int(HTTPStatus.FORBIDDEN)},
            )
