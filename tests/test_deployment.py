"""How the portal is run: compose.yaml, what sets it up, systemd's units.

Without an engine: files are read as an engine would read them. What only an engine can show is told in
docs/operations.md.
"""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
from collections import defaultdict
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from invitations import server
from portal import ownership
from portal.checks import is_weak
from tests.portal.test_settings import load, variables

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "docs" / "deploy"
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OF_PORTAL = ("upgrade", "web", "watch")
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
SECRET_SETTINGS = set(
    re.findall(r'\bsecret\("([A-Z_]+)"', (ROOT / "portal" / "settings.py").read_text(encoding="utf-8"))
)

every_service = pytest.mark.parametrize("name", SERVICES)


def default(text: str) -> str:
    """Return what `${NAME:-default}` stands for where nothing is set."""
    while (told := re.sub(r"\$\{[A-Z_]+:-([^${}]*)\}", r"\1", text)) != text:
        text = told
    return text


def seconds(duration: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([smh])", duration).groups()
    return int(number) * {"s": 1, "m": 60, "h": 3600}[unit]


# --- compose.yaml: what a container may do


@every_service
def test_a_container_runs_as_nobody_in_particular(name):
    user, _, group = default(SERVICES[name]["user"]).partition(":")
    assert int(user) > 0
    assert group.isdecimal()


@every_service
def test_a_container_cannot_write_to_its_own_files(name):
    assert SERVICES[name]["read_only"] is True


@every_service
def test_a_container_has_no_rights_of_root(name):
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "proxy" else [])
    assert not service.get("privileged")


@every_service
def test_a_container_gains_no_rights(name):
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]


@every_service
def test_a_container_shares_nothing_with_the_machine(name):
    shared = {"network_mode", "pid", "ipc", "userns_mode", "devices", "cgroup_parent", "extra_hosts"}
    assert not shared & set(SERVICES[name])
    assert "docker.sock" not in str(SERVICES[name])
    folders = [
        volume for volume in map(default, SERVICES[name].get("volumes", [])) if volume.startswith((".", "/", "~"))
    ]
    assert all(volume.startswith("./docs/deploy/") and volume.endswith(":ro") for volume in folders)
    assert all((ROOT / volume.split(":")[0]).is_file() for volume in folders)


@every_service
def test_what_a_container_writes_for_a_while_cannot_be_run(name):
    places = SERVICES[name]["tmpfs"]
    assert "/tmp" in {place.split(":")[0] for place in places}
    assert all({"noexec", "nosuid", "nodev"} <= set(place.split(":")[1].split(",")) for place in places)
    assert all("size=" in place for place in places)


@every_service
def test_a_container_cannot_eat_up_the_machine(name):
    service = SERVICES[name]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert float(default(service["cpus"])) <= 1
    assert 0 < service["pids_limit"] <= 200


@every_service
def test_a_container_leaves_no_dump_of_its_memory(name):
    assert SERVICES[name]["ulimits"] == {"core": 0}


@every_service
def test_logs_do_not_fill_the_disk(name):
    options = SERVICES[name]["logging"]["options"]
    assert options["max-size"] == "10m"
    assert options["max-file"] == "5"


@every_service
def test_a_container_comes_back_unless_it_is_done(name):
    assert SERVICES[name]["restart"] == ("no" if name == "upgrade" else "unless-stopped")
    assert SERVICES[name]["init"] is True


def test_nothing_listens_to_others_unless_told():
    ports = {name: service.get("ports", []) for name, service in SERVICES.items()}
    assert [default(port) for port in ports.pop("web")] == ["127.0.0.1:8000:8000"]
    assert len(ports.pop("proxy")) == 2  # its profile is the telling
    assert not any(ports.values())


def test_the_database_is_reached_by_the_portal_alone():
    assert COMPOSE["networks"]["database"] == {"internal": True}
    on_it = {name for name, service in SERVICES.items() if "database" in service["networks"]}
    assert on_it == {"db", *OF_PORTAL}
    assert SERVICES["db"]["networks"] == ["database"]


def test_requests_in_flight_have_more_time_than_they_take():
    assert all(seconds(service["stop_grace_period"]) > server.GRACE for service in SERVICES.values())


def test_health_is_asked_where_somebody_answers():
    assert "healthcheck" not in SERVICES["web"]  # the image's own
    assert SERVICES["upgrade"]["healthcheck"] == {"disable": True}
    assert all(SERVICES[name]["healthcheck"]["test"][0] == "CMD" for name in ("watch", "db", "proxy"))


