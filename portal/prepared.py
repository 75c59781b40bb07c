"""Reads by primary key whose SQL is put together once: for the few that every request makes.

The ORM writes the statement; building it costs several times what running it does. Knows nothing of
what is read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connection
from django.db.models import Model, QuerySet


class ByKey[M: Model]:
    """One row of `rows()` by its primary key, which must be the only condition."""

    def __init__(self, rows: Callable[[], QuerySet[M]]) -> None:
        self.rows = rows
        self.statements: dict[str, tuple[QuerySet[M], str, tuple[Any, ...]]] = {}

    def get(self, pk: Any) -> M | None:
        """Return the row as it is now, or None."""
        rows, sql, params = self.statements.get(connection.vendor) or self.prepare()
        return next(iter(rows.raw(sql, (*params, pk))), None)

    def prepare(self) -> tuple[QuerySet[M], str, tuple[Any, ...]]:
        rows = self.rows()
        sql, params = rows.filter(pk=0).query.sql_with_params()
        if params[-1:] != (0,):
            raise ValueError("The key must be the last parameter.")
        self.statements[connection.vendor] = prepared = (rows, sql, tuple(params[:-1]))
        return prepared
