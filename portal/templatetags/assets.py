"""`{% integrity "js/clock.js" %}`: what the browser must find in a script or stylesheet, or refuse it."""

from __future__ import annotations

import base64
import hashlib
from functools import cache

from django import template
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage, staticfiles_storage
from django.utils.html import format_html

register = template.Library()


@register.simple_tag
def integrity(path: str) -> str:
    """Return the attribute for the collected file. Files served as they lie there may change, and get none."""
    if not isinstance(staticfiles_storage, ManifestStaticFilesStorage):
        return ""
    return format_html('integrity="{}"', digest(staticfiles_storage.stored_name(path)))


@cache
def digest(stored_name: str) -> str:
    """The name carries the contents' hash, so the answer never changes."""
    with staticfiles_storage.open(stored_name) as file:
        return "sha384-" + base64.b64encode(hashlib.sha384(file.read()).digest()).decode()