# --- compose.yaml: what belongs together


def test_nothing_starts_before_the_database_is_prepared():
    assert SERVICES["upgrade"]["command"] == ["python", "manage.py", "upgrade"]
    assert SERVICES["upgrade"]["depends_on"] == {"db": {"condition": "service_healthy", "required": False}}
    for name in ("web", "watch"):
        assert SERVICES[name]["depends_on"] == {"upgrade": {"condition": "service_completed_successfully"}}


def test_without_a_profile_there_is_the_portal_on_sqlite():
    assert {name for name, service in SERVICES.items() if "profiles" not in service} == set(OF_PORTAL)
    assert (SERVICES["db"]["profiles"], SERVICES["proxy"]["profiles"]) == (["postgres"], ["tls"])


@every_service
def test_secrets_are_files_and_each_container_gets_its_own_alone(name):
    service = SERVICES[name]
    given = service.get("environment", {})
    in_the_open = {key: value for key, value in given.items() if re.search(r"KEY|PASSWORD|TOKEN|SECRET|_URL$", key)}
    in_the_open = {key: value for key, value in in_the_open.items() if not key.endswith("_FILE")}
    assert {key for key, value in in_the_open.items() if default(value)} == set()
    files = {Path(value).name for key, value in given.items() if key.endswith("_FILE")}
    assert files <= set(service["secrets"])
    assert all(COMPOSE["secrets"][secret] == {"file": f"./secrets/{secret}"} for secret in service["secrets"])


@pytest.mark.parametrize("name", OF_PORTAL)
def test_every_secret_setting_is_a_file_of_the_portal_s_containers(name):
    files = {f"{setting}_FILE": f"/run/secrets/{setting.lower()}" for setting in SECRET_SETTINGS}
    assert files.items() <= SERVICES[name]["environment"].items()


def test_every_variable_of_compose_is_in_the_example():
    used = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "compose.yaml").read_text(encoding="utf-8")))
    told = (ROOT / ".env.example").read_text(encoding="utf-8")
    own = set(re.findall(r"^# ([A-Z_]+)=", told.split("# --- compose.yaml alone")[1], re.MULTILINE))
    assert own == {"COMPOSE_PROFILES"} | used - variables()


def test_only_the_upgrade_has_the_role_that_owns_the_tables():
    assert {name for name, service in SERVICES.items() if "database_owner_url" in service["secrets"]} == {"upgrade"}
    for name in ("web", "watch"):
        assert SERVICES[name]["environment"]["DATABASE_OWNER_URL"] == ""


def test_the_network_is_none_that_an_engine_hands_out_by_itself():
    (given,) = COMPOSE["networks"]["front"]["ipam"]["config"]
    network = ip_network(default(given["subnet"]))
    pools = ["172.16.0.0/12", "192.168.0.0/16"]  # one made a moment before could have this one's addresses
    assert network.is_private
    assert not [pool for pool in pools if network.overlaps(ip_network(pool))]


def test_headers_of_the_proxy_alone_are_believed():
    proxy = default(SERVICES["proxy"]["networks"]["front"]["ipv4_address"])
    for name in OF_PORTAL:
        assert default(SERVICES[name]["environment"]["TRUSTED_PROXIES"]) == proxy
    text = (DEPLOY / "Caddyfile").read_text(encoding="utf-8")
    assert not re.search(r"trusted_proxies|header_up (\+?X-Forwarded|Host)", text)  # Caddy's own replace forged ones
    assert {"-Forwarded", "-X-Real-IP"} <= set(re.findall(r"header_up (\S+)", text))


def test_the_proxy_logs_no_addresses_and_has_no_door_for_administrators():
    text = (DEPLOY / "Caddyfile").read_text(encoding="utf-8")
    assert "admin off" in text
    assert re.findall(r"^\s*log\b.*", text, re.MULTILINE) == ["\tlog default {"]
    assert set(re.findall(r"(\S+) delete", text)) == {"request>uri", "request>headers"}


def test_roles_of_the_database_are_made_without_a_password_in_the_log():
    text = (DEPLOY / "postgres-roles.sql").read_text(encoding="utf-8")
    assert text.index("log_min_error_statement") < text.index("PASSWORD :'")
    assert set(re.findall(r"/run/secrets/(\w+)", text)) <= set(SERVICES["db"]["secrets"])
    assert "REVOKE ALL ON DATABASE portal FROM PUBLIC" in text


