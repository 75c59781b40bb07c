"""What can prevent a remote step, named for what happened to the caller's intent.

    GetscreenError              something prevented the remote step; has .operation
    ├── Unavailable             no usable answer: DNS, TLS, timeout, 5xx, 429; has .may_have_acted
    ├── Refused                 an answer that says no; has .status
    │   ├── KeyRejected         401, or 403 from `list`
    │   ├── QuotaExhausted      402
    │   ├── NotFound            404: an unknown request URL, so a wrong address or an older server
    │   └── BadRequest          400 and the other 4xx, 403 for one id: possibly an unknown invitation
    └── Malformed               an answer we do not understand; has .may_have_acted

No error carries a request, a response, a URL, a header or a body: those hold the key and bearer links.
"""

from __future__ import annotations

UNTRUSTED_LINK = "a link we do not trust"  # the reason of a Malformed answer whose link leads elsewhere


class GetscreenError(Exception):
    """Something prevented the remote step `operation` (a method such as `support/list`)."""

    may_have_acted = False
    reference = ""  # by which the caller's own records name the attempt, if it has given it one

    def __init__(
        self, operation: str, reason: str, *, status: int | None = None, retry_after: float | None = None
    ) -> None:
        self.operation = operation
        self.reason = reason  # our own words, safe to log: never a piece of the answer
        self.status = status  # the HTTP status, where there was one
        self.retry_after = retry_after  # seconds the vendor asked us to wait, clamped to 1..300
        super().__init__(f"{operation}: {reason}")


class Unavailable(GetscreenError):
    """No usable answer. `may_have_acted` is true once a byte of a request that changes things was sent."""

    def __init__(
        self,
        operation: str,
        reason: str,
        *,
        may_have_acted: bool = False,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(operation, reason, status=status, retry_after=retry_after)
        self.may_have_acted = may_have_acted


class Refused(GetscreenError):
    """The vendor answered, and the answer says no. Nothing was changed."""


class KeyRejected(Refused):
    """The API key is wrong, revoked or missing."""


class QuotaExhausted(Refused):
    """The plan's limit is used up (402)."""


class NotFound(Refused):
    """The server does not know this request URL (404)."""


class BadRequest(Refused):
    """The parameters were rejected (400, other 4xx, 403 for one invitation): possibly an unknown id."""


class Malformed(GetscreenError):
    """An answer we do not understand: not JSON, truncated, too large, wrong shape, a link we do not trust."""

    def __init__(self, operation: str, reason: str, *, may_have_acted: bool = False, status: int | None = None) -> None:
        super().__init__(operation, reason, status=status)
        self.may_have_acted = may_have_acted
