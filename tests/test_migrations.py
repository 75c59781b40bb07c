"""Migrations of one release only add: replicas of the release before work on while they are applied, and afterwards.

docs/decisions/0025 has the rule. What it cannot decide by itself is listed here, with the reason why it is harmless.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState

from tests.releases import RELEASES, unpacked

OURS = ("accounts", "audit", "invitations")
HARMLESS = (
    migrations.CreateModel,
    migrations.AddIndex,
    migrations.RemoveIndex,
    migrations.AlterModelOptions,
    migrations.AlterModelManagers,
)
# "app.name" → why the release before can work with what the rule does not allow by itself. Contracting is for the
# release after the one that has stopped using a thing.
REVIEWED: dict[str, str] = {}


def released(folder) -> set[tuple[str, str]]:
    """Return the migrations that the newest kept database has: of these it is too late to change anything."""
    file = folder / "released.sqlite3"
    file.write_bytes(unpacked(RELEASES[-1], "portal.sqlite3.gz"))
    with closing(sqlite3.connect(file)) as database:
        return set(database.execute("SELECT app, name FROM django_migrations"))


def troubles(operation: Operation, app: str, before: ProjectState) -> Iterator[str]:
    """Say why code that does not know of an operation could not work with what it leaves."""
    what = operation.describe()
    if isinstance(operation, migrations.AddField):
        field = operation.field
        if not (field.null or field.has_db_default() or field.many_to_many or field.generated):
            yield f"{what}: rows of the release before would lack it; give it null=True or db_default"
    elif isinstance(operation, migrations.AlterField):
        yield from narrower(
            what, before.models[app, operation.model_name_lower].fields[operation.name], operation.field
        )
    elif not isinstance(operation, HARMLESS):
        yield f"{what}: only additions are for this release"


def narrower(what: str, old: models.Field, new: models.Field) -> Iterator[str]:
    if old.null and not new.null:
        yield f"{what}: the release before writes NULL"
    if type(old) is not type(new) or (old.max_length or 0) > (new.max_length or 0):
        yield f"{what}: the column takes less than before"
    if new.unique and not old.unique:
        yield f"{what}: the release before may write doubles"
    if old.has_db_default() and not new.has_db_default():
        yield f"{what}: rows of the release before would lack it"


def test_migrations_since_the_last_release_only_add(tmp_path):
    loader, old, wrong = MigrationLoader(None), released(tmp_path), []
    for (app, name), migration in loader.disk_migrations.items():
        if app in OURS and (app, name) not in old and f"{app}.{name}" not in REVIEWED:
            state = loader.project_state([(app, name)], at_end=False)
            for operation in migration.operations:
                wrong += [f"{app}.{name}: {text}" for text in troubles(operation, app, state)]
                operation.state_forwards(app, state)
    assert wrong == []
    assert {tuple(name.split(".")) for name in REVIEWED} <= set(loader.disk_migrations)


def test_no_migration_of_a_release_was_taken_away(tmp_path):
    assert {each for each in released(tmp_path) if each[0] in OURS} <= set(MigrationLoader(None).disk_migrations)


def altered(field):
    return migrations.AlterField("thing", "name", field)


@pytest.mark.parametrize(
    ("operation", "is_fine"),
    [
        (migrations.AddField("thing", "more", models.IntegerField(null=True)), True),
        (migrations.AddField("thing", "more", models.IntegerField(db_default=0)), True),
        (migrations.AddField("thing", "more", models.IntegerField(default=0)), False),
        (migrations.RemoveField("thing", "name"), False),
        (migrations.RenameField("thing", "name", "title"), False),
        (migrations.RenameModel("thing", "part"), False),
        (migrations.DeleteModel("thing"), False),
        (migrations.RunSQL("SELECT 1"), False),
        (migrations.AddConstraint("thing", models.UniqueConstraint(fields=["name"], name="once")), False),
        (altered(models.CharField(max_length=20, null=True, choices=[("a", "A")])), True),
        (altered(models.CharField(max_length=20)), False),
        (altered(models.CharField(max_length=5, null=True)), False),
        (altered(models.CharField(max_length=20, null=True, unique=True)), False),
        (altered(models.IntegerField(null=True)), False),
    ],
    ids=str,
)
def test_the_rule_tells_what_the_release_before_could_not_work_with(operation, is_fine):
    state = ProjectState()
    state.add_model(ModelState("app", "Thing", [("name", models.CharField(max_length=20, null=True))]))
    assert (list(troubles(operation, "app", state)) == []) == is_fine
