"""How the image is made: its recipe, what is sent to the builder, its bill of materials, how little it needs.

Without an engine: what only an engine can show is told in docs/operations.md.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
from collections import defaultdict
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest
from django.conf import settings

from portal import sbom
from tests.installation import Installation, answers, stop, vendor_on_a_port, wait_until
from tests.test_deployment import OF_PORTAL, SERVICES

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
LAST_STAGE = DOCKERFILE.split("\nFROM ")[-1]


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
