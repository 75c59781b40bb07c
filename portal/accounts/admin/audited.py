"""What every page of the administration shares: a change is an event with before and after."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from portal import audit
from portal.audit.kinds import Result

Changes = dict[str, list[Any]]  # field → before and after


class AuditedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    """Every addition, change and deletion becomes an event in the same transaction, with before and after."""

    kind_added = "admin.added"
    kind_deleted = "admin.deleted"

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        request.audited_values = values_of(form)  # type: ignore[attr-defined]
        return super().construct_change_message(request, form, formsets, add)

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self._record(self.kind_added, request, obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        for kind, values in self.kinds_changed(getattr(request, "audited_values", {})).items():
            self._record(kind, request, obj, values)
        return super().log_change(request, obj, message)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Take the log's lock before the rows': see `audit.writing`. Without the log nothing is changed."""
        with audit.writing() if request.method == "POST" else nullcontext():
            return super().changeform_view(request, *args, **kwargs)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        with audit.writing() if request.method == "POST" else nullcontext():
            return super().delete_view(request, *args, **kwargs)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        for obj in queryset:
            self._record(self.kind_deleted, request, obj, {})
        return super().log_deletions(request, queryset)

    def kinds_changed(self, values: Changes) -> dict[str, Changes]:
        """Return the kinds of events that these changes are, each with its own."""
        return {"admin.changed": values}

    def _record(self, kind: str, request: HttpRequest, obj: Model, values: Changes | None = None) -> None:
        changes = getattr(request, "audited_values", {}) if values is None else values
        audit.record(
            kind,
            result=Result.OK,
            actor=request.user,
            target_type=obj._meta.model_name or "",
            target_id=str(obj.pk),
            target_label=str(obj),
            facts={"fields": sorted(changes)},
            details={"changes": changes},
        )


def values_of(form: Any) -> Changes:
    """Return what each changed field was and is. Of passwords only that they were set is said."""
    # The form for passwords calls its change "password", which is none of its fields.
    values: Changes = {"password": ["", "set"]} if any("password" in name for name in form.changed_data) else {}
    for name in form.changed_data:
        if "password" not in name and name in form.cleaned_data:
            values[name] = [shown(form.initial.get(name)), shown(form.cleaned_data[name])]
    return values


def shown(value: Any) -> Any:
    """Return a form's value as plain JSON."""
    if isinstance(value, QuerySet | list | tuple):
        return sorted(map(str, value))
    return value if value is None or isinstance(value, bool) else str(value)