# --- setting up


def set_up(folder: Path, *words: str, typed: str = "test-key-not-real\n\n") -> subprocess.CompletedProcess[str]:
    shutil.copy(ROOT / "compose.yaml", folder)
    return subprocess.run(
        ["sh", DEPLOY / "setup.sh", *words], cwd=folder, input=typed, capture_output=True, text=True, check=False
    )


def contents(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text(encoding="ascii") for file in (folder / "secrets").iterdir()}


def test_setting_up_makes_what_compose_needs(tmp_path):
    done = set_up(tmp_path, "https://help.example.org")
    assert done.returncode == 0
    made = contents(tmp_path)
    assert set(made) >= {secret for name in (*OF_PORTAL, "proxy") for secret in SERVICES[name]["secrets"]}
    assert made["getscreen_api_key"] == "test-key-not-real"
    assert not is_weak(made["secret_key"])
    assert made["database_url"] == "sqlite:////data/portal.sqlite3"
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert "test-key-not-real" not in done.stdout + done.stderr
    lines = dict(
        line.split("=", 1) for line in (tmp_path / ".env").read_text(encoding="utf-8").splitlines() if line[0] != "#"
    )
    assert lines == {
        "PUBLIC_URL": "https://help.example.org",
        "COMPOSE_PROFILES": "",
        "PORTAL_CPUS": lines["PORTAL_CPUS"],
    }
    environment = {
        key: value.replace("/run/secrets", str(tmp_path / "secrets"))
        for key, value in SERVICES["web"]["environment"].items()
    }
    (found,) = load(environment | {"TRUSTED_PROXIES": "", "DATABASE_URL": "", "PUBLIC_URL": lines["PUBLIC_URL"]})
    assert found["DATABASES"]["default"]["NAME"] == "/data/portal.sqlite3"


def test_setting_up_for_postgres_makes_two_roles_of_one_database(tmp_path):
    assert set_up(tmp_path, "https://help.example.org", "postgres", "tls", typed="key\n\n").returncode == 0
    made = contents(tmp_path)
    assert set(made) == set(COMPOSE["secrets"])
    assert ownership.role_beside(made["database_owner_url"], made["database_url"]) == "portal"
    assert urlsplit(made["database_url"]).hostname == "db"
    assert urlsplit(made["database_url"]).password == made["database_password"]
    passwords = {made[name] for name in ("postgres_password", "database_password", "database_owner_password")}
    assert len(passwords) == 3
    assert {len(password) for password in passwords} == {64}
    text = (tmp_path / ".env").read_text(encoding="utf-8")
    assert "COMPOSE_PROFILES=postgres,tls\n" in text
    assert "TLS=/run/secrets/tls_certificate /run/secrets/tls_key\n" in text


def test_setting_up_again_changes_nothing(tmp_path):
    set_up(tmp_path, "https://help.example.org", "tls", typed="key\nme@example.org\n")
    before = contents(tmp_path), (tmp_path / ".env").read_text(encoding="utf-8")
    assert "TLS=me@example.org\n" in before[1]
    assert "should have" not in set_up(tmp_path, "https://help.example.org", "tls", typed="").stderr
    told = set_up(tmp_path, "https://other.example.org", typed="").stderr
    assert "PUBLIC_URL=https://other.example.org" in told
    assert "COMPOSE_PROFILES=\n" in told
    assert (contents(tmp_path), (tmp_path / ".env").read_text(encoding="utf-8")) == before


def test_setting_up_beside_an_older_env_says_what_that_lacks(tmp_path):
    (tmp_path / ".env").write_text("PUBLIC_URL=https://help.example.org\nSECRET_KEY=old\n", encoding="utf-8")
    told = set_up(tmp_path, "https://help.example.org", "tls").stderr
    assert "PUBLIC_URL" not in told
    assert "COMPOSE_PROFILES=tls\n" in told
    assert "TLS=, an e-mail address" in told
    told = set_up(tmp_path, "https://help.example.org", "postgres", typed="").stderr
    assert "says SQLite" in told


def test_setting_up_closes_a_folder_that_was_there(tmp_path):
    (tmp_path / "secrets").mkdir(mode=0o755)
    (tmp_path / "secrets" / "tls_key").write_text("own", encoding="ascii")
    assert set_up(tmp_path, "https://help.example.org:8443/").returncode == 0
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert contents(tmp_path)["tls_key"] == "own"
    assert "PUBLIC_URL=https://help.example.org:8443\n" in (tmp_path / ".env").read_text(encoding="utf-8")


