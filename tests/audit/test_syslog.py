"""The form of messages is RFC 5424's whatever they carry, and addresses are taken for what they are."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal import audit, checks
from portal.audit import forwarding, syslog
from portal.audit.canonical import canonical, hash_of, plain
from portal.audit.models import Event
from tests.audit.receivers import read, unframe

ANY = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
AT = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)


@given(
    st.sampled_from([2, 4, 6]),
    st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2999, 1, 1), timezones=st.just(UTC)),
    ANY,
    ANY,
    ANY,
    st.fixed_dictionaries({"seq": ANY, "hash": ANY}),
    st.dictionaries(ANY, st.one_of(ANY, st.integers(), st.none(), st.lists(ANY))),
)
def test_every_message_follows_the_grammar(severity, at, host, process, kind, data, content):
    body = canonical(plain(content))
    found = read(syslog.Message(severity, at, host, process, kind, data, body).encode())
    assert (found.facility, found.severity, found.time, found.app) == (13, severity, at, "getscreen-portal")
    assert found.data == {"audit@32473": data}
    assert found.body == body
    assert found.host.isprintable()


@given(st.lists(ANY, max_size=5))
def test_frames_count_octets(bodies):
    messages = [syslog.Message(6, AT, "h", "1", "k", {}, body) for body in bodies]
    found, rest = unframe(b"".join(message.frame() for message in messages))
    assert rest == b""
    assert found == [message.encode() for message in messages]


def test_one_message_byte_by_byte():
    message = syslog.Message(4, AT, "desk 1", "", "signin.failed", {"seq": "7", "hash": 'a"]\\'}, '{"a":"é"}')
    assert message.frame() == (
        b"122 <108>1 2026-03-04T05:06:07.000089Z desk_1 getscreen-portal - signin.failed"
        b' [audit@32473 seq="7" hash="a\\"\\]\\\\"] {"a":"\xc3\xa9"}'
    )


@pytest.mark.parametrize(
    ("kind", "result", "severity"),
    [
        ("signin.ok", "ok", 6),
        ("invitation.connect", "", 6),
        ("access.denied", "denied", 4),
        ("signin.failed", "failed", 4),
        ("invitation.create", "unknown", 4),
        ("audit.verified", "ok", 6),
        ("audit.verified", "failed", 2),
        ("audit.triggers", "failed", 2),
    ],
)
def test_an_event_says_how_grave_it_is_and_carries_its_record(db, kind, result, severity):
    event = audit.record(kind, result=result, facts={"of": "ünï\n"}, details={"secret": "Tilda"})
    found = read(forwarding.message_of(event).encode())
    assert (found.severity, found.kind, found.time) == (severity, kind, event.at)
    assert found.data == {"audit@32473": {"seq": str(event.seq), "hash": event.hash}}
    assert hash_of(found.body) == event.hash
    assert json.loads(found.body)["facts"] == {"of": "ünï\n"}
    assert "Tilda" not in found.body
    assert found.process == str(Event.objects.get().content["sys"]["pid"])


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("syslog+tcp://logs.example.org:601", ("logs.example.org", 601, False)),
        ("syslog+tls://logs.example.org:6514", ("logs.example.org", 6514, True)),
        ("syslog+tls://logs", ("logs", 6514, True)),
        ("syslog+tcp://10.1.2.3", ("10.1.2.3", 601, False)),
        ("syslog+tls://[2001:db8::7]:7000", ("2001:db8::7", 7000, True)),
        ("SYSLOG+TLS://Logs_1.Example.org", ("logs_1.example.org", 6514, True)),
    ],
)
def test_addresses(settings, url, expected):
    assert syslog.Target.parse(url) == expected
    settings.SYSLOG_URL = url
    assert checks.check_syslog() == []


@pytest.mark.parametrize(
    "url",
    [
        "logs.example.org:6514",
        "tcp://logs.example.org",
        "syslog://logs.example.org",
        "syslog+udp://logs.example.org",
        "syslog+tls://",
        "syslog+tls://:6514",
        "syslog+tls://logs:0",
        "syslog+tls://logs:70000",
        "syslog+tls://logs:x",
        "syslog+tls://logs/path",
        "syslog+tls://logs/",
        "syslog+tls://logs?x=1",
        "syslog+tls://logs#x",
        "syslog+tls://user:secret@logs",
        "syslog+tls://lo gs",
        "syslog+tls://lo\ngs",
        "syslog+tls://-logs",
        "syslog+tls://lögs",
        "syslog+tls://lo%67s",
        "syslog+tls://[::1",
        "https://logs.example.org",
    ],
)
def test_other_addresses_are_refused_by_name(settings, url):
    settings.SYSLOG_URL = url
    (found,) = checks.check_syslog()
    assert found.id == "portal.E008"
    assert found.msg.startswith("SYSLOG_URL ")
    assert "secret" not in found.msg


def test_a_file_without_certificates_is_refused_by_name(settings, tmp_path):
    settings.SYSLOG_CA_FILE = str(tmp_path / "none.pem")
    assert [each.id for each in checks.check_syslog()] == ["portal.E009"]
    (tmp_path / "none.pem").write_text("nothing", encoding="utf-8")
    (found,) = checks.check_syslog()
    assert found.msg == "SYSLOG_CA_FILE names a file that holds no certificates."


def test_a_target_is_named_without_its_scheme():
    assert str(syslog.Target.parse("syslog+tls://[::1]")) == "[::1]:6514"
    assert str(syslog.Target.parse("syslog+tcp://logs:1514")) == "logs:1514"
