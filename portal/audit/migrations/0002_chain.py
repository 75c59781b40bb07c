"""Chain the log: new tables, and what was recorded before becomes the beginning of the chain.

Events of the format before keep their number, time and words; all of their facts go to the erasable
details, because nobody told personal ones from others then. The functions below are frozen copies of
`portal.audit.canonical`: a migration must not change when the code does.
"""

import hashlib
import ipaddress
import json
import secrets
import unicodedata
from datetime import UTC, datetime

from django.db import migrations, models

import portal.audit.models

OLD = "audit_event_0"
BATCH = 1000


def set_aside(apps, schema_editor):
    schema_editor.execute(f"CREATE TABLE {OLD} AS SELECT * FROM audit_event")  # nosec B608


def chain(apps, schema_editor):
    Event, Detail = apps.get_model("audit", "Event"), apps.get_model("audit", "Detail")
    connection, prev, seq = schema_editor.connection, "0" * 64, 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {OLD} WHERE seq > %s ORDER BY seq LIMIT {BATCH}", [seq])  # nosec B608
            names = [column[0] for column in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        if not rows:
            break
        for row in rows:
            prev, seq = convert(row, prev, Event, Detail), row["seq"]
    schema_editor.execute(f"DROP TABLE {OLD}")


def convert(row, prev, Event, Detail):
    data = row["data"] if isinstance(row["data"], dict) else json.loads(row["data"] or "{}")
    told = plain(
        {
            name: value
            for name, value in {
                **data,
                "claimed": "" if row["actor_id"] else row["actor_name"],
                "target": row["target_label"],
                "ip": row["origin_ip"],
                "agent": row["user_agent"],
            }.items()
            if value not in ("", None)
        }
    )
    salt, details = secrets.token_hex(16), canonical(told)
    actor = f"user:{row['actor_id']}" if row["actor_id"] else ("stranger" if row["origin_ip"] else "portal")
    content = {
        "v": 1,
        "seq": row["seq"],
        "ts": microseconds(row["at"]),
        "kind": row["kind"],
        "phase": row["phase"],
        "result": row["result"],
        "reference": row["reference"],
        "actor": {
            "id": actor,
            "name": row["actor_name"] if row["actor_id"] else "",
            "roles": [role for role in row["actor_roles"].split(", ") if role],
            "method": row["auth_method"],
            "session": "",
        },
        "origin": {"network": network(row["origin_ip"]), "proxied": False, "agent": ""},
        "target": f"{row['target_type']}:{row['target_id']}" if row["target_id"] else row["target_type"],
        "facts": {"converted": True},
        "up": {},
        "sys": {"release": "", "node": "", "pid": 0, "program": ""},
        "details": digest(b"portal-audit-details-v1", f"{salt}\n{details}") if told else "",
        "prev": prev,
    }
    content = plain(content)
    record = canonical(content)
    own = digest(b"portal-audit-v1", record)
    Event.objects.create(
        **{name: content[name] for name in ("seq", "ts", "kind", "phase", "result", "reference", "target", "prev")},
        actor=actor,
        network=content["origin"]["network"],
        hash=own,
        record=record,
    )
    if told:
        Detail.objects.create(seq=row["seq"], salt=salt, data=details, ticket=str(told.get("ticket", ""))[:100])
    return own


def microseconds(at):
    if isinstance(at, str):  # as SQLite keeps it
        at = datetime.fromisoformat(at)
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return int(at.timestamp()) * 1_000_000 + at.microsecond


def network(ip):
    if not ip:
        return ""
    address = ipaddress.ip_address(str(ip))
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))


