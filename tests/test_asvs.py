"""docs/asvs.csv answers every requirement of OWASP ASVS 5.0.0 on levels 1 and 2, and each answer can be checked.

A row has a test that exists, or a deviation that its decision record names, or a reason why it does not apply.
"""

from __future__ import annotations

import ast
import csv
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from django.apps import apps

from tests.test_access import EVERY

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "asvs.csv"
COLUMNS = ["id", "level", "status", "how", "test", "note"]
MET, DEVIATION, NOT_APPLICABLE = "met", "deviation", "not applicable"

# The level of each requirement by its place in its section, as in the release's own list.
LEVELS = {
    "1.1": "22", "1.2": "1111122223", "1.3": "112222222223", "1.4": "222", "1.5": "123",
    "2.1": "122", "2.2": "112", "2.3": "12223", "2.4": "23",
    "3.1": "3", "3.2": "113", "3.3": "12223", "3.4": "11222233", "3.5": "11122333", "3.6": "3", "3.7": "22333",
    "4.1": "12233", "4.2": "23333", "4.3": "22", "4.4": "1222",
    "5.1": "2", "5.2": "112333", "5.3": "113", "5.4": "222",
    "6.1": "122", "6.2": "111111112222", "6.3": "11223333", "6.4": "112233", "6.5": "22222333", "6.6": "2223",
    "6.7": "33", "6.8": "2222",
    "7.1": "222", "7.2": "1111", "7.3": "22", "7.4": "11222", "7.5": "223", "7.6": "22",
    "8.1": "1233", "8.2": "1123", "8.3": "133", "8.4": "23",
    "9.1": "111", "9.2": "1222",
    "10.1": "22", "10.2": "223", "10.3": "22223", "10.4": "1111122222233333", "10.5": "22222", "10.6": "22",
    "10.7": "222",
    "11.1": "2233", "11.2": "22233", "11.3": "11233", "11.4": "1222", "11.5": "23", "11.6": "23", "11.7": "33",
    "12.1": "12233", "12.2": "11", "12.3": "22223",
    "13.1": "2333", "13.2": "222223", "13.3": "2233", "13.4": "1222233",
    "14.1": "22", "14.2": "12223333", "14.3": "122",
    "15.1": "12233", "15.2": "12233", "15.3": "1222222", "15.4": "3333",
    "16.1": "2", "16.2": "22222", "16.3": "2222", "16.4": "222", "16.5": "2223",
    "17.1": "23", "17.2": "22223333", "17.3": "22",
}  # fmt: skip
LEVEL = {f"{section}.{place}": int(level) for section, row in LEVELS.items() for place, level in enumerate(row, 1)}
# What was taken from level 3 as well, because whoever gets in can take over desktops.
CHOSEN = {
    "1.2.10", "1.5.3", "2.3.5", "3.4.7", "3.4.8", "3.5.8", "3.7.3", "4.1.4", "6.3.8", "7.5.3", "8.3.2", "13.1.3",
    "13.2.6", "13.3.4", "14.2.6", "16.5.4",
}  # fmt: skip
# Evidence may also be what a command wrote, which is kept with it.
OUTPUTS = re.compile(r"docs/batteries/[a-z_-]+\.txt")

with TABLE.open(encoding="utf-8", newline="") as table:
    HEAD, *LINES = list(csv.reader(table))
ROWS = [dict(zip(COLUMNS, line, strict=True)) for line in LINES]
every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])


def of(*statuses: str) -> pytest.MarkDecorator:
    rows = [row for row in ROWS if row["status"] in statuses]
    return pytest.mark.parametrize("row", rows, ids=lambda row: row["id"])


@cache
def names_in(path: str) -> frozenset[str]:
    """Return the tests of a file, as pytest names them behind `::`; none if there is no such file."""
    file = ROOT / path
    if not re.fullmatch(r"tests/(\w+/)*test_\w+\.py", path) or not file.is_file():
        return frozenset()
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return frozenset(node.name for node in body if isinstance(node, functions) and node.name.startswith("test_"))


