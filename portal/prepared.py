"""Reads by primary key whose SQL is put together once: for the few that every request makes.

The ORM writes the statement; building it costs several times what running it does. Knows nothing of
what is read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Model, QuerySet


class Prepared(NamedTuple):
    """One statement of the ORM for one kind of database, and how it would read the answer."""

    model: Any
    sql: str
    params: tuple[Any, ...]  # before the key
    fields: list[str]
    annotations: list[str]  # their values follow those of the fields
    converters: list[tuple[int, tuple[list[Callable[..., Any]], Any]]]


class ByKey[M: Model]:
    """One row of `rows()` by its primary key, which must be the only condition."""

    def __init__(self, rows: Callable[[], QuerySet[M]]) -> None:
        self.rows = rows
        self.statements: dict[str, Prepared] = {}

    def get(self, pk: Any) -> M | None:
        """Return the row as it is now, or None."""
        prepared = self.statements.get(connection.vendor) or self.prepare()
        with connection.cursor() as cursor:
            cursor.execute(prepared.sql, (*prepared.params, pk))
            row = cursor.fetchone()
        if row is None:
            return None
        values = list(row)
        for place, (converters, expression) in prepared.converters:
            for convert in converters:
                values[place] = convert(values[place], expression, connection)
        count = len(prepared.fields)
        found: M = prepared.model.from_db(connection.alias, prepared.fields, values[:count])
        for name, value in zip(prepared.annotations, values[count:], strict=True):
            setattr(found, name, value)
        return found

    def prepare(self) -> Prepared:
        query = self.rows().filter(pk=0).query  # a key of text is asked for as "0"
        compiler = query.get_compiler(connection=connection)
        sql, params = compiler.as_sql()
        if params[-1:] not in ((0,), ("0",)):
            raise ValueError("The key must be the last parameter.")
        prepared = Prepared(
            query.model,
            sql,
            tuple(params[:-1]),
            [field.attname for field in query.get_meta().concrete_fields],
            list(query.annotation_select),
            list(compiler.get_converters([expression for expression, *_ in compiler.select or ()]).items()),
        )
        self.statements[connection.vendor] = prepared
        return prepared