@pytest.mark.parametrize("address", ["me@x.example {", "$HOME", "me@x.example #", "a'b@x.example"])
def test_setting_up_takes_no_mail_address_that_would_say_more(tmp_path, address):
    done = set_up(tmp_path, "https://help.example.org", "tls", typed=f"key\n{address}\n")
    assert done.returncode == 2
    assert not (tmp_path / ".env").exists()


ODD = [
    "https://",
    "https:///",
    "https://a b",
    "https://$HOME.org",
    "https://x.org\nDEBUG=1",
    "https://x.org #",
    "https://x/y",
]


@pytest.mark.parametrize(
    "words", [(), ("http://help.example.org",), ("https://help.example.org", "mysql"), *((address,) for address in ODD)]
)
def test_setting_up_asks_for_what_it_can_use(tmp_path, words):
    done = set_up(tmp_path, *words)
    assert done.returncode == 2
    assert "postgres" in done.stderr
    assert not (tmp_path / "secrets").exists()


# --- systemd


@cache
def unit(path: Path) -> dict[str, list[str]]:
    """Return the values of a unit by name: many of them may be given more than once."""
    found = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            name, value = line.split("=", 1)
            found[name].append(value)
    return found


every_unit = pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)


@every_unit
def test_a_unit_has_no_more_rights_than_it_needs(path):
    told = unit(path)
    assert told["User"] == ["getscreen-portal"]
    assert told["ProtectSystem"] == ["strict"]
    assert told["CapabilityBoundingSet"] == told["AmbientCapabilities"] == [""]
    assert (told["LimitCORE"], told["UMask"]) == (["0"], ["0077"])
    switches = ("NoNewPrivileges", "PrivateTmp", "PrivateDevices", "ProtectHome", "RestrictSUIDSGID", "LockPersonality")
    assert all(told[name] == ["yes"] for name in (*switches, "MemoryDenyWriteExecute", "ProtectKernelModules"))
    own = [] if path.stem.endswith("-upgrade") else ["setpriority"]  # what starts scheduled backups
    assert told["SystemCallFilter"] == ["@system-service", "~@privileged @resources", *own]
    assert told["StateDirectory"] == ["getscreen-portal"]


def test_image_and_units_keep_the_memory_of_threads_together():
    wanted = "MALLOC_ARENA_MAX=2"
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "Dockerfile", *UNITS)]
    assert [text.count(wanted) for text in texts] == [1] * (1 + len(UNITS))


@every_unit
def test_a_unit_s_secrets_are_credentials(path):
    told = unit(path)
    given = dict(pair.split("=", 1) for line in told["Environment"] for pair in line.split())
    files = {name: value for name, value in given.items() if name.endswith("_FILE") and value.startswith("%d/")}
    owner = {"DATABASE_OWNER_URL_FILE"} if path.stem.endswith("-upgrade") else set()
    assert set(files) >= {f"{name}_FILE" for name in SECRET_SETTINGS} | owner
    assert ("DATABASE_OWNER_URL_FILE" in files) == bool(owner)
    credentials = dict(line.split(":", 1) for line in told["LoadCredential"])
    assert {value.removeprefix("%d/") for value in files.values()} == set(credentials)
    assert all(value == f"/etc/getscreen-portal/secrets/{name}" for name, value in credentials.items())


def test_units_start_in_order_and_end_in_peace():
    names = {path.stem: unit(path) for path in UNITS}
    assert set(names) == {f"getscreen-portal-{name}" for name in OF_PORTAL}
    for name in ("web", "watch"):
        told = names[f"getscreen-portal-{name}"]
        assert told["Requires"] == told["After"] == ["getscreen-portal-upgrade.service"]
        assert int(told["TimeoutStopSec"][0]) > server.GRACE
        assert told["Restart"] == ["always"]
    assert names["getscreen-portal-upgrade"]["ExecStart"][0].endswith("manage.py upgrade")
    assert names["getscreen-portal-web"]["ExecStart"][0].endswith("serve --bind 127.0.0.1:8000")


def test_commands_by_hand_know_every_secret_of_the_units():
    text = (DEPLOY / "systemd" / "portal-manage").read_text(encoding="utf-8")
    named = set(re.search(r"for name in (.+);", text)[1].split())
    assert named >= {name.lower() for name in SECRET_SETTINGS | {"DATABASE_OWNER_URL"}}
