"""The policy for administrators to change, and invitations to look at. Codes and links are not shown."""

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from invitations.models import Invitation, Policy, Snapshot
from portal.accounts.admin import AuditedAdmin, Changes


@admin.register(Policy)
class PolicyAdmin(AuditedAdmin):
    list_display = ("helpdesk_name", "recording", "previews")
    # Columns that nothing acts on yet.
    exclude = ("is_ticket_required", "connects_per_ten_minutes", "creates_per_hour", "accent")

    def kinds_changed(self, values: Changes) -> dict[str, Changes]:
        return {"policy.changed": values}

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """Record the change and let every open board know: the policy decides how it looks."""
        entry = super().log_change(request, obj, message)
        Snapshot.bump()  # after the event, whose lock comes before the snapshot's
        return entry

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """There is one policy: show it instead of a list of one."""
        return redirect("admin:invitations_policy_change", Policy.load().pk)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Invitation)
class InvitationAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    list_display = (
        "display_name",
        "status",
        "created_by_name",
        "taken_by_name",
        "ticket",
        "created_at",
        "closed_at",
    )
    list_filter = ("status", "is_external")
    search_fields = ("client_name", "ticket", "created_by_name")
    exclude = ("code", "invite_url")
    list_select_related = False
    actions = None

    # Superusers have every permission: without these they could rewrite what the vendor knows better.
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
