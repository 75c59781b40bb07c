"""Every registered kind: one realistic event of it, and the sentence a person reads, done and tried."""

from __future__ import annotations

import re
from typing import Any

import pytest

from portal import audit
from portal.audit import sentences
from portal.audit.kinds import KINDS, Phase, Result
from portal.audit.models import Event

LINA = {"target_type": "user", "target_id": "7", "target_label": "lina"}
PAGE = {"target_type": "page", "target_label": "/admin/"}
TILDA = {
    "target_type": "invitation",
    "target_id": "q3xk7w",
    "target_label": "Tilda Brandt",
    "details": {"ticket": "HD-20418", "code": "••• ••• 461"},
}
FIELDS = {"facts": {"fields": ["email"]}, "details": {"changes": {"email": ["a@example.org", "b@example.org"]}}}
LINE = {"target_type": "team", "target_id": "3", "target_label": "First line"}
TEAMS = {
    "facts": {"fields": ["teams"], "joined": [3], "led": []},
    "details": {"changes": {"teams": [[], ["First line"]]}},
}
RENAMED = {**TILDA, "details": {"name": "Tilda B."}}
HELD = {**TILDA, "details": {"holder": "Joss Imre"}}
LOST = {"class": "Unavailable", "method": "support/list", "status": None, "reason": "no connection"}
REFUSED = {"class": "Malformed", "method": "support/connect", "status": 200, "reason": "a link we do not trust"}
OK, DENIED, FAILED, UNKNOWN = Result.OK, Result.DENIED, Result.FAILED, Result.UNKNOWN
Fixture = dict[str, Any]

