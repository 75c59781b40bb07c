"""Nothing changes or removes an event: not the models, not SQL, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, models, transaction
from django.db.models.sql import DeleteQuery

from portal import audit
from portal.audit import triggers
from portal.audit.models import AppendOnly, Event

POSTGRESQL = connection.vendor == "postgresql"
COLUMNS = [field.column for field in Event._meta.concrete_fields]
OTHERS = ", ".join(column for column in COLUMNS if column != "seq")


def copy_as(seq, verb="INSERT INTO", tail=""):
    """A statement that adds a copy of the first event under another number."""
    return f"{verb} audit_event (seq, {OTHERS}) SELECT {seq}, {OTHERS} FROM audit_event WHERE seq = 1 {tail}"


EVERYWHERE = {
    "update": "UPDATE audit_event SET actor_name = 'nobody'",
    "update one": "UPDATE audit_event SET result = 'ok' WHERE seq = 2",
    "update to the same": "UPDATE audit_event SET actor_name = actor_name WHERE seq = 3",
    "renumber": "UPDATE audit_event SET seq = seq + 10",
    "delete": "DELETE FROM audit_event",
    "delete the last": "DELETE FROM audit_event WHERE seq = 3",
    "delete by subquery": "DELETE FROM audit_event WHERE seq IN (SELECT MAX(seq) FROM audit_event)",
    "a gap": copy_as(5),
    "a number in use": copy_as(2),
    "zero": copy_as(0),
    "a negative number": copy_as(-1),
    "no number": copy_as("NULL"),
    "every row again": f"INSERT INTO audit_event (seq, {OTHERS}) SELECT seq, {OTHERS} FROM audit_event",
    "upsert": copy_as(2, tail="ON CONFLICT (seq) DO UPDATE SET actor_name = 'nobody'"),
    "insert or nothing": copy_as(2, tail="ON CONFLICT (seq) DO NOTHING"),
}
ON_SQLITE = {
    "insert or replace": copy_as(2, "INSERT OR REPLACE INTO"),
    "replace": copy_as(2, "REPLACE INTO"),
    "replace with a gap": copy_as(7, "REPLACE INTO"),
    "insert or ignore": copy_as(2, "INSERT OR IGNORE INTO"),
    "insert or ignore with a gap": copy_as(9, "INSERT OR IGNORE INTO"),
    "update or replace": "UPDATE OR REPLACE audit_event SET seq = 1 WHERE seq = 2",
    "update or ignore": "UPDATE OR IGNORE audit_event SET actor_name = 'nobody'",
    "delete returning": "DELETE FROM audit_event RETURNING seq",
}
ON_POSTGRESQL = {
    "truncate": "TRUNCATE audit_event",
    "truncate cascade": "TRUNCATE audit_event RESTART IDENTITY CASCADE",
    "delete in a query": "WITH gone AS (DELETE FROM audit_event RETURNING *) SELECT COUNT(*) FROM gone",
    "update from": "UPDATE audit_event a SET actor_name = 'x' FROM audit_event b WHERE a.seq = b.seq",
    "merge": "MERGE INTO audit_event a USING (SELECT 2 AS seq) b ON a.seq = b.seq WHEN MATCHED THEN DELETE",
    "as a replica": "SET LOCAL session_replication_role = replica; DELETE FROM audit_event",
    "truncate as a replica": "SET LOCAL session_replication_role = replica; TRUNCATE audit_event",
    "a gap as a replica": f"SET LOCAL session_replication_role = replica; {copy_as(8)}",
}
STATEMENTS = EVERYWHERE | (ON_POSTGRESQL if POSTGRESQL else ON_SQLITE)


@pytest.fixture
def events(db):
    for name in ("Ada", "Bo", "Cy"):
        audit.record("signin.failed", result="denied", actor_name=name, data={"n": 1})
    before = rows()
    yield before
    assert rows() == before


def rows():
    return list(Event.objects.order_by("seq").values())


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_the_database_refuses(events, statement):
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_the_database_refuses_many_at_once(events):
    row = (*(["x"] * (len(COLUMNS) - 1)),)
    many = f"INSERT INTO audit_event (seq, {OTHERS}) VALUES ({', '.join(['%s'] * len(COLUMNS))})"
    for statement, values in (
        ("UPDATE audit_event SET actor_name = %s WHERE seq = %s", [("x", 1), ("y", 2)]),
        ("DELETE FROM audit_event WHERE seq = %s", [(1,), (3,)]),
        (many, [(9, *row), (10, *row)]),
    ):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(statement, values)


@pytest.mark.skipif(POSTGRESQL, reason="a setting of SQLite")
def test_replacing_is_refused_with_recursive_triggers_off(events):
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA recursive_triggers = OFF")
        try:
            with pytest.raises(DatabaseError), transaction.atomic():
                cursor.execute(copy_as(2, "INSERT OR REPLACE INTO"))
        finally:
            cursor.execute("PRAGMA recursive_triggers = ON")


REFUSED_BY_QUERYSETS = {
    "update": lambda: Event.objects.update(actor_name="x"),
    "filtered update": lambda: Event.objects.filter(seq=2).update(actor_name="x"),
    "delete": lambda: Event.objects.all().delete(),
    "manager delete": lambda: Event.objects.delete(),
    "bulk_update": lambda: Event.objects.bulk_update(list(Event.objects.all()), ["actor_name"]),
    "bulk_create": lambda: Event.objects.bulk_create([Event(seq=4)]),
    "update_or_create": lambda: Event.objects.update_or_create(seq=1, defaults={"actor_name": "x"}),
    "raw delete": lambda: Event.objects.all()._raw_delete("default"),
    "instance save": lambda: Event.objects.get(seq=2).save(),
    "instance save of a field": lambda: Event.objects.get(seq=2).save(update_fields=["actor_name"]),
    "instance delete": lambda: Event.objects.get(seq=2).delete(),
}


@pytest.mark.parametrize("attempt", REFUSED_BY_QUERYSETS.values(), ids=REFUSED_BY_QUERYSETS)
def test_the_models_refuse(events, attempt):
    with pytest.raises(AppendOnly):
        attempt()


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: Event.objects.aupdate(actor_name="x"),
        lambda: Event.objects.all().adelete(),
        lambda: Event.objects.abulk_create([Event(seq=4)]),
        lambda: Event.objects.aupdate_or_create(seq=1),
    ],
)
def test_the_asynchronous_names_refuse_as_well(attempt):
    with ThreadPoolExecutor(1) as elsewhere, pytest.raises(AppendOnly):  # browser tests keep a loop in this thread
        elsewhere.submit(lambda: asyncio.run(attempt())).result()


REFUSED_BY_TRIGGERS = {
    "base manager update": lambda: Event._base_manager.filter(seq=2).update(actor_name="x"),
    "base manager delete": lambda: Event._base_manager.all().delete(),
    "plain queryset": lambda: models.QuerySet(Event).filter(seq=1).delete(),
    "save_base": lambda: Event.objects.get(seq=2).save_base(raw=True),
    "delete query": lambda: DeleteQuery(Event).delete_batch([1, 2], "default"),
    "a new object with a number in use": lambda: Event(seq=2, at=Event.objects.get(seq=1).at, kind="signout").save(),
    "a gap": lambda: Event.objects.create(seq=9, at=Event.objects.get(seq=1).at, kind="signout"),
}


@pytest.mark.parametrize("attempt", REFUSED_BY_TRIGGERS.values(), ids=REFUSED_BY_TRIGGERS)
def test_what_goes_around_the_models_meets_the_triggers(events, attempt):
    with pytest.raises(DatabaseError), transaction.atomic():
        attempt()


def test_events_are_numbered_from_one_without_gaps(db):
    assert [audit.record("signout").seq for _ in range(3)] == [1, 2, 3]


def test_what_is_rolled_back_leaves_no_gap(db):
    audit.record("signout")

    def fail():
        with transaction.atomic():
            audit.record("signout")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert audit.record("signout").seq == 2


def test_triggers_come_back_with_every_migration(db):
    triggers.drop(connection)
    assert not triggers.are_installed(connection)
    call_command("migrate", verbosity=0)
    assert triggers.are_installed(connection)


def test_reinstalling_twice_changes_nothing(db):
    triggers.reinstall()
    triggers.reinstall()
    assert triggers.are_installed(connection)


def test_without_the_table_nothing_is_installed(db, monkeypatch):
    triggers.drop(connection)
    monkeypatch.setattr(connection.introspection, "table_names", lambda: ["another"])
    triggers.reinstall()
    assert not triggers.are_installed(connection)


WEAKENED_ON_SQLITE = {
    **{f"without {name}": [f"DROP TRIGGER {name}"] for name in triggers.SQLITE},
    **{
        what: [
            "DROP TRIGGER audit_no_delete",
            f"CREATE TRIGGER audit_no_delete BEFORE DELETE ON {where} BEGIN SELECT RAISE(ABORT, 'no'); END",
        ]
        for what, where in {
            "one that never fires": "audit_event WHEN 0",
            "one on another table": "auth_group",
        }.items()
    },
}


def instead_of_no_change(when, condition=""):
    return [
        "DROP TRIGGER audit_no_change ON audit_event",
        f"""CREATE TRIGGER audit_no_change BEFORE {when} ON audit_event
            FOR EACH ROW {condition} EXECUTE FUNCTION audit_refuse()""",
        "ALTER TABLE audit_event ENABLE ALWAYS TRIGGER audit_no_change",
    ]


WEAKENED_ON_POSTGRESQL = {
    **{f"without {name}": [f"DROP TRIGGER {name} ON audit_event"] for name in triggers.POSTGRESQL},
    **{f"disabled {name}": [f"ALTER TABLE audit_event DISABLE TRIGGER {name}"] for name in triggers.POSTGRESQL},
    "not for replicas": ["ALTER TABLE audit_event ENABLE TRIGGER audit_no_change"],
    "a hollow function": [
        "CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN OLD; END$$"
    ],
    "one that never fires": instead_of_no_change("UPDATE OR DELETE", "WHEN (false)"),
    "one for deletes only": instead_of_no_change("DELETE"),
    "one for one column": instead_of_no_change("UPDATE OF kind OR DELETE"),
}
WEAKENED = WEAKENED_ON_POSTGRESQL if POSTGRESQL else WEAKENED_ON_SQLITE


@pytest.mark.parametrize("statements", WEAKENED.values(), ids=WEAKENED)
def test_the_portal_is_not_ready_while_a_trigger_is_weaker(db, anonymous, statements):
    assert anonymous.get("/readyz").status_code == 200
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    answer = anonymous.get("/readyz")
    assert answer.status_code == 503
    assert (answer.json()["ready"], answer.json()["problem"]) == (False, "audit")
    triggers.reinstall()
    assert anonymous.get("/readyz").status_code == 200
