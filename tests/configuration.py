"""The table of every variable in docs/operations.md: `python -m tests.configuration` writes it, a test compares it.

What a variable means is said once, above it in `.env.example`; its default and what it may be is read from the code of
`portal/settings.py`. Both are compared with each other by `tests/portal/test_settings.py`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "operations.md"
EXAMPLE = ROOT / ".env.example"
SOURCES = [ROOT / "portal" / name for name in ("settings.py", "ownership.py")]
MARKS = ("<!-- configuration -->", "<!-- /configuration -->")
KINDS = {
    "secret": "secret",
    "flag": "0 or 1",
    "words": "list",
    "pairs": "list of pairs",
    "address": "address",
    "hours": "hours",
}


class Variable(NamedTuple):
    """How the code reads a variable."""

    may_be: str
    default: str


def variables() -> dict[str, Variable]:
    """Return each variable that the settings read, in the order of the code."""
    found: dict[str, Variable] = {}
    for source in SOURCES:
        nodes = list(ast.walk(ast.parse(source.read_text(encoding="utf-8"))))
        readers = {node.name for node in nodes if isinstance(node, ast.FunctionDef) and takes_name(node)} | {"env.get"}
        for node in nodes:
            reader = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if not isinstance(node, ast.Call) or reader not in readers or not node.args:
                continue
            name = literal(node.args[0])
            # One that is read in two steps, as addresses with passwords are, is a secret first.
            if isinstance(name, str) and (name not in found or reader == "secret"):
                found[name] = Variable(may_be(reader, node), default(reader, node))
    return found


def takes_name(function: ast.FunctionDef) -> bool:
    """Say whether it reads a variable: their first parameter is its name."""
    return [each.arg for each in function.args.args[:1]] == ["name"]


def literal(node: ast.expr | None) -> Any:
    """Return what is written in the code, products as well, and nothing for what it works out otherwise."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return literal(node.left) * literal(node.right)
    try:
        return ast.literal_eval(node) if node is not None else None
    except ValueError:
        return None


def may_be(reader: str, call: ast.Call) -> str:
    more = {keyword.arg: literal(keyword.value) for keyword in call.keywords}
    if reader == "number":
        return f"{more['least']} to {more['most']}"
    if reader == "choice":
        choices = literal(call.args[1])
        return ", ".join(choices) if isinstance(choices, tuple) else ""
    return KINDS.get(reader, "")


def default(reader: str, call: ast.Call) -> str:
    if reader == "flag":
        return "0"
    given = [keyword.value for keyword in call.keywords if keyword.arg == "default"] or call.args[1:2]
    if reader == "choice":
        given = [keyword.value for keyword in call.keywords if keyword.arg == "default"] or call.args[2:3]
    value = literal(given[0]) if given and reader != "secret" else None
    if isinstance(value, list | tuple):
        value = ",".join(map(str, value))
    return "" if value is None else str(value)


def meanings() -> Iterator[tuple[str, str, str]]:
    """Yield section, variable and meaning. Raises ValueError for a variable without a line of its own."""
    section, said = "", ""
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"# --- (.+) ---", line):
            section, said = heading[1].partition(";")[0], ""
        elif variable := re.match(r"#?([A-Z][A-Z_]+)=", line):
            if not said:
                raise ValueError(f"{variable[1]} has no line of its own in .env.example.")
            yield section, variable[1], said
            said = ""
        else:
            said = f"{said} {line.removeprefix('#').strip()}".strip()


def table() -> str:
    read = variables()
    lines: list[str] = []
    before = ""
    for section, name, meaning in meanings():
        if section != before:
            lines += ["", f"**{section}**", "", "| Variable | Default | May be | Means |", "|---|---|---|---|"]
            before = section
        one = read[name]
        shown = f"`{one.default}`" if one.default else ""
        lines.append(f"| `{name}` | {shown} | {one.may_be} | {meaning.replace('|', '\\|')} |")
    return "\n".join(lines).strip()


def written(document: str) -> str:
    """Return the document with the table of today."""
    before, begun, rest = document.partition(MARKS[0])
    _, ended, after = rest.partition(MARKS[1])
    if not (begun and ended):
        raise ValueError(f"{DOCUMENT} has no place for the table.")
    return f"{before}{MARKS[0]}\n{table()}\n{MARKS[1]}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
