"""The audit log in the administration: to look at, nothing else."""

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from portal.audit.models import Event


@admin.register(Event)
class EventAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    list_display = ("seq", "at", "actor_name", "sentence", "phase", "result", "target_label", "origin_ip")
    list_filter = ("result", "phase", "kind")
    search_fields = ("actor_name", "target_label", "reference")
    list_select_related = False
    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
