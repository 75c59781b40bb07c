"""What the processes of this server have counted, and how large they are, for a scrape."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from portal.metrics import memory, traffic
from portal.metrics.counts import Family, Labels

Rows = Iterable[tuple[Labels, list[float]]]


class Counted(Collector):
    def collect(self) -> Iterator[Metric]:
        counts = memory.current or traffic.begin()
        for family in counts.families.values():
            if family is not memory.PROCESS:
                yield told(family, seen(counts.rows(family)))
        yield from processes()


def seen(rows: Rows) -> Rows:
    """Leave out what never happened. What did brings its siblings by the last label along, so that their first
    time is an increase: nobody sees one in a number that begins with 1."""
    kept = list(rows)
    happened = {labels[:-1] for labels, numbers in kept if any(numbers)}
    return [(labels, numbers) for labels, numbers in kept if not labels or labels[:-1] in happened]


def told(family: Family, rows: Rows) -> Metric:
    if family.buckets:
        return histogram(family, rows)
    kind: Any = GaugeMetricFamily if family.is_gauge else CounterMetricFamily
    metric: Metric = kind(family.name, family.says, labels=family.labels)
    for labels, numbers in rows:
        metric.add_metric(labels, numbers[0])  # type: ignore[attr-defined]
    return metric


def histogram(family: Family, rows: Rows) -> Metric:
    metric = HistogramMetricFamily(family.name, family.says, labels=family.labels)
    bounds = [*map(floatToGoString, family.buckets), "+Inf"]
    for labels, (*numbers, total) in rows:
        if any(numbers):
            upto = [sum(numbers[: place + 1]) for place in range(len(numbers))]
            metric.add_metric(labels, list(zip(bounds, upto, strict=True)), total)
    return metric


def processes() -> Iterator[Metric]:
    """Yield memory, descriptors and processor time of each web process: a scrape meets any of them."""
    metrics: dict[str, Metric] = {}
    for region, process in memory.processes():
        for metric in ProcessCollector(pid=partial(int, process), registry=None).collect():
            kept = metrics.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
            for sample in metric.samples:
                kept.add_sample(sample.name, {"worker": str(region)}, sample.value)
    yield from metrics.values()