def plain(value):
    if isinstance(value, dict):
        return {plain(str(name)): plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= 2**53 else str(value)
    return unicodedata.normalize("NFC", str(value).replace("\x00", "\ufffd"))


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(domain, content):
    content = content.encode()
    return hashlib.sha256(b"%s %d\n%s" % (domain, len(content), content)).hexdigest()


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]

    operations = [
        migrations.RunPython(set_aside, migrations.RunPython.noop),
        migrations.DeleteModel("Event"),
        migrations.CreateModel(
            name="Block",
            fields=[
                ("number", portal.audit.models.SequenceField(primary_key=True, serialize=False)),
                ("root", models.CharField(max_length=64)),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Checkpoint",
            fields=[
                ("size", portal.audit.models.SequenceField(primary_key=True, serialize=False)),
                ("root", models.CharField(max_length=64)),
                ("head", models.CharField(max_length=64)),
                ("ts", models.BigIntegerField()),
                ("note", models.TextField()),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Erasure",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("first", models.BigIntegerField()),
                ("last", models.BigIntegerField()),
                ("event", models.BigIntegerField()),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Standing",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("anchored_size", models.BigIntegerField(default=0)),
                ("anchored_at", models.DateTimeField(null=True)),
                ("anchor_error", models.CharField(blank=True, max_length=200)),
                ("forwarded_seq", models.BigIntegerField(default=0)),
                ("forwarded_at", models.DateTimeField(null=True)),
                ("forward_error", models.CharField(blank=True, max_length=200)),
                ("verify_requested_at", models.DateTimeField(null=True)),
                ("verify_began_at", models.DateTimeField(null=True)),
                ("verified_at", models.DateTimeField(null=True)),
                ("verified_state", models.CharField(blank=True, max_length=12)),
                ("verified_upto", models.BigIntegerField(default=0)),
                ("verified_size", models.BigIntegerField(default=0)),
                ("verified_findings", models.JSONField(default=list)),
                ("triggers_checked_at", models.DateTimeField(null=True)),
                ("triggers_missing_since", models.DateTimeField(null=True)),
                ("settings_digests", models.JSONField(default=dict)),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Watermark",
            fields=[
                ("upto", portal.audit.models.SequenceField(primary_key=True, serialize=False)),
                ("head", models.CharField(max_length=64)),
                ("root", models.CharField(max_length=64)),
                ("ts", models.BigIntegerField()),
                ("note", models.TextField()),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Detail",
            fields=[
                ("seq", portal.audit.models.SequenceField(primary_key=True, serialize=False)),
                ("salt", models.CharField(max_length=32)),
                ("data", models.TextField()),
                ("ticket", models.CharField(blank=True, max_length=100)),
            ],
            options={
                "default_permissions": (),
                "indexes": [
                    models.Index(
                        condition=models.Q(("ticket", ""), _negated=True),
                        fields=["ticket", "seq"],
                        name="audit_detail_ticket",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Event",
            fields=[
                ("seq", portal.audit.models.SequenceField(primary_key=True, serialize=False)),
                ("ts", models.BigIntegerField()),
                ("kind", models.CharField(max_length=64)),
                (
                    "phase",
                    models.CharField(
                        choices=[
                            ("intent", "Started"),
                            ("outcome", "Ended"),
                            ("single", "Single"),
                            ("reconciled", "Settled later"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "result",
                    models.CharField(
                        blank=True,
                        choices=[("ok", "Done"), ("denied", "Refused"), ("failed", "Failed"), ("unknown", "Unknown")],
                        max_length=8,
                    ),
                ),
                ("reference", models.CharField(blank=True, max_length=32)),
                ("actor", models.CharField(max_length=32)),
                ("target", models.CharField(blank=True, max_length=110)),
                ("network", models.CharField(blank=True, max_length=49)),
                ("prev", models.CharField(max_length=64)),
                ("hash", models.CharField(max_length=64)),
                ("record", models.TextField()),
            ],
            options={
                "verbose_name": "event",
                "verbose_name_plural": "events",
                "ordering": ["-seq"],
                "permissions": [
                    ("view_own_events", "See one's own actions in the audit log"),
                    ("view_team_events", "See the team's actions in the audit log"),
                    ("view_all_events", "See every action in the audit log"),
                ],
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(fields=["ts"], name="audit_event_ts"),
                    models.Index(fields=["kind", "ts"], name="audit_event_kind"),
                    models.Index(fields=["result", "ts"], name="audit_event_result"),
                    models.Index(fields=["actor", "ts"], name="audit_event_actor"),
                    models.Index(
                        condition=models.Q(("target", ""), _negated=True),
                        fields=["target", "ts"],
                        name="audit_event_target",
                    ),
                    models.Index(
                        condition=models.Q(("network", ""), _negated=True),
                        fields=["network", "ts"],
                        name="audit_event_network",
                    ),
                    models.Index(
                        condition=models.Q(("reference", ""), _negated=True),
                        fields=["reference"],
                        name="audit_event_reference",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("seq__gte", 1)), name="audit_event_seq_positive"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("phase", "intent"), ("result", "")),
                            models.Q(("phase", "intent"), _negated=True),
                            _connector="OR",
                        ),
                        name="audit_event_intent_has_no_result",
                    ),
                ],
            },
        ),
        migrations.RunPython(chain, migrations.RunPython.noop),
    ]
