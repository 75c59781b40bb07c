"""Whether an error means that the database is not there: its server restarts, fails over, or has ended our connection.

Knows nothing of what a page says then.
"""

from __future__ import annotations

# What PostgreSQL says then: connection exceptions, shutdowns and starts, no room for a further connection, and the end
# of a transaction that was silent for too long.
STATES = ("08", "57P", "53300", "25P03")


def is_outage(error: BaseException | None) -> bool:
    """Say so by the driver's error behind Django's and ours. Asking the database would answer for a later moment."""
    while error is not None:
        if hasattr(error, "sqlstate"):  # the driver's own; without a state the server never came to say one
            return error.sqlstate is None or str(error.sqlstate).startswith(STATES)
        error = error.__cause__
    return False
