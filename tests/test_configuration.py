"""The table of variables in docs/operations.md is the one that the settings and `.env.example` make."""

import pytest

from tests import configuration
from tests.portal.test_settings import variables


def test_the_table_is_the_one_of_today():
    document = configuration.DOCUMENT.read_text(encoding="utf-8")
    assert document == configuration.written(document), "Run `python -m tests.configuration`."


def test_every_variable_that_is_read_has_its_line():
    told = [name for _, name, _ in configuration.meanings()]
    assert set(told) == set(configuration.variables()) == variables()
    assert len(told) == len(set(told))
    assert all(f"\n| `{name}` |" in configuration.table() for name in told)


def test_defaults_and_bounds_are_those_of_the_code():
    found = configuration.variables()
    assert found["POLL_SECONDS"] == ("1 to 60", "3")
    assert found["SESSION_IDLE_ADMIN_MINUTES"] == ("5 to 1440", "30")
    assert found["REQUIRE_MFA"] == ("off, staff, everyone", "everyone")
    assert found["OIDC_SCOPES"] == ("list", "openid,email,profile")
    assert found["DEBUG"] == ("0 or 1", "0")
    assert found["DATABASE_URL"] == ("secret", "")


def test_a_variable_without_a_line_of_its_own_is_an_error(tmp_path, monkeypatch):
    example = tmp_path / "example"
    example.write_text("# --- A ---\n# Said once.\n#ONE=\n#TWO=\n", encoding="utf-8")
    monkeypatch.setattr(configuration, "EXAMPLE", example)
    with pytest.raises(ValueError, match="TWO"):
        list(configuration.meanings())


def test_a_document_without_its_marks_is_an_error():
    with pytest.raises(ValueError, match="no place"):
        configuration.written(f"# Operations\n{configuration.MARKS[0]}\n")
