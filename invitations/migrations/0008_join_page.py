"""A line of the timeline for clients who went on from the join page, and an index for the code they type."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_teams"),
        ("invitations", "0007_what_comes_with_it"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterField(
            model_name="entry",
            name="kind",
            field=models.CharField(
                choices=[
                    ("created", "Created"),
                    ("found", "Made outside the portal"),
                    ("joined", "Client joined"),
                    ("left", "Client left"),
                    ("connected", "Connected"),
                    ("active", "Session running"),
                    ("renamed", "Renamed"),
                    ("closed", "Closed"),
                    ("closed_outside", "Closed outside the portal"),
                    ("unknown", "Unknown status"),
                    ("claimed", "Claimed"),
                    ("taken_over", "Taken over"),
                    ("handed_over", "Handed over"),
                    ("released", "Released"),
                    ("returned", "Returned to the queue"),
                    ("shared", "Message sent"),
                    ("not_sent", "Message not delivered"),
                    ("noted", "Note changed"),
                    ("extended", "Extended"),
                    ("expired", "Expired"),
                    ("still", "Session confirmed"),
                    ("escalated", "Escalated"),
                    ("continued", "Client went on from the join page"),
                ],
                max_length=16,
            ),
        ),
        migrations.AddIndex(
            model_name="invitation",
            index=models.Index(fields=["code"], name="invitations_of_code"),
        ),
    ]
