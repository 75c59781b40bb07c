"""The answer to one request, before it becomes WSGI or bytes.

Responsible for status, headers and body in one immutable value that faults can damage. Refuses to know
what any of it means.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """`payload` is what a JSON body was made of, and None for every other body."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    payload: Any = None

    @property
    def status_line(self) -> str:
        try:
            return f"{self.status} {HTTPStatus(self.status).phrase}"
        except ValueError:
            return f"{self.status} Unknown"

    @property
    def header_list(self) -> list[tuple[str, str]]:
        return [("Content-Type", self.content_type), ("Content-Length", str(len(self.body))), *self.headers]

    def with_payload(self, payload: Any) -> Answer:
        return replace(self, payload=payload, body=json.dumps(payload).encode())

    def with_body(self, body: bytes) -> Answer:
        return replace(self, body=body)

    def with_header(self, name: str, value: str) -> Answer:
        kept = tuple(header for header in self.headers if header[0].lower() != name.lower())
        return replace(self, headers=(*kept, (name, value)))


def ok(payload: Any) -> Answer:
    return Answer(200).with_payload(payload)


def refusal(status: int, reason: str = "") -> Answer:
    """An error answer. Its form is not documented, so nothing may rely on it."""
    return Answer(status, json.dumps({"error": reason or f"status {status}"}).encode())
