"""How the portal is shipped: the image's recipe, compose.yaml, setting up, systemd's units, the bill of materials.

Without an engine: files are read as an engine would read them. What only an engine can show is told in
docs/operations.md.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
from collections import defaultdict
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from django.conf import settings

from invitations import server
from portal import ownership, sbom
from portal.checks import is_weak
from tests.installation import Installation, answers, stop, vendor_on_a_port, wait_until
from tests.portal.test_settings import load

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "docs" / "deploy"
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OF_PORTAL = ("upgrade", "web", "watch")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
LAST_STAGE = DOCKERFILE.split("\nFROM ")[-1]
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
    folders = [volume for volume in SERVICES[name].get("volumes", []) if volume.startswith((".", "/", "~"))]
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


def test_only_the_upgrade_has_the_role_that_owns_the_tables():
    assert {name for name, service in SERVICES.items() if "database_owner_url" in service["secrets"]} == {"upgrade"}
    for name in ("web", "watch"):
        assert SERVICES[name]["environment"]["DATABASE_OWNER_URL"] == ""


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


# --- the image


def test_one_version_is_named_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == settings.RELEASE
    assert f'image.version="{settings.RELEASE}"' in LAST_STAGE
    assert {SERVICES[name]["image"] for name in OF_PORTAL} == {f"getscreen-portal:{settings.RELEASE}"}


def test_the_image_says_what_it_is_and_stops_as_it_should():
    labels = set(re.findall(r"org\.opencontainers\.image\.(\w+)=", LAST_STAGE))
    assert labels == {"title", "description", "version", "revision", "licenses"}
    assert 'revision="${REVISION}"' in LAST_STAGE
    assert re.search(r"^STOPSIGNAL SIGTERM$", LAST_STAGE, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK .*CMD \[.*/healthz", LAST_STAGE, re.MULTILINE)
    (command,) = re.findall(r"^CMD (.+)$", LAST_STAGE, re.MULTILINE)
    assert json.loads(command)[:3] == ["python", "manage.py", "serve"]  # no shell between signals and the server
    assert "ENTRYPOINT" not in DOCKERFILE


def test_the_image_can_be_made_again():
    assert re.search(r"pip .*install .*--no-compile .*--only-binary :all: .*--no-deps .*--require-hashes", DOCKERFILE)
    assert "--invalidation-mode unchecked-hash" in DOCKERFILE
    assert 'find /image -exec touch -h -d "@$SOURCE_DATE_EPOCH"' in DOCKERFILE
    assert re.findall(r"^(?:RUN|COPY) .*", LAST_STAGE, re.MULTILINE) == ["COPY --from=build /image /"]


def test_the_image_has_its_bill_of_materials():
    assert "python -m portal.sbom /tmp/requirements.txt >/app/sbom.cdx.json" in DOCKERFILE


def is_sent(path: str) -> bool:
    """Say whether a file reaches the builder: of the patterns in .dockerignore the last that fits decides."""
    sent = True
    parts = path.split("/")
    for pattern in (ROOT / ".dockerignore").read_text(encoding="utf-8").split():
        keeps, plain = pattern.startswith("!"), pattern.removeprefix("!")
        above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        if plain == "**":
            fits = True
        elif plain.startswith("**/"):
            fits = any(fnmatch(part, plain.removeprefix("**/")) for part in parts)
        else:
            fits = plain in above
        sent = keeps if fits else sent
    return sent


def test_what_is_sent_to_the_builder_is_the_product_alone():
    kept = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    sent = {path for path in kept if path and is_sent(path)}
    assert {path.split("/")[0] for path in sent} == {
        *("manage.py", "requirements.txt", "portal", "invitations", "templates", "locale", "static")
    }
    assert {path for path in kept if path.startswith(("portal/", "invitations/", "templates/", "static/"))} <= sent


@pytest.mark.parametrize(
    "path",
    [
        *(".env", ".git/config", ".venv/bin/python", "var/portal.sqlite3", "var/keys/audit.pem", "secrets/secret_key"),
        *("tests/conftest.py", "docs/operations.md", "compose.override.yaml", "requirements-dev.txt", "uv.lock"),
        *("portal/.env", "portal/copy.sqlite3-wal", "static/key.pem", "portal/__pycache__/settings.cpython-313.pyc"),
        *("invitations/.git/config", "templates/.notes.swp"),
    ],
)
def test_what_must_not_be_in_an_image_is_not_sent_to_the_builder(path):
    assert not is_sent(path)


# --- the bill of materials


def test_the_bill_lists_every_package_with_its_version_and_hashes():
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    bill = sbom.bill_of_materials(lock, "1.2.3")
    assert bill["metadata"]["component"]["version"] == "1.2.3"
    listed = {
        f"{one['name']}=={one['version']}": {each["content"] for each in one["hashes"]} for one in bill["components"]
    }
    expected = defaultdict(set)
    for line in lock.splitlines():
        if line[:1].isalnum():
            package = line.split()[0]
        if found := re.search(r"sha256:(\w{64})", line):
            expected[package].add(found[1])
    assert len(expected) > 20
    assert listed == expected
    assert sum(map(len, listed.values())) == lock.count("--hash=sha256:")


def test_a_bill_of_the_same_lock_is_the_same(capsys):
    texts = set()
    for _ in range(2):
        sbom.main(str(ROOT / "requirements.txt"))
        texts.add(capsys.readouterr().out)
    (text,) = texts
    bill = json.loads(text)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    assert bill["metadata"]["component"]["version"] == settings.RELEASE
    references = [one["bom-ref"] for one in bill["components"]]
    assert len(references) == len(set(references))
    assert {one["scope"] for one in bill["components"] if one["name"] == "colorama"} == {"optional"}


@pytest.mark.parametrize("line", ["django", "django>=6.1 --hash=sha256:" + "0" * 64, "django==6.1.3", "-r other.txt"])
def test_what_is_not_pinned_gets_no_bill(line):
    with pytest.raises(ValueError, match="Not pinned"):
        sbom.components(line)


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
    set_up(tmp_path, "https://other.example.org", typed="")
    assert (contents(tmp_path), (tmp_path / ".env").read_text(encoding="utf-8")) == before


@pytest.mark.parametrize("words", [(), ("http://help.example.org",), ("https://help.example.org", "mysql")])
def test_setting_up_asks_for_what_it_can_use(tmp_path, words):
    done = set_up(tmp_path, *words)
    assert done.returncode == 2
    assert "postgres" in done.stderr
    assert not (tmp_path / "secrets").exists()


# --- as nobody in particular, on files that cannot be written

NOBODY = ["--reuid=10001", "--regid=10001", "--clear-groups"]
# The tests' own Python may be in a home: then it may be read, and still nothing be written.
READING = [*NOBODY, "--inh-caps=-all,+dac_read_search", "--ambient-caps=+dac_read_search"]
# Root's own files, without root's power over them: a file that may not be written stays as it is.
POWERLESS = ["--bounding-set=-all", "--inh-caps=-all"]


@cache
def unprivileged() -> list[str]:
    """Return what makes a command run without rights: of the ways that work here, the strictest."""
    ways = [["setpriv", *way] for way in (NOBODY, READING, POWERLESS)] if os.geteuid() == 0 else [[]]
    imports = [sys.executable, "-c", "import django"]
    return next(
        way for way in ways if not subprocess.run([*way, *imports], capture_output=True, check=False).returncode
    )


def copy_product(folder: Path) -> None:
    """Lay out the files as the image does, static files collected, and let nobody write to them."""
    for name in ("manage.py", "portal", "invitations", "templates", "locale", "static"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, folder / name)
    collect = "import django; django.setup(); from invitations import static_files; static_files.ensure_collected()"
    environment = {"DJANGO_SETTINGS_MODULE": "portal.settings", "SECRET_KEY": "none", "ENV_FILE": "none"}
    environment |= {
        "STATIC_ROOT": str(folder / "collected"),
        "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    subprocess.run([sys.executable, "-c", collect], cwd=folder, env=environment, check=True)
    shutil.rmtree(folder / "var", ignore_errors=True)
    subprocess.run(["chmod", "-R", "u=rX,go=rX", folder], check=True)


def state(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(file): (file.stat().st_mtime_ns, file.stat().st_size) for file in folder.rglob("*")}


@pytest.fixture
def readable():
    """A folder that others may enter, and that can be removed in the end."""
    folder = Path(tempfile.mkdtemp(prefix="portal-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    subprocess.run(["chmod", "-R", "u+w", folder], check=True)
    shutil.rmtree(folder)


def test_the_portal_runs_as_nobody_on_files_that_cannot_be_written(readable):
    tree, data = readable / "app", readable / "data"
    tree.mkdir()
    data.mkdir()
    copy_product(tree)
    if os.geteuid() == 0:
        os.chown(data, *((10001, 10001) if "--reuid=10001" in unprivileged() else (0, 0)))
    before = state(tree)
    with vendor_on_a_port(seed=1) as (_, server):
        portal = Installation(data, server, STATIC_ROOT=str(tree / "collected"), PYTHONDONTWRITEBYTECODE="1")
        run = {
            "cwd": tree,
            "env": portal.environment,
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.PIPE,
            "text": True,
        }
        manage = [*unprivileged(), sys.executable, "manage.py"]
        subprocess.run([*manage, "migrate", "--verbosity", "0"], check=True, **run)
        process = subprocess.Popen([*manage, "serve", "--bind", f"127.0.0.1:{portal.port}", "--workers", "1"], **run)
        try:
            wait_until(lambda: process.poll() is not None or answers(f"{portal.url}/readyz"))
            with urllib.request.urlopen(f"{portal.url}/accounts/login/", timeout=20) as page:
                styles = re.search(r'href="(/static/[^"]+\.css)"', page.read().decode())[1]
            assert answers(portal.url + styles)
        finally:
            stop(process)
        assert process.returncode == 0, process.stderr.read()
        process.stderr.close()
    assert state(tree) == before
    assert (data / "portal.sqlite3").stat().st_uid == (10001 if "--reuid=10001" in unprivileged() else os.geteuid())


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
    assert told["SystemCallFilter"] == ["@system-service", "~@privileged @resources"]
    assert told["StateDirectory"] == ["getscreen-portal"]


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
