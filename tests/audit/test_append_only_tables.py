"""What stands beside the events is as fixed as they are: details, checkpoints, blocks, watermarks, erasures."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, models, transaction

from portal import audit
from portal.audit.models import AppendOnly, Block, Checkpoint, Detail, Erasure, Event, Watermark
from portal.audit.triggers import FIXED

POSTGRESQL = connection.vendor == "postgresql"
BESIDE = {model._meta.db_table: model for model in (Detail, Checkpoint, Block, Watermark, Erasure)}
HASH = "(SELECT hash FROM audit_event WHERE seq = {})"
AS_REPLICA = "SET LOCAL session_replication_role = replica"
UNKNOWN = f"'{'e' * 64}'"


def run(*statements):
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def insert(table, *, verb="INSERT INTO", tail="", **values):
    return f"{verb} audit_{table} ({', '.join(values)}) VALUES ({', '.join(map(str, values.values()))}) {tail}"


def checkpoint(size, head=None, **more):
    return insert("checkpoint", size=size, head=head or HASH.format(size), root="'r'", ts=1, note="'n'", **more)


def block(number, **more):
    return insert("block", number=number, root="'r'", **more)


def watermark(upto, head=None, **more):
    return insert("watermark", upto=upto, head=head or HASH.format(upto), root="'r'", ts=1, note="'n'", **more)


def erasure(first, last, event, **more):
    return insert("erasure", first=first, last=last, event=event, **more)


def detail(seq, **more):
    return insert("detail", seq=seq, salt="'s'", data="'{}'", ticket="''", **more)


def rows():
    return {
        table: list(model._base_manager.order_by("pk").values()) for table, model in ({"event": Event} | BESIDE).items()
    }


@pytest.fixture
def kept(db):
    """Five events with details and one without, and one row in every other table."""
    for name in ("Ada", "Bo", "Cy", "Di"):
        audit.record("signin.failed", result="denied", actor_name=name)
    audit.record("audit.erased", result="ok", details={"ticket": "T-5"})
    run(
        checkpoint(2), block(0), watermark(1), erasure(2, 2, 5, id=1), "INSERT INTO auth_group (name) VALUES ('beside')"
    )
    audit.record("signout", result="ok")
    before = rows()
    yield before
    assert rows() == before


def common(table):
    """What no table takes."""
    key = BESIDE[table]._meta.pk.column
    columns = ", ".join(field.column for field in BESIDE[table]._meta.concrete_fields)
    other = next(field.column for field in BESIDE[table]._meta.concrete_fields if not field.primary_key)
    again = f"audit_x ({columns}) SELECT {columns} FROM {table}".replace("audit_x", table)
    found = {
        "update": f"UPDATE {table} SET {other} = {other}",
        "renumber": f"UPDATE {table} SET {key} = {key} + 100",
        "again": f"INSERT INTO {again}",
        "upsert": f"INSERT INTO {again} WHERE 1 = 1 ON CONFLICT ({key}) DO UPDATE SET {other} = {table}.{other}",
        "insert or nothing": f"INSERT INTO {again} WHERE 1 = 1 ON CONFLICT ({key}) DO NOTHING",
    }
    if table != "audit_detail":
        found["delete"] = f"DELETE FROM {table}"
    if POSTGRESQL:
        found |= {
            "truncate": f"TRUNCATE {table}",
            "truncate cascade": f"TRUNCATE {table}, auth_group CASCADE",
            "update as a replica": f"{AS_REPLICA}; UPDATE {table} SET {other} = {other}",
            "truncate as a replica": f"{AS_REPLICA}; TRUNCATE {table}",
            "again as a replica": f"{AS_REPLICA}; INSERT INTO {again}",
        }
    else:
        found |= {
            "replace": f"REPLACE INTO {again}",
            "insert or replace": f"INSERT OR REPLACE INTO {again}",
            "insert or ignore": f"INSERT OR IGNORE INTO {again}",
            "update or replace": f"UPDATE OR REPLACE {table} SET {key} = {key}",
            "update or ignore": f"UPDATE OR IGNORE {table} SET {other} = {other}",
        }
    return {f"{table} {name}": statement for name, statement in found.items()}


REFUSED = {
    "delete of details": "DELETE FROM audit_detail",
    "delete of details without an erasure": "DELETE FROM audit_detail WHERE seq = 3",
    "delete of the details after an erasure": "DELETE FROM audit_detail WHERE seq > 2",
    "late details of an event without any": detail(1),
    "details of an older event": detail(4),
    "details of nothing": detail(0),
    "details of no event yet": detail(7),
    "details of NULL": detail("NULL"),
    "a checkpoint with another head": checkpoint(6, UNKNOWN),
    "a checkpoint with an older head": checkpoint(6, HASH.format(5)),
    "a checkpoint with no head": checkpoint(6, "''"),
    "a checkpoint of no event yet": checkpoint(7, HASH.format(6)),
    "a checkpoint of nothing": checkpoint(0, f"'{'0' * 64}'"),
    "a checkpoint in front of the last": checkpoint(1),
    "a checkpoint over the last": checkpoint(2),
    "a block too early": block(2),
    "a block again": block(0),
    "a block in front of all": block(-1),
    "a block without a number": block("NULL"),
    "a watermark with another head": watermark(3, UNKNOWN),
    "a watermark with the newest head": watermark(3, HASH.format(6)),
    "a watermark without a head": watermark(3, "''"),
    "a watermark with NULL for a head": watermark(3, "NULL"),
    "a watermark over the newest": watermark(6),
    "a watermark over what is not there": watermark(99, HASH.format(6)),
    "a watermark over all": watermark(2**62, UNKNOWN),
    "a watermark again": watermark(1),
    "a lower watermark": watermark(0, f"'{'0' * 64}'"),
    "an erasure without its event": erasure(1, 4, 6),
    "an erasure of no event": erasure(1, 4, 7),
    "an erasure with NULL for an event": erasure(1, 4, "NULL"),
    "an erasure stretched afterwards": erasure(1, 4, 5),
    "an erasure stretched under its number": erasure(1, 4, 5, id=1),
}
for table in BESIDE:
    REFUSED |= common(table)
REFUSED |= {
    f"{name}, or replace": statement.replace("INSERT INTO", "INSERT OR REPLACE INTO")
    for name, statement in REFUSED.items()
    if statement.startswith("INSERT INTO") and "CONFLICT" not in statement and not POSTGRESQL
}


@pytest.mark.parametrize("statement", REFUSED.values(), ids=REFUSED)
def test_the_database_refuses(kept, statement):
    with pytest.raises(DatabaseError), transaction.atomic():
        run(statement)


@pytest.mark.skipif(POSTGRESQL, reason="a setting of SQLite")
@pytest.mark.parametrize("table", BESIDE)
def test_replacing_is_refused_with_recursive_triggers_off(kept, table):
    run("PRAGMA recursive_triggers = OFF")
    try:
        for name, statement in common(table).items():
            if "replace" in name:
                with pytest.raises(DatabaseError), transaction.atomic():
                    run(statement)
    finally:
        run("PRAGMA recursive_triggers = ON")


ALLOWED = {
    "a checkpoint of the newest": checkpoint(6),
    "a checkpoint of an event between": checkpoint(4),
    "the next block": block(1),
    "a higher watermark": watermark(3),
    "the highest watermark": watermark(5),
    "details of the newest event, which has none yet": detail(6),
    "delete of the erased details": "DELETE FROM audit_detail WHERE seq = 2",
    "delete of details under the watermark": "DELETE FROM audit_detail WHERE seq = 1",
    "delete of events under the watermark": "DELETE FROM audit_event WHERE seq <= 1",
}


@pytest.mark.parametrize("statement", ALLOWED.values(), ids=ALLOWED)
def test_the_database_allows(kept, statement):
    """So what is refused above is refused for what is wrong with it."""
    before = rows()
    with transaction.atomic():
        run(statement)
        assert rows() != before
        transaction.set_rollback(True)


@pytest.mark.parametrize(
    ("first", "last"),
    [(0, 2), (-1, 2), (3, 2), (1, 6), (1, 2**62), ("NULL", 2), (1, "NULL")],
)
def test_an_erasure_is_of_events_up_to_its_own(db, first, last):
    for _ in range(4):
        audit.record("signin.failed", result="denied", actor_name="x")
    event = audit.record("audit.erased", result="ok").seq
    with pytest.raises(DatabaseError), transaction.atomic():
        run(erasure(first, last, event))
    run(erasure(1, event, event))
    run("DELETE FROM audit_detail WHERE seq BETWEEN 1 AND 4")
    audit.record("signin.failed", result="denied", actor_name="after")
    with pytest.raises(DatabaseError), transaction.atomic():
        run("DELETE FROM audit_detail")
    assert [event.details for event in Event.objects.order_by("seq")][:4] == [{}] * 4
    assert Event.objects.order_by("seq").first().has_lost_details


def test_a_purge_removes_what_is_under_its_watermark_and_nothing_else(kept):
    with transaction.atomic():
        run(watermark(3))
        with pytest.raises(DatabaseError), transaction.atomic():
            run("DELETE FROM audit_event WHERE seq <= 4")
        run("DELETE FROM audit_detail WHERE seq <= 3", "DELETE FROM audit_event WHERE seq <= 3")
        assert audit.record("signout").seq == 7
        run(watermark(6), "DELETE FROM audit_event WHERE seq <= 6")
        following = audit.record("signout")
        assert (following.seq, following.prev) == (8, Event.objects.get(seq=7).hash)
        transaction.set_rollback(True)


def test_an_event_goes_on_from_a_watermark_if_nothing_else_is_left(kept):
    """A purge never removes the newest event, but a copy of the database may hold only what it has left."""
    head = Event.objects.get(seq=6)
    with transaction.atomic():
        from portal.audit import triggers

        triggers.drop(connection)
        run(watermark(6), "DELETE FROM audit_detail", "DELETE FROM audit_event")
        triggers.reinstall()
        following = audit.record("signout")
        assert (following.seq, following.prev) == (7, head.hash)
        transaction.set_rollback(True)


@pytest.mark.skipif(not POSTGRESQL, reason="SQLite's triggers look into their own database only")
@pytest.mark.parametrize(
    ("lookalike", "statement"),
    [
        (
            "CREATE TEMP TABLE audit_watermark AS SELECT 99::bigint AS upto, ''::text AS head",
            "DELETE FROM {}.audit_event",
        ),
        ("CREATE TEMP TABLE audit_watermark AS SELECT 99::bigint AS upto", "DELETE FROM {}.audit_detail"),
        (
            "CREATE TEMP TABLE audit_erasure AS SELECT 0::bigint AS first, 99::bigint AS last",
            "DELETE FROM {}.audit_detail",
        ),
        (
            "CREATE TEMP TABLE audit_event AS SELECT 98::bigint AS seq, repeat('0', 64) AS hash",
            """INSERT INTO {0}.audit_event SELECT 99, ts, kind, phase, result, reference, actor, target, network,
            repeat('0', 64), hash, record FROM {0}.audit_event WHERE seq = 1""",
        ),
    ],
)
def test_temporary_tables_deceive_nobody(kept, lookalike, statement):
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        (schema,) = cursor.fetchone()
    with pytest.raises(DatabaseError, match="audit log"), transaction.atomic():
        run(lookalike, statement.format(schema))


@pytest.mark.parametrize("model", BESIDE.values(), ids=BESIDE)
def test_the_models_refuse(kept, model):
    first = model.objects.first()
    for attempt in (
        lambda: model.objects.update(pk=9),
        lambda: model.objects.all().delete(),
        lambda: model.objects.bulk_create([first]),
        lambda: model.objects.bulk_update([first], ["pk"]),
        lambda: model.objects.update_or_create(pk=first.pk),
        lambda: model.objects.all()._raw_delete("default"),
        first.save,
        first.delete,
    ):
        with pytest.raises(AppendOnly):
            attempt()


@pytest.mark.parametrize("model", BESIDE.values(), ids=BESIDE)
def test_what_goes_around_the_models_meets_the_triggers(kept, model):
    last = model.objects.order_by("pk").last()
    for attempt in (
        lambda: model._base_manager.filter(pk=last.pk).update(**{model._meta.concrete_fields[1].name: 9}),
        lambda: models.QuerySet(model).filter(pk=last.pk).delete(),
        lambda: last.save_base(raw=True),
        lambda: last.save_base(raw=True, force_insert=True),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            attempt()


def test_every_table_of_the_log_is_guarded_but_the_one_that_proves_nothing():
    tables = {model._meta.db_table for model in apps.get_app_config("audit").get_models()}
    assert tables - {"audit_standing"} == {f"audit_{table}" for table in FIXED}
