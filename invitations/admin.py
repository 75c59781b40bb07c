"""The policy for administrators to change, and invitations to look at. Codes and links are not shown."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from invitations import message_admin  # noqa: F401  # registers its page
from invitations.models import Invitation, Outcome, Policy, Snapshot
from invitations.outbox_admin import DeliveryAdmin, WebhookAdmin, test_buttons, test_urls
from invitations.policy_form import PolicyForm
from invitations.team_admin import TeamAdmin  # noqa: F401  # registers itself
from portal.accounts.admin import AuditedAdmin, Changes
from portal.audit.admin import ReadOnlyAdmin

__all__ = ["DeliveryAdmin", "InvitationAdmin", "PolicyAdmin", "WebhookAdmin"]


@admin.register(Policy)
class PolicyAdmin(AuditedAdmin):
    list_display = ("helpdesk_name", "recording", "previews")
    form = PolicyForm
    readonly_fields = ("second_factor", "logo_now", "tests")
    fieldsets = (
        (_("Clients"), {"fields": ("recording", "previews", "shared_link", "supporter_name")}),
        (
            _("Tickets and outcomes"),
            {"fields": ("is_ticket_required", "is_reason_enough", "ticket_pattern", "is_outcome_required")},
        ),
        (
            _("Clients who wait"),
            {
                "fields": (
                    "escalate_page_seconds",
                    "escalate_webhook_seconds",
                    "escalate_mail_seconds",
                    "escalations_per_hour",
                    "quiet_from",
                    "quiet_until",
                    "tests",
                ),
                "description": _(
                    "What happens while a client has joined and nobody takes care of them. Each step is taken once for "
                    "each wait. 0 switches a step off."
                ),
            },
        ),
        (_("Teamwork"), {"fields": ("visibility", "is_private_allowed", "orphaned_after_minutes")}),
        (_("Second factor"), {"fields": ("second_factor", "fresh_factor_minutes")}),
        (
            _("Limits"),
            {
                "fields": ("connects_per_ten_minutes", "creates_per_hour"),
                "description": _(
                    "How much one person may do in that time. Whoever reaches a limit is told when it goes on, and the "
                    "audit log says so. 0 switches a limit off."
                ),
            },
        ),
        (_("Time"), {"fields": ("expires_after_hours", "long_session_hours", "erased_after_days")}),
        (_("Look"), {"fields": ("helpdesk_name", "accent", "logo_now", "logo", "is_logo_removed")}),
    )

    def get_urls(self) -> list[Any]:
        return [*test_urls(self.admin_site), *super().get_urls()]

    @admin.display(description=_("tests"))
    def tests(self, policy: Policy) -> str:
        return test_buttons()

    @admin.display(description=_("who needs a second factor"))
    def second_factor(self, policy: Policy) -> str:
        who = {"off": _("Nobody"), "staff": _("Administrators"), "everyone": _("Everybody")}[settings.REQUIRE_MFA]
        return _("%(who)s. REQUIRE_MFA in the environment decides; change it there and restart the portal.") % {
            "who": who
        }

    @admin.display(description=_("logo now"))
    def logo_now(self, policy: Policy) -> str:
        if not policy.logo_digest:
            return str(_("None"))
        return format_html('<img src="{}" alt="{}">', reverse("logo", args=[policy.logo_digest]), policy.helpdesk_name)

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        message = super().construct_change_message(request, form, formsets, add)
        before, now = form.logo_before, form.instance.logo_digest
        if before != now:
            request.audited_values["logo_digest"] = [before, now]  # type: ignore[attr-defined]
        return message

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
class InvitationAdmin(ReadOnlyAdmin):
    list_display = (
        "display_name",
        "status",
        "created_by_name",
        "taken_by_name",
        "ticket",
        "team",
        "created_at",
        "closed_at",
    )
    list_filter = ("status", "is_external")
    search_fields = ("client_name", "ticket", "created_by_name")
    exclude = ("code", "invite_url")
    list_select_related = False
    actions = None

    def get_queryset(self, request: Any) -> QuerySet[Invitation]:
        """Whoever opens the administration sees every one; who that is, one place decides."""
        return Invitation.objects.visible_to(request.user).select_related("team")


@admin.register(Outcome)
class OutcomeAdmin(AuditedAdmin):
    """What people choose from when they close an invitation. What was chosen before keeps its words."""

    list_display = ("name", "position", "is_offered")
    search_fields = ("name",)
