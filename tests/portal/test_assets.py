"""Which contents a page demands of its scripts."""

import base64
import hashlib
import re

import pytest
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage
from django.template import Context, Template

from portal.templatetags import assets

PAGE = (
    "{% load assets static %}<script src=\"{% static 'js/clock.js' %}\" {% integrity 'js/clock.js' %} defer></script>"
)


@pytest.fixture
def collected(settings, tmp_path, monkeypatch):
    settings.STATIC_ROOT = tmp_path
    storage = ManifestStaticFilesStorage(location=tmp_path)
    found = finders.find("js/clock.js")
    storage.hashed_files["js/clock.js"] = "js/clock.abc.js"
    (tmp_path / "js").mkdir()
    with open(found, "rb") as source:
        (tmp_path / "js/clock.abc.js").write_bytes(source.read())
    monkeypatch.setattr(assets, "staticfiles_storage", storage)
    assets.digest.cache_clear()
    return tmp_path / "js/clock.abc.js"


def test_a_page_names_what_its_scripts_contain(collected):
    page = Template(PAGE).render(Context())
    expected = base64.b64encode(hashlib.sha384(collected.read_bytes()).digest()).decode()
    assert re.search(r'integrity="sha384-([^"]+)"', page)[1] == expected


def test_files_that_may_change_are_not_pinned():
    assert "integrity" not in Template(PAGE).render(Context())
