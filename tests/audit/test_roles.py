"""Two roles on PostgreSQL: the one that owns the log migrates and purges, the one at work can only add to it."""

from __future__ import annotations

import secrets

import psycopg
import pytest
from django.core.management.base import CommandError

from portal.audit import grants, triggers
from tests import chain
from tests.databases import fresh, server

ONLY_POSTGRESQL = pytest.mark.skipif(not server(), reason="SQLite has no roles; tests/run.sh runs PostgreSQL as well")
LOG = [f"audit_{table}" for table in triggers.FIXED]


class Roles:
    """A database that an owner has migrated for another role."""

    def __init__(self, database, mark):
        self.database = database
        self.owner, self.runtime = f"portal_owner_{mark}", f"portal web {mark}"
        password = secrets.token_urlsafe(12)
        self.owner_url = database.as_role(self.owner, password)
        self.runtime_url = database.as_role(self.runtime.replace(" ", "%20"), password)
        database.ask(f"""CREATE ROLE "{self.owner}" LOGIN PASSWORD '{password}'""")
        database.ask(f"""CREATE ROLE "{self.runtime}" LOGIN PASSWORD '{password}'""")
        database.ask(f'ALTER SCHEMA public OWNER TO "{self.owner}"')
        database.ask(f'GRANT CREATE, CONNECT ON DATABASE {database.name} TO "{self.owner}" WITH GRANT OPTION')
        database.ask(f"REVOKE ALL ON DATABASE {database.name} FROM PUBLIC")

    def manage(self, *words, **more):
        return self.database.manage(*words, DATABASE_URL=self.runtime_url, DATABASE_OWNER_URL=self.owner_url, **more)

    def try_as(self, url, *statements):
        """Run statements in one transaction, and take them back."""
        with psycopg.connect(url) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.rollback()

    def drop(self):
        both = f'"{self.runtime}", "{self.owner}"'
        self.database.ask(f"DROP OWNED BY {both} CASCADE")
        self.database.ask(f"DROP ROLE {both}")


@pytest.fixture(scope="module")
def roles(tmp_path_factory):
    with fresh(tmp_path_factory.mktemp("roles")) as database:
        found = Roles(database, secrets.token_hex(4))
        try:
            done = found.manage("migrate", "-v0")
            assert done.returncode == 0, done.stderr[-2000:]
            done = found.manage("create_admin")
            assert done.returncode == 0, done.stderr[-2000:]
            yield found
        finally:
            found.drop()


COPY = """INSERT INTO audit_event
    SELECT seq + 1, ts, kind, phase, result, reference, actor, target, network, hash, hash, record
    FROM audit_event ORDER BY seq DESC LIMIT 1"""
REFUSED = {
    f"{what} {table}": statement.format(table)
    for table in LOG
    for what, statement in {
        "delete from": "DELETE FROM {}",
        "delete nothing from": "DELETE FROM {} WHERE false",
        "truncate": "TRUNCATE {}",
        "disable the triggers of": "ALTER TABLE {} DISABLE TRIGGER ALL",
        "drop a trigger of": "DROP TRIGGER {0}_no_delete ON {0}",
        "replace a trigger of": "CREATE OR REPLACE TRIGGER {0}_no_delete AFTER DELETE ON {0} FOR EACH ROW "
        "EXECUTE FUNCTION {0}_no_delete()",
        "drop": "DROP TABLE {}",
        "rename": "ALTER TABLE {} RENAME TO gone",
        "make a rule for": "CREATE RULE quiet AS ON INSERT TO {} DO INSTEAD NOTHING",
        "inherit from": "CREATE TABLE child () INHERITS ({})",
    }.items()
}
REFUSED |= {
    "update": "UPDATE audit_event SET kind = kind",
    "update nothing": "UPDATE audit_event SET kind = kind WHERE false",
    "update details": "UPDATE audit_detail SET data = '{}'",
    "update checkpoints": "UPDATE audit_checkpoint SET note = ''",
    "upsert": f"{COPY} ON CONFLICT (seq) DO UPDATE SET kind = 'x'",
    "lock out": "LOCK TABLE audit_event IN ACCESS EXCLUSIVE MODE",
    "add a watermark": "INSERT INTO audit_watermark SELECT seq, hash, '', 1, '' FROM audit_event WHERE seq = 1",
    "add an erasure": "INSERT INTO audit_erasure (first, last, event) VALUES (1, 1, 1)",
    "be a replica": "SET session_replication_role = replica",
    "change a function": "CREATE OR REPLACE FUNCTION audit_event_next() RETURNS trigger LANGUAGE plpgsql AS "
    "$$BEGIN RETURN NEW; END$$",
    "drop a function": "DROP FUNCTION audit_event_next() CASCADE",
    "let a function look elsewhere": "ALTER FUNCTION audit_event_next() RESET ALL",
    "make a schema": "CREATE SCHEMA another",
    "make a table": "CREATE TABLE another (x int)",
}
BESIDE_ITS_RIGHTS = psycopg.errors.InsufficientPrivilege


