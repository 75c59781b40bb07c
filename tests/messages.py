"""The German catalogue: `make messages`, or `python -m tests.messages`.

Reads every text of the pages below /accounts/ out of templates and modules, keeps the translations that
`locale/de/LC_MESSAGES/django.po` has, adds new texts with an empty one, drops what is used no more, and
compiles `django.mo`. No dates and no places, sorted: two branches that add texts merge without a quarrel.
"""

from __future__ import annotations

import ast
import json
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PO = ROOT / "locale" / "de" / "LC_MESSAGES" / "django.po"
MO = PO.with_suffix(".mo")
TEMPLATES = ROOT / "templates"
ENGLISH_TEMPLATES = ("admin", "audit", "invitations", "components")  # of components, those that are included
MODULES = (
    "portal/accounts/*.py",
    "portal/views.py",
    "portal/middleware.py",
    "portal/fetch_metadata.py",
    "invitations/health.py",
)
ENGLISH_MODULES = (
    "admin_site.py",
    "apps.py",
    "imports.py",
    "models.py",
    "people.py",
    "roles.py",
)  # the administration's
SINGULAR = ("_", "gettext", "gettext_lazy", "gettext_noop")
PLURAL = ("ngettext", "ngettext_lazy")
# Django's and allauth's own texts that these pages show, whose German is missing, clumsy, or says "du".
BORROWED = (
    "Incorrect password.",
    "Incorrect code.",
    "Please type your current password.",
    "You must type the same password each time.",
    "This account is currently inactive.",
    "The password reset token was invalid.",
    "Too many failed login attempts. Try again later.",
    "A user with that username already exists.",
    "Enter the same password as before, for verification.",
    "The password is too similar to the %(verbose_name)s.",
    "This password is too common.",
    "This password is entirely numeric.",
    "Your password can’t be too similar to your other personal information.",
    "Your password can’t be a commonly used password.",
)
# What the form of the first administrator says, of a module whose other texts stay in the administration.
OF_MODELS = ("Somebody with this e-mail address exists already.", "Somebody with this user name exists already.")
HEADER = (
    "Language: de\n"
    "MIME-Version: 1.0\n"
    "Content-Type: text/plain; charset=UTF-8\n"
    "Content-Transfer-Encoding: 8bit\n"
    "Plural-Forms: nplurals=2; plural=(n != 1);\n"
)


class Text(NamedTuple):
    singular: str
    plural: str = ""


Catalogue = dict[Text, tuple[str, ...]]  # the German of each: one, or one and many


def main() -> int:
    translated = read(PO.read_text(encoding="utf-8")) if PO.exists() else {}
    catalogue = {text: translated.get(text, untranslated(text)) for text in texts()}
    PO.parent.mkdir(parents=True, exist_ok=True)
    PO.write_text(written(catalogue), encoding="utf-8")
    MO.write_bytes(compiled(catalogue))
    missing = [text.singular for text in sorted(catalogue) if not all(catalogue[text])]
    for singular in missing:
        print(f"not translated: {singular!r}", file=sys.stderr)  # noqa: T201
    return 1 if missing else 0


def untranslated(text: Text) -> tuple[str, ...]:
    return ("", "") if text.plural else ("",)


# --- What is there to translate ---------------------------------------------------------------------


def texts() -> set[Text]:
    """Return every text that a page below /accounts/ can show. Needs Django set up."""
    found = set(map(Text, (*BORROWED, *OF_MODELS)))
    for name in sorted(templates()):
        found.update(texts_of_template(name))
    for pattern in MODULES:
        for path in ROOT.glob(pattern):
            if path.name not in ENGLISH_MODULES:
                found.update(texts_of_module(path.read_text(encoding="utf-8")))
    return found | set(texts_of_failures())


