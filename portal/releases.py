"""Files of another release, while old and new replicas work side by side during an upgrade.

A page asks for its files by names that hold their contents' hash. A replica of another release, to which the proxy may
send that request, has no such file: it lets the browser ask again, and so, in turns, the replica that has it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase

HASHED = re.compile(r"\.[0-9a-f]{12}\.[a-z0-9]+\Z")
TRIES = 10  # of the 20 redirects that a browser follows
NUMBER = "try"


class OtherRelease:
    """Stands behind what serves static files: whatever comes here was not found."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        is_file = request.path.startswith(settings.STATIC_URL) and HASHED.search(request.path)
        if is_file and request.method in ("GET", "HEAD"):
            tried = request.GET.get(NUMBER, "0")
            if tried.isdecimal() and int(tried[:4]) < TRIES:
                return HttpResponseRedirect(f"{request.path}?{NUMBER}={int(tried) + 1}")
        return self.get_response(request)
