"""The ready rules for Prometheus: what they ask about exists, and each says what to do and where it is described."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from django.utils import timezone

from invitations.models import Snapshot
from portal.metrics import traffic
from portal.metrics.calls import CALLS

ROOT = Path(__file__).resolve().parents[2]
RULES = [
    rule
    for group in yaml.safe_load((ROOT / "docs/monitoring/alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
# What of an expression is no metric: functions, aggregations, what they go by, labels and their values.
WORDS = {"absent", "min", "max", "sum", "by", "rate", "increase", "histogram_quantile", "and", "or"}
OF_PROMETHEUS = {"up"}


def metrics_of(expression):
    outside = re.sub(r"\{[^}]*\}|by \([^)]*\)|\[[^\]]*\]", " ", expression)
    return set(re.findall(r"[a-z_]{2,}", outside)) - WORDS - OF_PROMETHEUS


def anchors(document):
    titles = re.findall(r"^#+ (.+)$", document, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.fixture
def everything(look, scrape, settings, tmp_path, monkeypatch):
    """The names in a scrape of an installation that uses all there is."""
    from portal.metrics import gauges

    settings.SYSLOG_URL, settings.AUDIT_CHECKPOINT_DIR = "syslog+tcp://127.0.0.1:1", tmp_path
    monkeypatch.setattr(gauges, "file_of_the_database", lambda: tmp_path)
    traffic.begin().add(CALLS, ("support/list", "ok"))
    look()
    scrape()
    return scrape()


def test_every_metric_that_a_rule_names_is_in_a_scrape(everything):
    names = {name for name, _ in everything.samples}
    for rule in RULES:
        assert metrics_of(rule["expr"]) <= names, rule["alert"]


def test_every_label_that_a_rule_asks_for_can_have_that_value(everything):
    seen = {(name, value) for _, labels in everything.samples for name, value in labels}
    possible = {("outcome", word) for word in CALLS.values[1]} | {("job", "portal")}
    families = traffic.families()[0]
    possible |= {("view", view) for view in families.values[0]} | {("status", status) for status in traffic.STATUSES}
    for rule in RULES:
        for name, how, wanted in re.findall(r'(\w+)(!?=~?)"([^"]*)"', rule["expr"]):
            for word in wanted.split("|"):
                fits = [
                    v for n, v in seen | possible if n == name and (re.fullmatch(word, v) if "~" in how else v == word)
                ]
                assert fits, (rule["alert"], name, word)


def test_every_rule_says_what_is_wrong_what_to_do_and_where_it_stands():
    assert len({rule["alert"] for rule in RULES}) == len(RULES) >= 20
    for rule in RULES:
        assert rule["labels"]["severity"] in ("critical", "warning")
        told = rule["annotations"]
        assert set(told) == {"summary", "description", "runbook"}
        assert all(len(text) < 400 and text.strip() for text in told.values())
        assert told["summary"].endswith(".")
        file, _, anchor = told["runbook"].partition("#")
        assert not anchor or anchor in anchors((ROOT / file).read_text(encoding="utf-8")), rule["alert"]


def test_an_old_list_is_older_than_any_pause_of_the_watcher(look, scrape, settings):
    """Else the alert would fire whenever nobody has the board open."""
    settings.IDLE_POLL_SECONDS = 300
    look()
    Snapshot.objects.update(good_at=timezone.now() - timedelta(seconds=1000))
    found = scrape()
    assert found["portal_sync_age_seconds"] < 60 + 5 * found["portal_sync_interval_seconds"]
