"""Nothing changes or removes an event: not the models, not SQL, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import DatabaseError, connection, models, transaction
from django.db.models.sql import DeleteQuery

from portal import audit
from portal.audit.canonical import GENESIS
from portal.audit.models import AppendOnly, Event

POSTGRESQL = connection.vendor == "postgresql"
COLUMNS = [field.column for field in Event._meta.concrete_fields]
OTHERS = ", ".join(column for column in COLUMNS if column not in ("seq", "prev"))
HEAD = "(SELECT hash FROM audit_event ORDER BY seq DESC LIMIT 1)"


def copy_as(seq, verb="INSERT INTO", tail="", prev=HEAD):
    """A statement that adds a copy of the first event under another number, in its place of the chain."""
    return (
        f"{verb} audit_event (seq, prev, {OTHERS}) SELECT {seq}, {prev}, {OTHERS} FROM audit_event WHERE seq = 1 {tail}"
    )


EVERYWHERE = {
    "update": "UPDATE audit_event SET actor = 'nobody'",
    "update one": "UPDATE audit_event SET result = 'ok' WHERE seq = 2",
    **{f"update of {column}": f"UPDATE audit_event SET {column} = {column} WHERE seq = 1" for column in COLUMNS},
    "update to the same": "UPDATE audit_event SET record = record WHERE seq = 3",
    "renumber": "UPDATE audit_event SET seq = seq + 10",
    "delete": "DELETE FROM audit_event",
    "delete the last": "DELETE FROM audit_event WHERE seq = 3",
    "delete by subquery": "DELETE FROM audit_event WHERE seq IN (SELECT MAX(seq) FROM audit_event)",
    "a gap": copy_as(5),
    "a number in use": copy_as(2),
    "zero": copy_as(0),
    "a negative number": copy_as(-1),
    "no number": copy_as("NULL"),
    "the first number again": copy_as(1, prev=f"'{GENESIS}'"),
    "a fork after nothing": copy_as(4, prev=f"'{GENESIS}'"),
    "a fork after the first": copy_as(4, prev="hash"),
    "a fork after the last but one": copy_as(4, prev="(SELECT hash FROM audit_event WHERE seq = 2)"),
    "a fork after an unknown event": copy_as(4, prev=f"'{'e' * 64}'"),
    "a fork after no text": copy_as(4, prev="''"),
    "a fork after NULL": copy_as(4, prev="NULL"),
    "a fork in capitals": copy_as(4, prev=f"UPPER({HEAD})"),
    "a gap and a fork": copy_as(6, prev="hash"),
    "every row again": f"INSERT INTO audit_event (seq, prev, {OTHERS}) SELECT seq, prev, {OTHERS} FROM audit_event",
    "upsert": copy_as(2, tail="ON CONFLICT (seq) DO UPDATE SET actor = 'nobody'"),
    "insert or nothing": copy_as(2, tail="ON CONFLICT (seq) DO NOTHING"),
}
ON_SQLITE = {
    "insert or replace": copy_as(2, "INSERT OR REPLACE INTO"),
    "replace": copy_as(2, "REPLACE INTO"),
    "replace with a gap": copy_as(7, "REPLACE INTO"),
    "insert or ignore": copy_as(2, "INSERT OR IGNORE INTO"),
    "insert or ignore with a gap": copy_as(9, "INSERT OR IGNORE INTO"),
    "update or replace": "UPDATE OR REPLACE audit_event SET seq = 1 WHERE seq = 2",
    "update or ignore": "UPDATE OR IGNORE audit_event SET actor = 'nobody'",
    "delete returning": "DELETE FROM audit_event RETURNING seq",
}
ON_POSTGRESQL = {
    "truncate": "TRUNCATE audit_event",
    "truncate cascade": "TRUNCATE audit_event RESTART IDENTITY CASCADE",
    "delete in a query": "WITH gone AS (DELETE FROM audit_event RETURNING *) SELECT COUNT(*) FROM gone",
    "update from": "UPDATE audit_event a SET actor = 'x' FROM audit_event b WHERE a.seq = b.seq",
    "merge": "MERGE INTO audit_event a USING (SELECT 2 AS seq) b ON a.seq = b.seq WHEN MATCHED THEN DELETE",
    "as a replica": "SET LOCAL session_replication_role = replica; DELETE FROM audit_event",
    "truncate as a replica": "SET LOCAL session_replication_role = replica; TRUNCATE audit_event",
    "a gap as a replica": f"SET LOCAL session_replication_role = replica; {copy_as(8)}",
}
STATEMENTS = EVERYWHERE | (ON_POSTGRESQL if POSTGRESQL else ON_SQLITE)


@pytest.fixture
def events(db):
    for name in ("Ada", "Bo", "Cy"):
        audit.record("signin.failed", result="denied", actor_name=name, facts={"n": 1})
    before = rows()
    yield before
    assert rows() == before


def rows():
    return list(Event.objects.order_by("seq").values())


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_the_database_refuses(events, statement):
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_the_database_takes_what_goes_on(db):
    """So the statements above are refused for their number and their place, and for nothing else."""
    audit.record("signout")
    with connection.cursor() as cursor:
        cursor.execute(copy_as(2))
        cursor.execute(copy_as(3))
    assert list(Event.objects.order_by("seq").values_list("seq", flat=True)) == [1, 2, 3]


def test_the_database_refuses_many_at_once(events):
    first = Event.objects.order_by("seq").values_list(*COLUMNS).first()
    row = tuple(first)[1:]
    many = f"INSERT INTO audit_event ({', '.join(COLUMNS)}) VALUES ({', '.join(['%s'] * len(COLUMNS))})"
    for statement, values in (
        ("UPDATE audit_event SET actor = %s WHERE seq = %s", [("x", 1), ("y", 2)]),
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
    "update": lambda: Event.objects.update(actor="x"),
    "filtered update": lambda: Event.objects.filter(seq=2).update(actor="x"),
    "delete": lambda: Event.objects.all().delete(),
    "manager delete": lambda: Event.objects.delete(),
    "bulk_update": lambda: Event.objects.bulk_update(list(Event.objects.all()), ["actor"]),
    "bulk_create": lambda: Event.objects.bulk_create([Event(seq=4)]),
    "update_or_create": lambda: Event.objects.update_or_create(seq=1, defaults={"actor": "x"}),
    "raw delete": lambda: Event.objects.all()._raw_delete("default"),
    "instance save": lambda: Event.objects.get(seq=2).save(),
    "instance save of a field": lambda: Event.objects.get(seq=2).save(update_fields=["actor"]),
    "instance delete": lambda: Event.objects.get(seq=2).delete(),
}


@pytest.mark.parametrize("attempt", REFUSED_BY_QUERYSETS.values(), ids=REFUSED_BY_QUERYSETS)
def test_the_models_refuse(events, attempt):
    with pytest.raises(AppendOnly):
        attempt()


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: Event.objects.aupdate(actor="x"),
        lambda: Event.objects.all().adelete(),
        lambda: Event.objects.abulk_create([Event(seq=4)]),
        lambda: Event.objects.aupdate_or_create(seq=1),
    ],
)
def test_the_asynchronous_names_refuse_as_well(attempt):
    with ThreadPoolExecutor(1) as elsewhere, pytest.raises(AppendOnly):  # browser tests keep a loop in this thread
        elsewhere.submit(lambda: asyncio.run(attempt())).result()


def again(seq, **changes):
    """A new object like the newest event, under another number."""
    (like,) = Event.objects.filter(seq=3).values()
    return Event(**like | {"seq": seq, "prev": like["hash"]} | changes)


REFUSED_BY_TRIGGERS = {
    "base manager update": lambda: Event._base_manager.filter(seq=2).update(actor="x"),
    "base manager delete": lambda: Event._base_manager.all().delete(),
    "plain queryset": lambda: models.QuerySet(Event).filter(seq=1).delete(),
    "save_base": lambda: Event.objects.get(seq=2).save_base(raw=True),
    "delete query": lambda: DeleteQuery(Event).delete_batch([1, 2], "default"),
    "a new object with a number in use": lambda: again(2).save(),
    "a gap": lambda: again(9).save(),
    "a fork": lambda: again(4, prev=GENESIS).save(),
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
