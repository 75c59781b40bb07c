"""A field of forms that says of each person, or of each team, who is in it and who leads: a row each, two ticks."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.template.loader import render_to_string
from django.utils.translation import gettext_lazy as _

from portal.accounts.admin.audited import Changes
from portal.accounts.memberships import Places


class MembershipTable(forms.Widget):
    """Its rows are numbers with names. The form says which were offered: what was not, it leaves as it is."""

    template_name = "admin/membership_table.html"
    rows: dict[int, str]
    heads: tuple[Any, Any, Any] = ("", "", "")

    class Media:
        js = (forms.Script("js/filter.js", defer=True),)

    def __init__(self, attrs: Any = None) -> None:
        super().__init__(attrs)
        self.rows = {}

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Places:
        offered = numbers(str(data.get(f"{name}_offered", "")).split(","))
        ticked, leads = (numbers(listed(data, key)) for key in (name, f"{name}_lead"))
        return {pk: pk in leads if pk in ticked | leads else None for pk in offered}

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return f"{name}_offered" not in data

    def id_for_label(self, id_: str) -> str:
        return ""  # it has many inputs, each with a label of its own

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> Any:
        places: Places = value or {}
        rows = [(pk, label, places.get(pk)) for pk, label in self.rows.items()]
        rows.sort(key=lambda row: row[2] is None)
        context = {"name": name, "rows": rows, "heads": self.heads, "offered": ",".join(map(str, self.rows))}
        return render_to_string(self.template_name, context)


class MembershipField(forms.Field):
    """Of each row that was offered: leads (True), is in (False), is not (None)."""

    widget = MembershipTable

    def __init__(self, *, heads: tuple[Any, Any, Any], **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)
        self.widget.heads = heads

    def offer(self, rows: dict[int, str]) -> None:
        self.widget.rows = rows

    def clean(self, value: Places) -> Places:
        if set(value) - set(self.widget.rows):
            raise ValidationError(_("The list has changed in the meantime. Look at it and save again."))
        return value

    def has_changed(self, initial: Any, data: Any) -> bool:
        before: Places = initial or {}
        return any(before.get(pk) != place for pk, place in data.items())

    def changes(self, before: Places, after: Places, *, names: tuple[str, str]) -> Changes:
        """Return the names of who was and is in, and of who led and leads, as far as either has changed."""
        found: Changes = {}
        for name, counted in zip(names, ((False, True), (True,)), strict=True):
            pair = [sorted(self.widget.rows[pk] for pk in after if each.get(pk) in counted) for each in (before, after)]
            if pair[0] != pair[1]:
                found[name] = pair
        return found


def facts_of(before: Places, after: Places) -> dict[str, list[int]]:
    """Return the numbers of who or what came, went, and is led now: what the log keeps when the names are erased."""
    sides = {
        "joined": [pk for pk, place in after.items() if place is not None and before.get(pk) is None],
        "left": [pk for pk, place in after.items() if place is None and before.get(pk) is not None],
        "led": [pk for pk, place in after.items() if place],
    }
    return {name: sorted(found) for name, found in sides.items() if found or name == "led"}


def listed(data: Any, key: str) -> list[str]:
    return list(data.getlist(key)) if hasattr(data, "getlist") else list(data.get(key, ()))


def numbers(texts: list[str]) -> set[int]:
    return {int(text) for text in texts if text.isascii() and text.isdecimal() and len(text) < 19}
