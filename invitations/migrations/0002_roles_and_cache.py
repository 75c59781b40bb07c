"""The four roles as groups with their permissions, and the table of the shared cache."""

from django.contrib.auth.management import create_permissions
from django.core.management import call_command
from django.db import migrations

from portal.accounts.roles import ROLES


def create_roles(apps, schema_editor):
    using = schema_editor.connection.alias
    for label in ("accounts", "audit", "auth", "invitations"):
        config = apps.get_app_config(label)
        config.models_module = True  # Django makes permissions only after the last migration otherwise
        create_permissions(config, apps=apps, using=using, verbosity=0)
        config.models_module = None
    group_model = apps.get_model("auth", "Group")
    permission_model = apps.get_model("auth", "Permission")
    for role, names in ROLES.items():
        group, _ = group_model.objects.using(using).get_or_create(name=role)
        for name in names:
            label, codename = name.split(".")
            # What comes with later tables is given by their migration.
            group.permissions.add(
                *permission_model.objects.using(using).filter(content_type__app_label=label, codename=codename)
            )


def create_cache_table(apps, schema_editor):
    call_command("createcachetable", database=schema_editor.connection.alias, verbosity=0)


class Migration(migrations.Migration):
    dependencies = [
        ("invitations", "0001_initial"),
        ("accounts", "0001_initial"),
        ("audit", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [
        migrations.RunPython(create_roles, migrations.RunPython.noop),
        migrations.RunPython(create_cache_table, migrations.RunPython.noop),
    ]
