"""The owner's address reaches the owner's commands and nothing else, and says nothing when it is wrong."""

from __future__ import annotations

import os

import pytest
from django.core.management import get_commands

from portal import ownership

OWNER = "postgres://portal_owner:hunter2@db:5432/portal"
RUNTIME = "postgres://portal%5Fweb:hunter3@pool:6432/portal"


@pytest.fixture
def choose(monkeypatch, tmp_path):
    """Return a function that chooses for a command in an environment of its own, and returns that."""

    def run(command, **variables):
        monkeypatch.setattr(os, "environ", {"ENV_FILE": str(tmp_path / "env")} | variables)
        monkeypatch.setattr(ownership.environ.Env, "ENVIRON", os.environ)
        monkeypatch.setattr(ownership, "runtime_role", "")
        ownership.choose(command)
        return os.environ

    return run


def test_the_owner_s_commands_exist():
    known = set(get_commands())
    assert known >= ownership.OWNER_COMMANDS
    assert {"serve", "watch", "start", "create_admin", "audit_verify"} <= known - ownership.OWNER_COMMANDS


@pytest.mark.parametrize("command", sorted(ownership.OWNER_COMMANDS))
def test_the_owner_s_commands_work_as_the_owner(choose, command):
    found = choose(command, DATABASE_OWNER_URL=OWNER, DATABASE_URL=RUNTIME)
    assert found["DATABASE_URL"] == OWNER
    assert ownership.runtime_role == "portal_web"
    assert not found["DATABASE_OWNER_URL"]


@pytest.mark.parametrize(
    "command", ["serve", "watch", "start", "audit_verify", "audit_export", "shell", "", "migratee"]
)
@pytest.mark.parametrize("name", ["DATABASE_OWNER_URL", "DATABASE_OWNER_URL_FILE"])
def test_all_others_never_see_the_owner_s_address(choose, tmp_path, command, name):
    value = OWNER if name == "DATABASE_OWNER_URL" else "/run/secrets/only-for-the-owner"
    for written_down in (False, True):
        given = {} if written_down else {name: value}
        (tmp_path / "env").write_text(f"{name}={value}\n" if written_down else "", encoding="utf-8")
        found = choose(command, DATABASE_URL=RUNTIME, **given)
        assert (found["DATABASE_URL"], ownership.runtime_role) == (RUNTIME, "")
        assert value not in found.values()


def test_both_addresses_may_stand_in_files(choose, tmp_path):
    (tmp_path / "owner").write_text(f"{OWNER}\n", encoding="utf-8")
    (tmp_path / "runtime").write_text(f"{RUNTIME}\n", encoding="utf-8")
    files = {"DATABASE_OWNER_URL_FILE": str(tmp_path / "owner"), "DATABASE_URL_FILE": str(tmp_path / "runtime")}
    found = choose("migrate", **files)
    assert (found["DATABASE_URL"], found["DATABASE_URL_FILE"], ownership.runtime_role) == (OWNER, "", "portal_web")
    found = choose("serve", **files)
    assert "DATABASE_URL" not in found
    assert (found["DATABASE_URL_FILE"], found["DATABASE_OWNER_URL_FILE"]) == (str(tmp_path / "runtime"), "")


def test_without_an_owner_everything_stays_as_it_is(choose):
    assert choose("migrate", DATABASE_URL=RUNTIME)["DATABASE_URL"] == RUNTIME
    assert "DATABASE_OWNER_URL" not in choose("serve", DATABASE_URL=RUNTIME)
    assert ownership.runtime_role == ""


def test_one_role_for_both_needs_no_rights(choose):
    choose("migrate", DATABASE_OWNER_URL=OWNER, DATABASE_URL=OWNER)
    assert ownership.runtime_role == ""


@pytest.mark.parametrize(
    ("owner", "runtime"),
    [
        (OWNER, ""),
        (OWNER, "sqlite:////data/portal.sqlite3"),
        ("sqlite:////data/portal.sqlite3", RUNTIME),
        (OWNER, "postgres://db/portal"),
        (OWNER, "postgres://portal:hunter3@db/another"),
        ("postgres://portal:hunter2@[db/portal", RUNTIME),
        ("hunter2", RUNTIME),
    ],
)
def test_addresses_that_do_not_fit_are_refused_without_a_word_of_them(choose, owner, runtime):
    with pytest.raises(SystemExit) as caught:
        choose("audit_purge", DATABASE_OWNER_URL=owner, DATABASE_URL=runtime)
    assert "DATABASE_OWNER_URL" in str(caught.value)
    assert "hunter" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(choose):
    with pytest.raises(SystemExit, match="DATABASE_OWNER_URL_FILE: cannot read /nothing/here"):
        choose("migrate", DATABASE_OWNER_URL_FILE="/nothing/here")
