"""A phrase of its own for each open invitation, the first outcomes, and what administrators may change from now on."""

from django.contrib.auth.management import create_permissions
from django.db import migrations

from invitations.models import new_phrase
from portal.accounts.roles import ADMINISTRATOR, ROLES

OUTCOMES = ("Solved", "Follow-up needed", "Client did not come", "Client refused", "Wrong person")


def give_phrases(apps, schema_editor):
    rows = apps.get_model("invitations", "Invitation").objects.using(schema_editor.connection.alias).exclude(status=3)
    for row in rows.only("pk"):
        row.phrase = new_phrase()
        row.save(update_fields=["phrase"])


def offer_outcomes(apps, schema_editor):
    outcomes = apps.get_model("invitations", "Outcome").objects.using(schema_editor.connection.alias)
    for position, name in enumerate(OUTCOMES, start=1):
        outcomes.get_or_create(name=name, defaults={"position": position})


def give_permissions(apps, schema_editor):
    using = schema_editor.connection.alias
    for label in ("accounts", "invitations"):
        config = apps.get_app_config(label)
        config.models_module = True  # Django makes permissions only after the last migration otherwise
        create_permissions(config, apps=apps, using=using, verbosity=0)
        config.models_module = None
    permissions = apps.get_model("auth", "Permission").objects.using(using)
    for group in apps.get_model("auth", "Group").objects.using(using).filter(name=ADMINISTRATOR):
        for name in ROLES[ADMINISTRATOR]:
            label, codename = name.split(".")
            group.permissions.add(*permissions.filter(content_type__app_label=label, codename=codename))


class Migration(migrations.Migration):
    dependencies = [
        ("invitations", "0006_teamwork"),
        ("accounts", "0003_teams"),
    ]
    operations = [
        migrations.RunPython(give_phrases, migrations.RunPython.noop),
        migrations.RunPython(offer_outcomes, migrations.RunPython.noop),
        migrations.RunPython(give_permissions, migrations.RunPython.noop),
    ]
