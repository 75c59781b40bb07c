"""The audit log in the administration: to look at, nothing else."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from portal import audit
from portal.audit import sentences
from portal.audit.kinds import Result
from portal.audit.models import Event

FILTERS = ("result", "phase", "kind", "q")


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    """To look at, nothing else: superusers have every permission, and could rewrite what others know better."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("seq", "at", "who", "sentence", "phase", "result")
    list_filter = ("result", "phase", "kind")
    search_fields = ("reference",)
    list_select_related = False
    show_full_result_count = False
    actions = None

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Looking at the log is an event here as well."""
        audit.record(
            "audit.viewed",
            result=Result.OK,
            actor=request.user,
            facts={"filters": sorted({name.partition("__")[0] for name in request.GET} & set(FILTERS)), "in": "admin"},
        )
        page: HttpResponse = super().changelist_view(request, extra_context)
        return page

    @admin.display(description=_("who"))
    def who(self, event: Event) -> str:
        return sentences.who(event)

    @admin.display(description=_("action"))
    def sentence(self, event: Event) -> str:
        return sentences.of(event)

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """Looking at one event is an event as well."""
        # Found as the page below finds it: it takes more ways to write a number than one would think of.
        if request.method == "GET" and (event := self.get_object(request, unquote(object_id))) is not None:
            audit.record("audit.event_viewed", result=Result.OK, actor=request.user, facts={"event": event.seq})
        page: HttpResponse = super().change_view(request, object_id, *args, **kwargs)
        return page