@ONLY_POSTGRESQL
@pytest.mark.parametrize("statement", REFUSED.values(), ids=REFUSED)
def test_the_role_at_work_may_not(roles, statement):
    with pytest.raises(BESIDE_ITS_RIGHTS) as caught:
        roles.try_as(roles.runtime_url, statement)
    assert "audit log" not in str(caught.value), "the database refuses before a trigger must"


@ONLY_POSTGRESQL
def test_the_role_at_work_cannot_become_the_owner(roles):
    for statement in (f'SET ROLE "{roles.owner}"', f'GRANT "{roles.owner}" TO "{roles.runtime}"'):
        with pytest.raises(BESIDE_ITS_RIGHTS):
            roles.try_as(roles.runtime_url, statement)


@ONLY_POSTGRESQL
def test_the_role_at_work_adds_to_the_log_and_reads_it(roles):
    roles.try_as(
        roles.runtime_url,
        COPY,
        "INSERT INTO audit_detail (seq, salt, data, ticket) SELECT MAX(seq), 's', '{}', '' FROM audit_event",
        "INSERT INTO audit_checkpoint SELECT seq, '', hash, 1, '' FROM audit_event ORDER BY seq DESC LIMIT 1",
        "INSERT INTO audit_block SELECT COALESCE(MAX(number) + 1, 0), '' FROM audit_block",
        *[f"SELECT * FROM {table}" for table in LOG],
    )


@ONLY_POSTGRESQL
def test_a_fork_is_refused_to_everybody(roles):
    for url in (roles.runtime_url, roles.owner_url):
        with pytest.raises(BESIDE_ITS_RIGHTS, match="no forks"):
            roles.try_as(url, COPY.replace("network, hash, hash", "network, prev, hash"))


