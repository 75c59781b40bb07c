"""A scrape, and memory of each test's own."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from portal.metrics import memory

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
HERE = {"host": "127.0.0.1:8000"}


class Scrape:
    """One answer of /metrics, read as Prometheus reads it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self.samples: Samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def __getitem__(self, name: str) -> float:
        return self.get(name)

    def get(self, name: str, **labels: str) -> float:
        return self.samples[name, frozenset(labels.items())]

    def labels(self, name: str) -> list[dict[str, str]]:
        return [dict(labels) for found, labels in self.samples if found == name]


@pytest.fixture(autouse=True)
def nothing_counted_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "current", None)


@pytest.fixture
def scrape(db: None) -> Callable[[], Scrape]:
    def ask(**headers: Any) -> Scrape:
        answer = Client().get("/metrics", headers=HERE | headers)
        assert answer.status_code == 200
        return Scrape(answer.content.decode())

    return ask
