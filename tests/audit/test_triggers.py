"""The triggers come back by themselves, and the portal is not ready while one of them is weaker."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.db import connection

from portal.audit import triggers

POSTGRESQL = connection.vendor == "postgresql"


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
            "DROP TRIGGER audit_event_no_delete",
            f"CREATE TRIGGER audit_event_no_delete BEFORE DELETE ON {where} BEGIN SELECT RAISE(ABORT, 'no'); END",
        ]
        for what, where in {
            "one that never fires": "audit_event WHEN 0",
            "one on another table": "auth_group",
            "one that forgets the watermark": "audit_event",
        }.items()
    },
    "one that asks for no order": [
        "DROP TRIGGER audit_event_next",
        "CREATE TRIGGER audit_event_next BEFORE INSERT ON audit_event WHEN 0 BEGIN SELECT RAISE(ABORT, 'no'); END",
    ],
}


def instead_of_no_update(when, *, each="ROW", condition="", function="audit_event_no_update"):
    return [
        "DROP TRIGGER audit_event_no_update ON audit_event",
        f"""CREATE TRIGGER audit_event_no_update {when} ON audit_event
            FOR EACH {each} {condition} EXECUTE FUNCTION {function}()""",
        "ALTER TABLE audit_event ENABLE ALWAYS TRIGGER audit_event_no_update",
    ]


def hollow(name):
    """A function of the same name that lets everything pass."""
    return f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN OLD; END$$"


WEAKENED_ON_POSTGRESQL = {
    what.format(name): [statement.format(name=name, table=f"audit_{guard.table}")]
    for name, guard in triggers.POSTGRESQL.items()
    for what, statement in {
        "without {}": "DROP TRIGGER {name} ON {table}",
        "disabled {}": "ALTER TABLE {table} DISABLE TRIGGER {name}",
        "not for replicas {}": "ALTER TABLE {table} ENABLE TRIGGER {name}",
        "for replicas only {}": "ALTER TABLE {table} ENABLE REPLICA TRIGGER {name}",
    }.items()
}
WEAKENED_ON_POSTGRESQL |= {f"hollow {name}": [hollow(name)] for name in triggers.POSTGRESQL}
WEAKENED_ON_POSTGRESQL |= {
    f"{name} {how}": [f"ALTER FUNCTION {name}() {how}"]
    for name in ("audit_event_no_delete", "audit_event_next")
    for how in ("RESET ALL", "SET search_path = pg_temp, public", "SET search_path = public")
}
WEAKENED_ON_POSTGRESQL |= {
    "one that never fires": instead_of_no_update("BEFORE UPDATE", condition="WHEN (false)"),
    "one for deletes": instead_of_no_update("BEFORE DELETE"),
    "one for one column": instead_of_no_update("BEFORE UPDATE OF kind"),
    "one per statement": instead_of_no_update("BEFORE UPDATE", each="STATEMENT"),
    "one too late": instead_of_no_update("AFTER UPDATE"),
    "another's function": instead_of_no_update("BEFORE UPDATE", function="audit_event_next"),
    "no triggers at all": ["ALTER TABLE audit_event DISABLE TRIGGER ALL"],
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
    assert answer.json() == {
        "ready": False,
        "problem": "audit",
        "seconds_since_sync": None,
        "minutes_since_anchor": None,
        "forward_lag": None,
        "hours_since_backup": None,
    }
    triggers.reinstall()
    assert anonymous.get("/readyz").status_code == 200
