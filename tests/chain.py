"""What an intact log looks like, computed with nothing of the portal's own: the second opinion of the tests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any

from django.db import connection

EVENTS = "SELECT seq, prev, hash, record FROM audit_event ORDER BY seq"
DETAILS = "SELECT seq, salt, data FROM audit_detail"
Row = tuple[int, str, str, str]


def digest(domain: str, content: str) -> str:
    body = content.encode()
    return hashlib.sha256(f"{domain} {len(body)}\n".encode() + body).hexdigest()


def commitment(detail: tuple[str, str] | None) -> str:
    return digest("portal-audit-details-v1", "\n".join(detail)) if detail else ""


def faults(rows: Iterable[Row], details: dict[int, tuple[str, str]]) -> list[str]:
    """Return what is wrong with a whole log: rows in their order, details as number → (salt, data), none erased."""
    found, expected, before = [], 1, "0" * 64
    for seq, prev, own, record in rows:
        content: dict[str, Any] = json.loads(record)
        found += [
            f"{seq}: {what}"
            for what, is_wrong in {
                "number": seq != expected or content["seq"] != seq,
                "link": prev != before or content["prev"] != prev,
                "hash": own != digest("portal-audit-v1", record),
                "details": content["details"] != commitment(details.get(seq)),
            }.items()
            if is_wrong
        ]
        expected, before = seq + 1, own
    return found


def faults_in(ask: Callable[[str], Iterable[Any]]) -> list[str]:
    """Return what is wrong with the log that `ask` runs statements on."""
    return faults(ask(EVENTS), {seq: (salt, data) for seq, salt, data in ask(DETAILS)})


def faults_here() -> list[str]:
    """The same for the tests' own database."""

    def ask(statement: str) -> Iterable[Any]:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    return faults_in(ask)
