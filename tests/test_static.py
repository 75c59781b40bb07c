"""What is sent to browsers: nothing inline, nothing from elsewhere, vendored files as they were published."""

import base64
import hashlib
import re
import tomllib
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

from invitations.presentation import ICONS

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
STATIC = ROOT / "static"
STYLES = sorted((STATIC / "css").rglob("*.css"))
SCRIPTS = sorted((STATIC / "js").glob("*.js"))
VENDORED = tomllib.loads((STATIC / "vendor" / "VENDORED.toml").read_text(encoding="utf-8"))
LICENCES = {entry["licence_file"] for kind in VENDORED.values() for entry in kind}

INLINE = {
    "style element": r"<style\b",
    "style attribute": r"\sstyle\s*=",
    "event handler": r"\son[a-z]+\s*=",
    "hx-on": r"\bhx-on\b",
    "script in an attribute": r"\b(?:js|javascript):",
    "script without src": r"<script\b(?![^>]*\ssrc=)",
    "trigger filter (needs eval)": r"hx-trigger\s*=\s*[\"'][^\"']*\[",
}
# Random ids of clients already called out, for all tabs; releases a tab has reloaded for. Nobody's name, no code.
KEPT_IN_BROWSER = {"alerts.js": {"indexedDB"}, "answers.js": {"sessionStorage"}}
UNESCAPED = r"\|\s*safe\b|\|\s*safeseq\b|autoescape\s+off|mark_safe"
ELSEWHERE = r"(?:https?:)?//[a-z0-9-]+\.[a-z]"


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def shown(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=name)


@pytest.mark.parametrize("entry", VENDORED["file"], ids=lambda entry: entry["name"])
def test_vendored_files_are_the_published_ones(entry: dict[str, str]) -> None:
    body = (STATIC / "vendor" / entry["name"]).read_bytes()
    assert base64.b64encode(hashlib.sha384(body).digest()).decode() == entry["sha384"]


def test_every_vendored_file_is_recorded_and_has_its_licence() -> None:
    recorded = {entry["name"] for entry in VENDORED["file"]} | LICENCES | {"VENDORED.toml"}
    assert {path.name for path in (STATIC / "vendor").iterdir()} == recorded
    for entry in (*VENDORED["file"], *VENDORED["parts"]):
        assert re.fullmatch(r"\d+\.\d+\.\d+", entry["version"])
        assert entry["package"]
        assert entry["licence"]


@shown(TEMPLATES)
def test_templates_hold_nothing_inline(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not [what for what, pattern in INLINE.items() if re.search(pattern, text, re.IGNORECASE)]


@shown(TEMPLATES)
def test_templates_escape_everything(path: Path) -> None:
    assert not re.search(UNESCAPED, path.read_text(encoding="utf-8"))


@shown([*TEMPLATES, *STYLES, *SCRIPTS])
def test_pages_load_nothing_from_elsewhere(path: Path) -> None:
    assert not re.findall(ELSEWHERE, path.read_text(encoding="utf-8"))


@shown(sorted(STATIC.rglob("*.svg")))
def test_pictures_hold_no_script_and_no_style(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"<script|<style|\sstyle=|\son[a-z]+=|<foreignObject|href\s*=\s*[\"'](?!#)", text)


@shown(STYLES)
def test_styles_need_no_data_address_and_name_existing_files(path: Path) -> None:
    text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert "data:" not in text
    for target in re.findall(r"url\(\s*[\"']?([^)\"']+)", text):
        assert (path.parent / target).is_file()


@shown(STYLES)
def test_styles_stand_in_a_layer(path: Path) -> None:
    text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert re.match(r"\s*@layer\b", text)


def test_the_order_of_layers_is_declared_once_and_first() -> None:
    declaring = [path for path in STYLES if re.search(r"@layer [a-z, ]+;", path.read_text(encoding="utf-8"))]
    assert [path.name for path in declaring] == ["tokens.css"]
    linked = re.findall(r"static 'css/([\w/.-]+\.css)", (ROOT / "templates/components/assets.html").read_text("utf-8"))
    assert linked[0] == "tokens.css"
    styles = {path.relative_to(STATIC / "css").as_posix() for path in STYLES}
    assert sorted(linked) == sorted(styles - {"join.css"}), "the client's page has its own, to load little"


@shown([*STYLES, *SCRIPTS])
def test_files_start_by_saying_what_they_are_for(path: Path) -> None:
    assert re.match(r"(?:/\* .+\. \*/|// .+\.)\n", path.read_text(encoding="utf-8"))


@shown(SCRIPTS)
def test_scripts_evaluate_nothing_and_leave_nothing_in_the_browser(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\beval\(|new Function|innerHTML|outerHTML|insertAdjacentHTML|document\.write", text)
    kept = set(re.findall(r"localStorage|sessionStorage|indexedDB|caches\.", text))
    assert kept <= KEPT_IN_BROWSER.get(path.name, set())


def test_scripts_stay_small() -> None:
    sizes = [len(path.read_text(encoding="utf-8").splitlines()) for path in SCRIPTS]
    assert max(sizes) < 150
    assert sum(sizes) < 750


def test_every_icon_that_is_used_exists() -> None:
    defined = set(re.findall(r'id="i-([\w-]+)"', (STATIC / "icons.svg").read_text(encoding="utf-8")))
    used: set[str] = set(ICONS.values())
    for path in TEMPLATES:
        text = path.read_text(encoding="utf-8")
        used.update(re.findall(r"#i-([\w-]+)", text))
        used.update(re.findall(r'components/icon\.html" with name="([\w-]+)"', text))
    assert used - {""} <= defined


def test_every_static_file_that_is_named_exists() -> None:
    for path in TEMPLATES:
        for target in re.findall(r"{% static '([^']+)'", path.read_text(encoding="utf-8")):
            assert finders.find(target), f"{name(path)} names {target}"


def test_forms_say_where_they_go() -> None:
    for path in TEMPLATES:
        for form in re.findall(r"<form\b[^>]*>", path.read_text(encoding="utf-8")):
            assert re.search(r"\saction=\"[^\"]+\"", form), f"{name(path)}: {form}"
            assert re.search(r"\smethod=\"(?:get|post)\"", form), f"{name(path)}: {form}"


def test_posting_forms_carry_the_csrf_token() -> None:
    for path in TEMPLATES:
        if path.parent.name == "join":  # without cookies, which a token needs: docs/decisions/0022
            continue
        text = path.read_text(encoding="utf-8")
        assert text.count('method="post"') == text.count("{% csrf_token %}"), name(path)