# What is known where the event is made; the result is added by the tests, the last one being the usual.
FIXTURES: dict[str, tuple[Fixture, tuple[str, ...]]] = {
    "signin.ok": ({"facts": {"methods": ["password", "totp"]}}, (OK,)),
    "signin.failed": ({"actor_name": "lina"}, (DENIED,)),
    "signin.limited": ({"actor_name": "lina", "facts": {"left_out_before": 3}}, (DENIED,)),
    "signin.refused": ({"facts": {"reason": "foreign_domain"}}, (DENIED,)),
    "signin.closed": ({"facts": {"left_out_before": 0}}, (DENIED,)),
    "signin.link_made": (LINA, (OK,)),
    "signin.link_used": ({}, (OK,)),
    "sso.failed": ({"facts": {"left_out_before": 0}, "details": {"reason": "no connection"}}, (FAILED,)),
    "sso.connected": ({}, (OK,)),
    "sso.disconnected": (LINA, (OK,)),
    "sso.confirmed": ({"facts": {"vouched": True}}, (OK,)),
    "signin.factor_failed": ({}, (DENIED,)),
    "factor.added": ({**LINA, "facts": {"type": "passkey"}}, (OK,)),
    "factor.removed": ({**LINA, "facts": {"type": "authenticator app"}}, (OK,)),
    "factor.renamed": ({**LINA, "details": {"name": "Work laptop"}}, (OK,)),
    "factor.recovery_codes": (LINA, (OK,)),
    "factor.confirmed": ({"facts": {"type": "passkey"}}, (OK,)),
    "access.fresh_factor_asked": (TILDA, (DENIED,)),
    "signout": ({}, (OK,)),
    "session.ended": ({**LINA, "facts": {"count": 2, "reason": "password"}}, (OK,)),
    "session.expired": ({"facts": {"limit": "idle", "minutes": 30}}, (OK,)),
    "session.all_ended": ({"facts": {"count": 12, "people": 9}}, (OK,)),
    "session.concurrent": (
        {"facts": {"count": 1, "same_browser": True}, "details": {"networks": ["192.0.2.7"]}},
        (OK,),
    ),
    "reauthentication.ok": ({}, (OK,)),
    "reauthentication.failed": ({}, (DENIED,)),
    "password.changed": ({}, (OK,)),
    "password.reset": ({}, (OK,)),
    "password.reset_requested": ({**LINA, "actor_name": "lina@example.org"}, (FAILED, OK)),
    "password.reset_refused": ({"facts": {"left_out_before": 0}}, (DENIED,)),
    "enrolment.created": ({}, (OK,)),
    "enrolment.used": ({}, (OK,)),
    "enrolment.refused": ({"facts": {"left_out_before": 0}}, (DENIED,)),
    "user.created": ({**LINA, "facts": {"superuser": True}}, (OK,)),
    "user.changed": (LINA | FIELDS, (OK,)),
    "user.change_refused": ({**LINA, "facts": {"reason": "own roles"}}, (DENIED,)),
    "user.disabled": (LINA | FIELDS, (OK,)),
    "user.enabled": (LINA | FIELDS, (OK,)),
    "user.roles_changed": (LINA | FIELDS, (OK,)),
    "user.password_set": (LINA | FIELDS, (OK,)),
    "user.approved": (LINA, (OK,)),
    "user.link_made": ({**LINA, "facts": {"purpose": "invite"}}, (OK,)),
    "user.link_used": ({"facts": {"purpose": "reset"}}, (OK,)),
    "user.link_refused": ({"facts": {"left_out_before": 0}}, (DENIED,)),
    "factor.reset": ({**LINA, "facts": {"count": 2}, "details": {"reason": "lost phone"}}, (OK,)),
    "user.teams_changed": (LINA | TEAMS, (OK,)),
    "team.added": (LINE | TEAMS, (OK,)),
    "team.changed": (
        {**LINE, "facts": {"fields": ["name"]}, "details": {"changes": {"name": ["1st", "First"]}}},
        (OK,),
    ),
    "team.members_changed": (LINE | TEAMS, (OK,)),
    "team.deleted": (LINE, (OK,)),
    "factor.reencrypted": ({"facts": {"count": 3}}, (OK,)),
    "role.added": ({"target_type": "group", "target_id": "5", "target_label": "Second line"}, (OK,)),
    "role.changed": ({"target_type": "group", "target_id": "5", "target_label": "Second line"}, (OK,)),
    "role.deleted": ({"target_type": "group", "target_id": "5", "target_label": "Second line"}, (OK,)),
    "policy.changed": ({"target_type": "policy", "target_id": "1", **FIELDS}, (OK,)),
    "admin.added": ({"target_type": "policy", "target_id": "1", "target_label": "Policy"}, (OK,)),
    "admin.changed": ({"target_type": "policy", "target_id": "1", "target_label": "Policy"}, (OK,)),
    "admin.deleted": ({"target_type": "policy", "target_id": "1", "target_label": "Policy"}, (OK,)),
    "access.denied": ({**PAGE, "facts": {"method": "GET", "status": 403}}, (DENIED,)),
    "access.csrf": (PAGE, (DENIED,)),
    "access.embedded": (PAGE, (DENIED,)),
    "access.limited": (PAGE, (DENIED,)),
    "limit.reached": ({"facts": {"limit": "invitation.connects", "allowed": 20, "seconds": 600}}, (DENIED,)),
    "invitation.create": (TILDA, (DENIED, FAILED, UNKNOWN, OK)),
    "invitation.connect": ({**TILDA, "up": {"host": "go.getscreen.me", "ms": 40}}, (DENIED, FAILED, UNKNOWN, OK)),
    "invitation.rename": (RENAMED, (DENIED, FAILED, UNKNOWN, OK)),
    "invitation.close": (TILDA, (DENIED, FAILED, UNKNOWN, OK)),
    "invitation.noted": ({**TILDA, "facts": {"fields": ["note", "ticket"]}}, (OK,)),
    "invitation.claim": (TILDA, (DENIED, OK)),
    "invitation.take_over": (HELD, (OK,)),
    "invitation.hand_over": ({**TILDA, "facts": {"recipient": "person"}, "details": {"to": "Joss"}}, (DENIED, OK)),
    "invitation.release": (HELD, (DENIED, OK)),
    "invitation.return": ({**HELD, "facts": {"reason": "away"}}, (OK,)),
    "invitation.expire": (TILDA, (DENIED, FAILED, UNKNOWN, OK)),
    "invitation.erase": ({"facts": {"count": 3, "days": 90}}, (OK,)),
    "invitation.extended": ({**TILDA, "facts": {"hours": 8}}, (OK,)),
    "invitation.still": (TILDA, (OK,)),
    "invitation.preview": ({**TILDA, "up": {}}, (FAILED, OK)),
    "invitation.revealed": ({**TILDA, "facts": {"what": "code"}}, (OK,)),
    "join.continued": ({**TILDA, "facts": {"language": "de"}}, (OK,)),
    "invitation.qr": (TILDA, (OK,)),
    "invitation.mailed": (
        {**TILDA, "facts": {"language": "de", "line": False}, "details": {"address": "tilda@example.org"}},
        (OK,),
    ),
    "invitation.escalated": ({**TILDA, "facts": {"step": "webhook", "count": 2, "seconds": 120}}, (OK,)),
    "invitation.escalation_limited": ({"facts": {"allowed": 30}}, (DENIED,)),
    "delivery.sent": ({**TILDA, "facts": {"what": "mail", "tries": 1}}, (OK,)),
    "delivery.failed": ({**TILDA, "facts": {"what": "webhook", "tries": 6}}, (FAILED,)),
    "delivery.cancelled": (
        {**TILDA, "facts": {"what": "mail"}, "details": {"trouble": "the client does not wait any more"}},
        (OK,),
    ),
    "delivery.hastened": ({**TILDA, "facts": {"what": "webhook"}}, (OK,)),
    "delivery.tested": (
        {"target_type": "delivery", "target_label": "Chat", "details": {"trouble": "It cannot be reached"}},
        (FAILED, OK),
    ),
    "history.exported": ({"facts": {"rows": 120}}, (FAILED, OK)),
    "vendor.joined": ({**TILDA, "facts": {"precision_seconds": 3}}, (OK,)),
    "vendor.left": ({**TILDA, "facts": {"precision_seconds": 3}}, (OK,)),
    "vendor.session": ({**TILDA, "facts": {"precision_seconds": 3}}, (OK,)),
    "vendor.closed": ({**TILDA, "facts": {"precision_seconds": 3}}, (OK,)),
    "vendor.external": ({**TILDA, "facts": {"precision_seconds": 3}}, (OK,)),
    "vendor.status": ({**TILDA, "details": {"status": "9"}}, (OK,)),
    "vendor.trouble": ({"up": LOST}, (FAILED,)),
    "vendor.recovered": ({"facts": {"after": "unreachable"}}, (OK,)),
    "vendor.link_refused": ({**TILDA, "up": REFUSED}, (DENIED,)),
    "audit.viewed": ({"facts": {"filters": ["kind"]}}, (OK,)),
    "audit.event_viewed": ({"facts": {"event": 12}}, (OK,)),
    "audit.exported": ({"facts": {"rows": 500}}, (FAILED, OK)),
    "audit.evidence": (TILDA, (FAILED, OK)),
    "audit.verify_requested": ({}, (OK,)),
    "audit.verified": ({"facts": {"finding": "event 12 was changed"}}, (FAILED, OK)),
    "audit.purged": ({"facts": {"upto": 4000}}, (FAILED, OK)),
    "audit.erased": ({"facts": {"count": 31}}, (OK,)),
    "audit.key_created": ({"facts": {"key": "1f2e3d4c"}}, (OK,)),
    "audit.key_rotated": ({"facts": {"key": "5a6b7c8d", "old": "1f2e3d4c"}}, (OK,)),
    "audit.triggers": ({"facts": {"names": ["audit_event_next"]}}, (FAILED, OK)),
    "audit.anchor": ({}, (FAILED, OK)),
    "audit.forward": ({}, (FAILED, OK)),
    "audit.forward_skipped": ({"facts": {"count": 12}}, (FAILED,)),
    "audit.forward_tested": ({}, (FAILED, OK)),
    "system.started": ({}, (OK,)),
    "system.stopped": ({}, (OK,)),
    "system.recovered": ({"facts": {"count": 2}}, (OK,)),
    "system.configured": ({"facts": {"names": ["POLL_SECONDS"]}}, (OK,)),
    "system.migrated": ({"facts": {"applied": ["audit.0003_x"], "taken_back": []}}, (OK,)),
    "backup.made": (
        {"facts": {"file": "portal-20260318T030000Z.backup.zip"}, "details": {"reason": "No space left on device"}},
        (FAILED, OK),
    ),
    "backup.restored": ({"facts": {"made_at": "2026-03-18T03:00:00+00:00", "head": 4711, "cut": []}}, (OK,)),
    "system.clock": ({"facts": {"seconds": -3600}}, (OK,)),
}
SENTENCES = {
    ("session.ended", OK): "ended 2 sessions of lina",
    ("session.expired", OK): "was signed out by the idle limit of 30 minutes",
    ("signin.failed", DENIED): "tried to sign in as “lina”",
    ("password.reset_requested", FAILED): "asked for a password reset of lina, and the mail could not be sent",
    ("access.limited", DENIED): "was stopped at /admin/ after too many tries",
    ("limit.reached", DENIED): "reached the limit of 20 in 600 seconds (invitation.connects)",
    ("invitation.connect", OK): "got a link into the computer of Tilda Brandt",
    ("invitation.connect", UNKNOWN): "tried to connect to Tilda Brandt",
    ("invitation.revealed", OK): "copied the code of Tilda Brandt",
    ("vendor.trouble", FAILED): "lost Getscreen: no connection",
    ("system.clock", OK): "noticed that the clock jumped by -3600 seconds",
}
CASES = [(kind, result) for kind, (_, results) in FIXTURES.items() for result in results]


