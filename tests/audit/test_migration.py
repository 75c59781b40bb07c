"""A log of the release before becomes the beginning of the chain: every event, with its words beside it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests import chain
from tests.databases import fresh

FIRST = datetime(2026, 3, 1, 8, 30, 0, 123_456, tzinfo=UTC)
REFERENCE = "0123456789abcdef" * 2
OLD_COLUMNS = (
    "seq, at, kind, phase, result, reference, actor_id, actor_name, actor_roles, auth_method, origin_ip, user_agent,"
    " target_type, target_id, target_label, data"
)
# Of the release before, which left them in the database.
OLD_TRIGGERS = {
    "sqlite": [
        "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit_event BEGIN SELECT RAISE(ABORT, 'append-only'); END",
        "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit_event BEGIN SELECT RAISE(ABORT, 'append-only'); END",
        """CREATE TRIGGER audit_next BEFORE INSERT ON audit_event
        WHEN NEW.seq IS NOT 1 + COALESCE((SELECT MAX(seq) FROM audit_event), 0)
        BEGIN SELECT RAISE(ABORT, 'the audit log has no gaps'); END""",
    ],
    "postgresql": [
        """CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'append-only' USING ERRCODE = 'insufficient_privilege'; END $$""",
        """CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit_event
        FOR EACH ROW EXECUTE FUNCTION audit_refuse()""",
        """CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit_event
        FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()""",
        "ALTER TABLE audit_event ENABLE ALWAYS TRIGGER audit_no_change",
        "ALTER TABLE audit_event ENABLE ALWAYS TRIGGER audit_no_truncate",
    ],
}


def old(kind, *, phase="single", result="ok", actor=None, name="", ip=None, agent="", target=("", "", ""), **more):
    """An event as the release before kept it, without its number and time."""
    data, roles = more.pop("data", {}), more.pop("roles", "")
    assert not more
    reference = REFERENCE if kind.startswith("invitation.") else ""
    method = "password" if actor else ""
    return (kind, phase, result, reference, actor, name, roles, method, ip, agent, *target, json.dumps(data))


TILDA = ("invitation", "a1b2c3", "Tilda Öst")
OLD = [
    old("system.started"),
    old("admin.enrolment_created"),
    old("signin.failed", result="denied", name="e\u0301ve <b>", ip="203.0.113.7", agent="Firefox 🦊"),
    old("signin.ok", actor=5, name="Mika Lind", roles="Agent, Team lead", ip="2001:db8:1:2::9", agent="Firefox"),
    old("invitation.create", phase="intent", result="", actor=5, name="Mika Lind", ip="203.0.113.7", target=TILDA),
    old(
        "invitation.create",
        phase="outcome",
        actor=5,
        name="Mika Lind",
        ip="203.0.113.7",
        target=TILDA,
        data={"why": "T-17", "ms": 12.5, "up": [None, True, {"big": 2**60}], "über": "A\u030a"},
    ),
    old("vendor.trouble", result="failed", data={"class": "Timeout"}),
    old("from.a.release.long.ago", actor=7, name="Rut"),
]


def insert(database, count):
    for statement in OLD_TRIGGERS["sqlite" if database.url.startswith("sqlite") else "postgresql"]:
        database.ask(statement)
    rows = [
        (seq, str(FIRST + timedelta(seconds=seq)), *(OLD[seq - 1] if seq <= len(OLD) else old("signout", actor=5)))
        for seq in range(1, count + 1)
    ]
    places = f"({', '.join(['%s'] * len(rows[0]))})"
    for start in range(0, count, 100):
        part = rows[start : start + 100]
        database.ask(
            f"INSERT INTO audit_event ({OLD_COLUMNS}) VALUES {', '.join([places] * len(part))}",
            *[value for row in part for value in row],
        )


def migrated(database, count):
    assert database.manage("migrate", "audit", "0001", "-v0").returncode == 0
    if count:
        insert(database, count)
    done = database.manage("migrate", "-v0")
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture
def database(tmp_path):
    with fresh(tmp_path) as found:
        yield found


def test_an_older_log_becomes_the_beginning_of_the_chain(database):
    migrated(database, len(OLD))
    assert chain.faults_in(database.ask) == []
    events = database.ask(
        "SELECT seq, ts, kind, phase, result, reference, actor, target, network FROM audit_event WHERE seq <= %s",
        len(OLD),
    )
    first = int(FIRST.timestamp()) * 1_000_000 + 123_456
    assert [row[:6] for row in sorted(events)] == [
        (seq, first + seq * 1_000_000, *row[:4]) for seq, row in enumerate(OLD, start=1)
    ]
    assert [row[6:] for row in sorted(events)] == [
        ("portal", "", ""),
        ("portal", "", ""),
        ("stranger", "", "203.0.113.0/24"),
        ("user:5", "", "2001:db8:1::/48"),
        ("user:5", "invitation:a1b2c3", "203.0.113.0/24"),
        ("user:5", "invitation:a1b2c3", "203.0.113.0/24"),
        ("portal", "", ""),
        ("user:7", "", ""),
    ]


def test_its_words_become_details_that_can_be_erased(database):
    migrated(database, len(OLD))
    told = {seq: json.loads(data) for seq, data in database.ask("SELECT seq, data FROM audit_detail WHERE seq <= 8")}
    assert told == {
        3: {"claimed": "éve <b>", "ip": "203.0.113.7", "agent": "Firefox 🦊"},
        4: {"ip": "2001:db8:1:2::9", "agent": "Firefox"},
        5: {"target": "Tilda Öst", "ip": "203.0.113.7"},
        6: {
            "target": "Tilda Öst",
            "ip": "203.0.113.7",
            "why": "T-17",
            "ms": "12.5",
            "up": [None, True, {"big": str(2**60)}],
            "über": "Å",
        },
        7: {"class": "Timeout"},
    }
    found = database.ask("SELECT record FROM audit_event WHERE seq <= 8 ORDER BY seq")
    records = [json.loads(record) for (record,) in found]
    assert (records[3]["actor"]["name"], records[3]["actor"]["roles"]) == ("Mika Lind", ["Agent", "Team lead"])
    assert all(record["facts"] == {"converted": True} for record in records)
    kept_for_ever = json.dumps(records, ensure_ascii=False)
    assert not [word for word in ("Tilda", "éve", "203.0.113.7", "Firefox", "T-17") if word in kept_for_ever]


def test_a_long_log_is_converted_in_parts_and_goes_on(database):
    migrated(database, 2003)
    assert database.ask("SELECT COUNT(*) FROM audit_event WHERE seq <= 2003") == [(2003,)]
    told = database.manage("create_admin")
    assert told.returncode == 0, told.stderr
    kinds = "SELECT kind FROM audit_event WHERE seq > 2003 ORDER BY seq"
    assert ("enrolment.created",) in database.ask(kinds)
    assert chain.faults_in(database.ask) == []
    assert database.manage("audit_triggers", "--check").returncode == 0
    assert database.manage("audit_checkpoint").returncode == 0
    verified = database.manage("audit_verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_new_installation_begins_with_an_empty_log(database):
    migrated(database, 0)
    assert chain.faults_in(database.ask) == []
    assert database.manage("audit_triggers", "--check").returncode == 0
    tables = "audit_event_0"
    with pytest.raises(Exception, match=tables):
        database.ask(f"SELECT 1 FROM {tables}")