@ONLY_POSTGRESQL
def test_the_rest_of_the_database_is_its_own_to_work_with(roles):
    with psycopg.connect(roles.runtime_url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        lacking = [
            name
            for (name,) in tables
            if name not in LOG
            for right in ("SELECT", "INSERT", "UPDATE", "DELETE")
            if not connection.execute("SELECT has_table_privilege(%s, %s)", (name, right)).fetchone()[0]
        ]
        beyond = [
            name
            for (name,) in tables
            if connection.execute("SELECT has_table_privilege(%s, 'TRUNCATE, TRIGGER')", (name,)).fetchone()[0]
        ]
    assert len(tables) > 15
    assert (lacking, beyond) == ([], [])


@ONLY_POSTGRESQL
def test_the_portal_appends_as_it_and_checks_as_it(roles):
    before, faults = roles.database.ask("SELECT COUNT(*) FROM audit_event"), chain.faults_in(roles.database.ask)
    for command in (["create_admin"], ["audit_checkpoint"]):
        done = roles.manage(*command)
        assert done.returncode == 0, done.stderr[-2000:]
    assert roles.database.ask("SELECT COUNT(*) FROM audit_event") > before
    assert roles.database.ask("SELECT COUNT(*) FROM audit_checkpoint") > [(0,)]
    assert chain.faults_in(roles.database.ask) == faults, "none but what other tests have erased here"
    done = roles.manage("audit_verify", "--json")
    assert done.returncode == 0, done.stdout + done.stderr


@ONLY_POSTGRESQL
def test_the_owner_s_commands_work_and_the_log_stays_whole(roles):
    told = "from portal import audit; audit.record('signin.failed', result='denied', actor_name='Ada')"
    assert roles.manage("shell", "-v0", "-c", told).returncode == 0
    seq = roles.database.ask("SELECT MAX(seq) FROM audit_detail")[0][0]
    words = ["audit_erase", "--events", f"{seq}-{seq}", "--reason", "asked for", "--yes"]
    alone = roles.database.manage(*words, DATABASE_URL=roles.runtime_url)
    assert alone.returncode != 0
    assert roles.database.ask("SELECT 1 FROM audit_detail WHERE seq = %s", seq)
    done = roles.manage(*words)
    assert done.returncode == 0, done.stderr[-2000:]
    assert not roles.database.ask("SELECT 1 FROM audit_detail WHERE seq = %s", seq)
    for command in (["migrate", "-v0"], ["audit_triggers", "--check"], ["audit_checkpoint"], ["audit_verify"]):
        done = roles.manage(*command)
        assert done.returncode == 0, done.stdout + done.stderr[-2000:]


@ONLY_POSTGRESQL
def test_rights_given_by_hand_are_taken_back_by_the_next_migration(roles):
    with psycopg.connect(roles.owner_url) as connection:
        connection.execute(f'GRANT ALL ON audit_event, audit_watermark TO "{roles.runtime}"')
    assert "portal.W004" in roles.manage("check", "--deploy").stderr
    assert roles.manage("migrate", "-v0").returncode == 0
    with pytest.raises(BESIDE_ITS_RIGHTS):
        roles.try_as(roles.runtime_url, "TRUNCATE audit_event")
    assert "portal.W004" not in roles.manage("check", "--deploy").stderr


@ONLY_POSTGRESQL
def test_a_role_that_owns_the_log_is_pointed_out(roles):
    told = roles.database.manage("check", "--deploy", DATABASE_URL=roles.owner_url)
    assert "portal.W004" in told.stderr
    assert "DATABASE_OWNER_URL" in told.stderr


@ONLY_POSTGRESQL
def test_a_role_that_does_not_exist_is_said(db, settings):
    settings.DATABASE_RUNTIME_ROLE = "nobody at all"
    with pytest.raises(CommandError, match="does not exist"):
        grants.give()


@ONLY_POSTGRESQL
def test_without_a_database_the_check_says_nothing(db, monkeypatch):
    monkeypatch.setattr(grants, "MAY_CHANGE", "SELECT true FROM nothing_of_that_name")
    assert grants.check_role() == []


def test_with_one_role_nothing_is_given(db, django_assert_num_queries):
    with django_assert_num_queries(0):
        grants.give()


def test_the_check_knows_which_database_has_roles(db):
    assert [found.id for found in grants.check_role()] == (["portal.W004"] if server() else [])


def test_what_is_given_names_every_table_of_the_log():
    assert set(grants.RIGHTS) == set(LOG)
    assert not [right for right in grants.RIGHTS.values() if set(right.split(", ")) - {"SELECT", "INSERT"}]


@ONLY_POSTGRESQL
def test_the_role_at_work_backs_all_of_it_up_and_the_owner_upgrades_and_gives_back_what_is_missing(roles, tmp_path):
    done = roles.database.manage("backup", "--dir", str(tmp_path), DATABASE_URL=roles.runtime_url)
    assert done.returncode == 0, done.stderr[-2000:]
    (file,) = tmp_path.iterdir()
    roles.database.ask(f'REVOKE ALL ON invitations_invitation FROM "{roles.runtime}"')
    done = roles.manage("upgrade")
    assert (done.returncode, "rights on invitations_invitation" in done.stdout) == (0, True), done.stderr[-2000:]
    done = roles.manage("restore", str(file))
    assert f"There is a portal in the database {roles.database.name}" in done.stderr
