"""What every page of the administration shares: a change is an event with before and after."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import nullcontext
from http import HTTPStatus
from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.forms.utils import ErrorDict
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from portal import audit
from portal.audit.kinds import Result

Changes = dict[str, list[Any]]  # field → before and after
UNRECORDED = _(
    "The audit log cannot be written. Nothing was done. What you typed is still here: wait a moment and save again. "
    "If it stays like this, tell whoever looks after the portal."
)
logger = logging.getLogger(__name__)


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

    def changeform_view(
        self, request: HttpRequest, object_id: Any = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        if is_unrecorded(request):  # to show the form again nothing is written, so no transaction is begun
            return self._changeform_view(request, object_id, form_url, extra_context)  # type: ignore[attr-defined]
        return self._recorded(
            request, super().changeform_view, self.changeform_view, object_id, form_url, extra_context
        )

    def _recorded(self, request: HttpRequest, view: Callable[..., Any], again: Callable[..., Any], *args: Any) -> Any:
        """Take the log's lock before the rows': see `audit.writing`. Without the log nothing is changed.

        The form then comes back as it was sent, but for files: browsers take none from us.
        """
        if request.method != "POST" or hasattr(request, "unrecorded"):
            return view(request, *args)
        request.unrecorded = False  # type: ignore[attr-defined]  # what this view calls is inside already
        try:
            with audit.writing():
                return view(request, *args)
        except audit.Unavailable as error:
            logger.error("The audit log cannot be written: %s", type(error.__cause__ or error).__name__)
        request.unrecorded = True  # type: ignore[attr-defined]
        answer = again(request, *args)
        answer.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return answer

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        if is_unrecorded(request):
            form.full_clean = refuse_unrecorded  # the class is made anew for each request
        return form

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

    def more_facts(self, request: HttpRequest, kind: str) -> dict[str, Any]:
        """Return what else an event of this kind says for ever."""
        return {}

    def _record(self, kind: str, request: HttpRequest, obj: Model, values: Changes | None = None) -> None:
        changes = getattr(request, "audited_values", {}) if values is None else values
        audit.record(
            kind,
            result=Result.OK,
            actor=request.user,
            target_type=obj._meta.model_name or "",
            target_id=str(obj.pk),
            target_label=str(obj),
            facts={"fields": sorted(changes)} | self.more_facts(request, kind),
            details={"changes": changes},
        )


def is_unrecorded(request: HttpRequest) -> bool:
    """Say whether the form is shown again because its change could not be recorded."""
    return bool(getattr(request, "unrecorded", False))


def refuse_unrecorded(form: Any) -> None:
    """Stand in for a form's `full_clean`: whatever was typed, it cannot be done now."""
    form._errors, form.cleaned_data = ErrorDict(renderer=form.renderer), {}
    form.add_error(None, UNRECORDED)


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