def templates() -> set[str]:
    """Return the names of the templates, and of all that they extend or include."""
    from django.template.loader import get_template
    from django.template.loader_tags import ExtendsNode, IncludeNode

    waiting = [
        path.relative_to(TEMPLATES).as_posix()
        for path in TEMPLATES.rglob("*.*")
        if path.relative_to(TEMPLATES).parts[0] not in ENGLISH_TEMPLATES
    ]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        nodes = get_template(name).template.nodelist
        waiting += [node.template.var for node in nodes.get_nodes_by_type(IncludeNode)]
        waiting += [node.parent_name.var for node in nodes.get_nodes_by_type(ExtendsNode)]
    return found


def texts_of_template(name: str) -> Iterator[Text]:
    from django.template.loader import get_template
    from django.templatetags.i18n import BlockTranslateNode, TranslateNode

    nodes = get_template(name).template.nodelist
    for node in nodes.get_nodes_by_type(TranslateNode):
        yield Text(node.filter_expression.var.literal.replace("%", "%%"))
    for node in nodes.get_nodes_by_type(BlockTranslateNode):
        plural = node.render_token_list(node.plural)[0] if node.plural else ""
        yield Text(node.render_token_list(node.singular)[0], plural)


def texts_of_module(source: str) -> Iterator[Text]:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        values = [each.value for each in node.args if isinstance(each, ast.Constant)]
        if node.func.id in SINGULAR and values:
            yield Text(values[0])
        elif node.func.id in PLURAL:
            yield Text(*values[:2])


def texts_of_failures() -> Iterator[Text]:
    """Of all failures, only that of the log can happen on these pages."""
    from django.utils.translation import override

    from invitations.wordings import WORDINGS

    wording = WORDINGS["no_audit"]
    with override(None):
        yield from (Text(str(each)) for each in (wording.title, wording.text, wording.next))


# --- The two files ----------------------------------------------------------------------------------


def read(po: str) -> Catalogue:
    """Return what a .po file says. It knows no contexts, no fuzzy and no obsolete entries: none are used here."""
    found: Catalogue = {}
    for block in po.split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            if line.startswith("#") or not line.strip():
                continue
            if not line.startswith('"'):
                name, line = line.split(" ", 1)
                fields[name] = ""
            fields[name] += json.loads(line)
        if fields.get("msgid"):
            values = tuple(value for name, value in sorted(fields.items()) if name.startswith("msgstr"))
            found[Text(fields["msgid"], fields.get("msgid_plural", ""))] = values
    return found


def written(catalogue: Catalogue) -> str:
    blocks = [entry("msgid", "") + entry("msgstr", HEADER)]
    for text in sorted(catalogue, key=lambda text: (text.singular.casefold(), text)):
        values = catalogue[text]
        if not text.plural:
            blocks.append(entry("msgid", text.singular) + entry("msgstr", values[0]))
            continue
        block = entry("msgid", text.singular) + entry("msgid_plural", text.plural)
        blocks.append(block + "".join(entry(f"msgstr[{number}]", value) for number, value in enumerate(values)))
    return "\n".join(blocks)


def entry(name: str, value: str) -> str:
    lines = [json.dumps(line, ensure_ascii=False) for line in value.splitlines(keepends=True)]
    return f"{name} " + "\n".join(lines if len(lines) == 1 else ['""', *lines]) + "\n"


def compiled(catalogue: Catalogue) -> bytes:
    """Return the .mo file, as GNU's msgfmt lays it out, without its optional hash table."""
    pairs = {"": HEADER}
    for text, values in catalogue.items():
        if all(values):
            pairs["\0".join(filter(None, text))] = "\0".join(values)
    keys, values = zip(*sorted((key.encode(), value.encode()) for key, value in pairs.items()), strict=True)
    start, table = 28, 8 * len(keys)
    at = start + 2 * table
    places, body = [], b""
    for word in (*keys, *values):
        places += [len(word), at + len(body)]
        body += word + b"\0"
    head = (0x950412DE, 0, len(keys), start, start + table, 0, at)
    return struct.pack(f"<7I{len(places)}I", *head, *places) + body


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    sys.exit(main())
