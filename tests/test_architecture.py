"""The repository's own rules: what is public and why, one word per event, nothing unescaped, nothing undocumented."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from django.core.management import call_command
from django.urls import get_resolver
from django.utils.safestring import SafeData

from portal.accounts import roles
from portal.audit.kinds import KINDS
from tests.conftest import Browser
from tests.portal.test_settings import documented, variables
from tests.test_access import EVERY, addresses

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted([*(ROOT / "portal").rglob("*.py"), *(ROOT / "invitations").rglob("*.py"), ROOT / "manage.py"])
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
WRITTEN_HERE = [
    *SOURCES,
    *TEMPLATES,
    *(ROOT / "static" / "css").rglob("*.css"),
    *(ROOT / "static" / "js").glob("*.js"),
    *(ROOT / "docs").rglob("*.md"),
    *ROOT.glob("*.md"),
]

# What answers without a session, and why.
PUBLIC = {
    "accounts/login/": "the door",
    "accounts/login/code/": "the second step of the door, for those who have passed the first",
    "accounts/login/passkey/": "the door, by passkey alone",
    "accounts/logout/": "sends those who are out already to the door",
    "accounts/signup/": "always 404; allauth needs the name",
    "accounts/inactive/": "tells a disabled person so",
    "accounts/password/reset/": "for those who cannot sign in",
    "accounts/password/reset/done/": "says that a mail is on its way",
    "accounts/password/reset/key/<uid>-<key>/": "the link in that mail",
    "accounts/password/reset/key/done/": "says that it worked",
    "accounts/enrol/<str:token>/": "makes the first administrator, while there is none",
    "accounts/invite/<str:token>/": "the link an administrator hands to somebody who has no password or lost it",
    "accounts/single-sign-on/": "the door, by the provider of single sign-on",
    "accounts/single-sign-on/callback/": "the way back from that provider",
    "accounts/signed-out/": "the way on to that provider, for those who are out here",
    "accounts/waiting/": "tells somebody new that an administrator has to let them in",
    "accounts/sign-in/<str:token>/": "the link of `manage.py sign_in_link`, for the day the provider is broken",
    "join/": "where a client, who has no account, types the code",
    "join/<path:code>": "shows a client who helps, and leads on to Getscreen; tells nothing but of that one code",
    "j/": "the same, shorter to say",
    "j/<path:code>": "the same, shorter to send",
    "logo/<slug:digest>.png": "the helpdesk's logo, which the door shows as well",
    "branding/<slug:digest>.css": "the helpdesk's colour, which the door shows as well",
}
MUTATIONS = [
    "/{path}",
    "{path}/",
    "{path};x",
    "{path};jsessionid=1",
    "{path}.json",
    "{path}.css",
    "{path}%00",
    "{path}%20",
    "{path}%0a",
    "{path}..",
    "{path}../",
    "{path}%2e%2e/",
    "{path}%2e%2e%2f",
    "{path}x/../",
    "{path}anything/",
    "{path}?format=json",
    "{path}?next=/",
    "{path}#x",
    "{path}%3f",
    "{path}%5c",
    "{path}\\",
    "/static/..{path}",
    "/static/../..{path}",
    "/static/%2e%2e{path}",
    "/healthz{path}",
    "/healthz/..{path}",
    "/readyz;{path}",
    "/accounts/login{path}",
    "/accounts/login/..{path}",
    "/accounts/login/%2e%2e{path}",
    "/accounts/login/;{path}",
    "/./{path}",
    "/%2e/{path}",
    "/%2f{path}",
    "/index.php{path}",
    "/{path}" * 2,
    "{path}" + "x" * 2000,
]
CASES = [str.upper, str.title, lambda path: path.replace("/", "%2f"), lambda path: path.replace("a", "%61")]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def login_not_required() -> set[str]:
    def walk(patterns, before=""):
        for entry in patterns:
            if hasattr(entry, "url_patterns"):
                yield from walk(entry.url_patterns, before + str(entry.pattern))
            elif not getattr(entry.callback, "login_required", True):
                yield from addresses([entry], before)

    return set(walk(get_resolver().url_patterns))


def test_only_the_listed_addresses_are_public():
    assert login_not_required() == set(PUBLIC)
    assert all(PUBLIC.values())


def sample(route: str) -> str:
    """An address that fits the route."""
    path = "/" if route == "-" else f"/{route}"
    return re.sub(r"<[^>]*>", "1", path)


@pytest.mark.parametrize("route", sorted(set(EVERY) - set(PUBLIC)))
def test_no_spelling_of_a_private_address_opens_it(db, route):
    path, browser = sample(route), Browser()
    spellings = [mutation.format(path=path) for mutation in MUTATIONS] + [change(path) for change in CASES]
    for spelling in ["", *spellings]:
        if spelling == "/accounts/login/":
            continue  # the sign-in page itself
        answer = browser.get(spelling or path)
        assert answer.status_code in (301, 302, 400, 404), spelling
        assert re.match(r"/(?![/\\])", answer.headers.get("Location", "/")), spelling


def test_the_public_pages_say_little(db):
    for route in PUBLIC:
        page = Browser().get(sample(route).replace("1-1", "1-set-password"))
        for word in ("GETSCREEN", "DATABASE", "Django", "settings.", "Traceback"):
            assert word not in page.content.decode(), route


def texts() -> set[str]:
    """Every text in the code; `{}` stands for what is filled in."""
    found = set()
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree) if path.name != "kinds.py" else ():
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                found.add("".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values))
    return found


def test_every_kind_of_event_has_a_sentence_and_is_used():
    used = texts()
    verbs = {
        f"invitation.{verb}" for verb in ("create", "connect", "rename", "close", "expire") if "invitation.{}" in used
    }
    assert not set(KINDS) - used - verbs
    families = "|".join({kind.split(".")[0] for kind in KINDS} - {"audit"})
    assert not {text for text in used if re.fullmatch(rf"(?:{families})\.[a-z]+_?[a-z]*", text)} - set(KINDS)
    assert all(str(kind.label).strip() for kind in KINDS.values())  # each sentence is read by tests/audit/test_kinds.py


# What is done by hand after all, and why that is safe.
BY_HAND = {
    "portal/templatetags/viewer.py": ("mark_safe", "puts together again what templates have escaped"),
    "portal/templatetags/audit.py": ("mark_safe", "a sentence of ours, escaped, with words that were escaped before"),
    "invitations/join.py": ("csrf_exempt", "forms without cookies, which do no more than a link: docs/decisions/0022"),
    "portal/prepared.py": ("raw", "the statement is made by the ORM; only a key is filled in"),
}


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_sources_mark_nothing_safe_and_evaluate_nothing(path):
    text = path.read_text(encoding="utf-8")
    allowed, _ = BY_HAND.get(relative(path), ("", ""))
    found = set(re.findall(r"mark_safe|format_html_join|csrf_exempt|\b(?:eval|exec)\(|import pickle", text))
    found |= set(re.findall(r"extra(?=\()|RawSQL|(?<=\.)raw(?=\()", text))
    assert found <= {allowed}


@pytest.mark.parametrize("path", TEMPLATES, ids=relative)
def test_templates_mark_nothing_safe(path):
    assert not re.search(r"\|\s*safe|autoescape|{%\s*debug", path.read_text(encoding="utf-8"))


def test_sentences_are_text_that_gets_escaped():
    assert not any(isinstance(str(text), SafeData) for kind in KINDS.values() for text in kind)


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if path.name in ("views.py", "admin.py", "forms.py")], ids=relative
)
def test_views_never_reach_for_the_network(path):
    forbidden = (
        "requests",
        "urllib",
        "http.client",
        "socket",
        "portal.getscreen.client",
        "portal.getscreen.configured",
    )
    found = {name for name in imports_of(path) if name.split(".")[0] in forbidden or name.startswith(forbidden[-2:])}
    assert not found


@pytest.mark.parametrize("name", ["actions", "sync", "adoption", "operations", "observations"])
def test_what_acts_knows_no_request(name):
    found = imports_of(ROOT / "invitations" / f"{name}.py")
    assert not {module for module in found if module.startswith(("django.http", "django.contrib", "django.shortcuts"))}


@pytest.mark.parametrize("path", [path for path in SOURCES if path.name != "views.py"], ids=relative)
def test_only_what_talks_to_other_servers_imports_requests(path):
    if not relative(path).startswith(("portal/getscreen/", "portal/accounts/openid.py")):
        assert not {name for name in imports_of(path) if name.split(".")[0] == "requests"}


def test_every_variable_is_in_the_example():
    assert documented((ROOT / ".env.example").read_text(encoding="utf-8")) == variables()


def test_the_example_holds_no_secret():
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    for name in ("SECRET_KEY", "GETSCREEN_API_KEY", "SECRET_KEY_FALLBACKS"):
        assert re.search(rf"^#{name}=$", text, re.MULTILINE), name


@pytest.mark.parametrize("path", WRITTEN_HERE, ids=relative)
def test_nothing_is_left_to_do(path):
    assert not re.search(r"\b(?:TODO|FIXME|XXX|HACK)\b", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", [path for path in SOURCES if "migrations" not in path.parts], ids=relative)
def test_modules_begin_by_saying_what_they_are_for(path):
    text = path.read_text(encoding="utf-8")
    is_short = len(text.splitlines()) < 20
    assert is_short or ast.get_docstring(ast.parse(text))


def test_migrations_are_complete(db):
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_every_permission_of_a_role_exists(db):
    from django.contrib.auth.models import Permission

    known = {f"{label}.{name}" for label, name in Permission.objects.values_list("content_type__app_label", "codename")}
    assert set().union(*roles.ROLES.values()) <= known


def test_every_view_of_the_product_names_its_right():
    """Private by default is not enough: whoever is signed in without a role must be refused."""
    for path in ("invitations/views.py",):
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        views = set(re.findall(r"views\.(\w+)", (ROOT / "invitations/urls.py").read_text(encoding="utf-8")))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name in views:
                decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
                assert decorators[0].startswith("require_"), node.name
                assert decorators[1].startswith("require("), node.name
