"""Whether the database is there at all: its server restarts, fails over, or has ended our connection.

Knows nothing of what a page says then.
"""

from __future__ import annotations

from django.db import DatabaseError, InterfaceError, OperationalError, connection

NO_CONNECTION = (OperationalError, InterfaceError)  # what that can look like, among other things


def is_database_away() -> bool:
    """Say whether this thread's connection is of no use any more. The next request opens another."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except NO_CONNECTION:
        return True
    except DatabaseError:  # it answers, and only refuses this
        pass
    return False