@cache
def signed(record: str) -> frozenset[str]:
    """Return the requirements that a decision record names in the first cell of its tables."""
    file = ROOT / record
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    first = re.findall(r"^\| ([0-9., ]+) \|", text, re.MULTILINE)
    return frozenset(name for cell in first for name in cell.split(", "))


def record_of(row: dict[str, str]) -> str:
    found = re.findall(r"docs/decisions/\d{4}-[a-z-]+\.md", row["note"])
    return found[0] if len(found) == 1 else ""


def test_the_list_of_requirements_is_whole():
    assert Counter(LEVEL.values()) == {1: 70, 2: 183, 3: 92}
    assert {LEVEL[name] for name in CHOSEN} == {3}


def test_every_requirement_of_levels_1_and_2_and_each_chosen_one_has_one_row_in_its_place():
    wanted = [name for name in LEVEL if LEVEL[name] < 3 or name in CHOSEN]
    assert HEAD == COLUMNS
    assert [row["id"] for row in ROWS] == wanted


@every_row
def test_a_row_has_its_level_a_status_and_one_sentence_of_how(row):
    assert row["level"] == str(LEVEL[row["id"]])
    assert row["status"] in (MET, DEVIATION, NOT_APPLICABLE)
    assert 10 <= len(row["how"]) <= 300
    assert re.search(r"[.]$", row["how"])
    assert not re.match(r"Verify|Ensure", row["how"])


@every_row
def test_the_evidence_of_a_row_exists(row):
    for one in row["test"].split():
        path, separator, name = one.partition("::")
        if separator:
            assert name in names_in(path), one
        else:
            assert OUTPUTS.fullmatch(path), one
            assert (ROOT / path).is_file(), one


@of(MET)
def test_what_is_met_is_shown_by_a_test_or_by_kept_output_not_by_words_alone(row):
    assert row["test"].split()


@of(DEVIATION)
def test_a_deviation_is_signed_where_its_record_gives_the_reason(row):
    assert row["id"] in signed(record_of(row))


@of(MET, NOT_APPLICABLE)
def test_only_deviations_are_signed(row):
    records = sorted((ROOT / "docs" / "decisions").glob("*-asvs-*.md"))
    assert records
    assert not [path.name for path in records if row["id"] in signed(path.relative_to(ROOT).as_posix())]


@of(NOT_APPLICABLE)
def test_what_does_not_apply_needs_no_test(row):
    assert not row["test"]


def test_open_deviations_are_those_of_the_record_s_open_section():
    text = (ROOT / "docs" / "decisions" / "0018-asvs-deviations.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| ([0-9., ]+) \|", text.split("\n## Open\n")[1], re.MULTILINE)
    told = {name for cell in cells for name in cell.split(", ")}
    assert {row["id"] for row in ROWS if row["note"].startswith("Open.")} == told


# Reasons not to apply that end when something is built. Who builds it fills the rows in.
SIGN_ON = re.compile(r"single sign-on")
UPLOAD = re.compile(r"uploaded")


def test_single_sign_on_is_called_absent_only_while_no_address_leads_to_it():
    is_there = any(re.search(r"oidc|openid|social|sso|single", route) for route in EVERY)
    assert is_there != any(SIGN_ON.search(row["how"]) for row in ROWS if row["status"] == NOT_APPLICABLE)


def test_uploads_are_called_absent_only_while_no_form_takes_a_file():
    sources = [path.read_text(encoding="utf-8") for path in ROOT.glob("portal/**/*.py")]
    sources += [path.read_text(encoding="utf-8") for path in ROOT.glob("invitations/**/*.py")]
    is_there = any(re.search(r"forms\.(?:File|Image)Field|request\.FILES", text) for text in sources)
    assert is_there != any(UPLOAD.search(row["how"]) for row in ROWS if row["status"] == NOT_APPLICABLE)


def test_interfaces_that_are_called_absent_are_not_installed():
    installed = {config.name for config in apps.get_app_configs()}
    assert not {
        name for name in installed if re.search(r"graphene|strawberry|channels|rest_framework|oauth2|saml", name)
    }
    runtime = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert not re.search(
        r"^(lxml|ldap3|python-ldap|channels|graphene|pysaml2|aiortc|websockets|pymemcache)==", runtime, re.M
    )