def test_every_kind_has_a_fixture_and_there_are_many():
    assert sorted(FIXTURES) == sorted(KINDS)
    assert len(KINDS) >= 45


@pytest.mark.parametrize(("kind", "result"), CASES)
def test_an_event_of_each_kind_speaks_in_a_whole_sentence(agent, kind, result):
    facts, _ = FIXTURES[kind]
    actor = None if kind.startswith(("vendor.", "system.")) or "actor_name" in facts else agent
    audit.record(kind, result=result, actor=actor, **facts)
    event = Event.objects.get()
    said = sentences.of(event)
    assert said == SENTENCES.get((kind, result), said)
    assert re.fullmatch(r"[a-z].*[^.\s]", said), "it follows a name, and the page ends it"
    assert not re.search(r"%|…|\[erased\]|without a name|None", said)
    assert sentences.who(event).strip()
    assert str(KINDS[kind].label)[0].isupper()


@pytest.mark.parametrize(
    ("kind", "facts", "said"),
    [
        ("session.ended", {"count": 1}, "ended 1 session of lina"),
        ("audit.exported", {"rows": 1}, "exported 1 event of the audit log"),
        ("audit.exported", {"rows": 0}, "exported 0 events of the audit log"),
        (
            "system.configured",
            {"names": ["OIDC_ISSUER", "SSO_ONLY"]},
            "started with other settings: OIDC_ISSUER, SSO_ONLY",
        ),
        ("session.ended", {}, "ended … sessions of lina"),
    ],
)
def test_sentences_count_and_list_as_people_do(db, kind, facts, said):
    event = audit.record(kind, result=OK, **LINA, facts=facts)
    assert sentences.of(event) == said


@pytest.mark.parametrize("kind", [kind for kind, (_, results) in FIXTURES.items() if set(results) - {OK}])
def test_what_was_not_done_is_not_told_as_done(db, kind):
    facts, results = FIXTURES[kind]
    tried = {sentences.of(audit.record(kind, result=result, **facts)) for result in results if result != OK}
    done = sentences.of(audit.record(kind, result=OK, **facts))
    assert done not in tried, kind


@pytest.mark.parametrize("kind", [kind for kind, (_, results) in FIXTURES.items() if UNKNOWN in results])
def test_an_intent_is_told_as_tried(db, kind):
    facts, _ = FIXTURES[kind]
    intent = audit.record(kind, phase=Phase.INTENT, **facts)
    assert sentences.of(intent) == sentences.of(audit.record(kind, result=FAILED, **facts))


@pytest.mark.parametrize("kind", ["", "invitation", "invitation.explode", "signin.OK", "Sign-in", None])
def test_an_unknown_kind_raises_and_leaves_nothing(db, kind):
    with pytest.raises(KeyError):
        audit.record(kind)
    assert not Event.objects.exists()
