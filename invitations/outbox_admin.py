"""The administration's pages about what leaves the portal: webhooks, the log of deliveries, and tests of both."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from invitations import outbox, sending, webhooks
from invitations.models import Delivery, Policy, Webhook, new_public_id
from portal import audit
from portal.accounts.admin import AuditedAdmin
from portal.audit.admin import ReadOnlyAdmin
from portal.audit.kinds import Result

SIDE_BY_SIDE = 8  # webhooks that are tested at once


def button(address: str, text: str) -> SafeString:
    """Return a button that sends the form it stands in to another place than where that form is saved."""
    return format_html('<button type="submit" class="button" formaction="{}" formnovalidate>{}</button>', address, text)


# --- Webhooks ----------------------------------------------------------------------------------------


class WebhookForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """A webhook. Its address is written and never shown again."""

    address = forms.CharField(
        label=gettext_lazy("Address"),
        max_length=webhooks.LONGEST,
        widget=forms.TextInput(attrs={"class": "vLargeTextField", "autocomplete": "off", "spellcheck": "false"}),
    )
    is_key_new = forms.BooleanField(
        label=gettext_lazy("New signing key"),
        required=False,
        help_text=gettext_lazy("The old one ends at once. The new one is shown after saving, once."),
    )
    trouble = ""  # with the address as it was sent: looked up before the database was locked

    class Meta:
        model = Webhook
        fields = ("name", "is_active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.host_before = self.instance.host
        self.is_readable = bool(self.instance.pk) and webhooks.place_of(self.instance) is not None
        if self.is_readable:
            self.fields["address"].required = False
            self.fields["address"].help_text = _("Leave it empty to keep the address. To change it, type it anew.")
        else:
            self.fields["address"].help_text = _("It is kept encrypted, and only its host is ever shown again.")

    def clean_address(self) -> str:
        address: str = self.cleaned_data["address"].strip()
        if address and self.trouble:
            raise ValidationError(self.trouble)
        return address


@admin.register(Webhook)
class WebhookAdmin(AuditedAdmin):
    form = WebhookForm
    list_display = ("name", "host", "is_active", "last")
    readonly_fields = ("host", "test")
    actions = None

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        names = ["name", "address", "is_active"]
        if obj is not None:
            names = ["name", "host", "address", "is_active", "is_key_new", "test"]
        return ((None, {"fields": names}),)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The fields are the form's own; of some there is no column."""
        form = super().get_form(request, obj, change=change, **kwargs | {"fields": WebhookForm.Meta.fields})
        form.trouble = getattr(request, "address_trouble", "")  # the class is made anew for each request
        return form

    def get_urls(self) -> list[Any]:
        page = self.admin_site.admin_view(require_POST(self.send_test))
        return [path("<int:pk>/test/", page, name="invitations_webhook_test"), *super().get_urls()]

    @admin.display(description=gettext_lazy("last delivery"))
    def last(self, webhook: Webhook) -> str:
        found = webhook.deliveries.filter(attempts__gt=0).first()
        return found.trouble or str(found.get_state_display()) if found else "–"

    @admin.display(description=gettext_lazy("test"))
    def test(self, webhook: Webhook) -> str:
        return button(reverse("admin:invitations_webhook_test", args=[webhook.pk]), _("Send a test now"))

    def changeform_view(
        self, request: HttpRequest, object_id: Any = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        """Look the address up first: a name server may take seconds, and what follows holds the database."""
        if request.method == "POST" and not hasattr(request, "address_trouble"):
            address = request.POST.get("address", "").strip()
            trouble = webhooks.refusal_of(address) if address else ""
            request.address_trouble = trouble  # type: ignore[attr-defined]
        return super().changeform_view(request, object_id, form_url, extra_context)

    def save_model(self, request: HttpRequest, obj: Webhook, form: Any, change: bool) -> None:
        before = webhooks.target_of(obj) if form.is_readable else None
        url = form.cleaned_data["address"] or (before.url if before else "")
        is_key_new = before is None or form.cleaned_data.get("is_key_new")
        key = webhooks.new_key() if before is None or is_key_new else before.key
        webhooks.keep(obj, webhooks.Target(url, key))
        super().save_model(request, obj, form, change)
        if is_key_new:
            request.new_key = key  # type: ignore[attr-defined]

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """Tell of an address its host, and of a key that it is new."""
        message = super().construct_change_message(request, form, formsets, add)
        values = request.audited_values  # type: ignore[attr-defined]
        if values.pop("address", None):
            values["host"] = [form.host_before, form.instance.host]
        if values.pop("is_key_new", None):
            values["signing_key"] = ["", "new"]
        return message

    def response_add(self, request: HttpRequest, obj: Webhook, post_url_continue: Any = None) -> HttpResponse:
        return self.with_key(request, obj) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: Webhook) -> HttpResponse:
        return self.with_key(request, obj) or super().response_change(request, obj)

    def with_key(self, request: HttpRequest, webhook: Webhook) -> HttpResponse | None:
        """Return the one page that shows a signing key, if there is a new one."""
        key = getattr(request, "new_key", "")
        if not key:
            return None
        context = {"title": _("Signing key"), "webhook": webhook, "key": key, "opts": Webhook._meta}
        return render(request, "admin/webhook_key.html", {**self.admin_site.each_context(request), **context})

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Its deliveries go with it. They are nobody's to delete otherwise."""
        deleted, counts, _missing, protected = super().get_deleted_objects(objs, request)
        return deleted, counts, set(), protected

    def send_test(self, request: HttpRequest, pk: int) -> HttpResponse:
        webhook = get_object_or_404(Webhook, pk=pk)
        audit.ensure_writable()
        outcome = sending.call_webhook(webhook, test_payload(), new_public_id())
        tell(request, webhook.name, outcome.trouble)
        return redirect("admin:invitations_webhook_change", webhook.pk)


def test_payload() -> dict[str, object]:
    return {"event": webhooks.EVENT_TEST, "time": timezone.now().isoformat(), "url": settings.PUBLIC_URL}


def tell(request: HttpRequest, what: str, trouble: str) -> None:
    """Say how a test went, to whoever asked for it and to the audit log."""
    if trouble:
        messages.error(request, _("%(what)s: the test did not arrive. %(why)s") % {"what": what, "why": trouble})
    else:
        messages.success(request, _("%(what)s: the test has arrived.") % {"what": what})
    audit.record(
        "delivery.tested",
        result=Result.FAILED if trouble else Result.OK,
        actor=request.user,
        target_type="delivery",
        target_label=what,
        details={"trouble": trouble.rstrip(".")},
    )


# --- Tests from the policy's page --------------------------------------------------------------------


@require_POST
def send_test_mail(request: Any) -> HttpResponse:
    """Mail whoever asks, now, and say how that went."""
    back = redirect("admin:invitations_policy_change", 1)
    if not request.user.email:
        messages.error(request, _("Your account has no e-mail address to send a test to."))
        return back
    audit.ensure_writable()
    helpdesk = Policy.load().helpdesk_name
    outcome = sending.send_mail(
        to=request.user.email,
        subject=_("%(helpdesk)s: a test") % {"helpdesk": helpdesk},
        body=_("This is a test. Leads get mails like this one when a client waits and nobody is with them.") + "\n",
        public_id=new_public_id(),
    )
    tell(request, _("Mail to you"), outcome.trouble)
    return back


@require_POST
def send_test_webhooks(request: HttpRequest) -> HttpResponse:
    """Call every active webhook now, several at once, and say of each how that went."""
    found = list(Webhook.objects.filter(is_active=True))
    if not found:
        messages.error(request, _("There is no active webhook."))
    else:
        audit.ensure_writable()
        payload = test_payload()
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            outcomes = list(pool.map(lambda one: sending.call_webhook(one, payload, new_public_id()), found))
        for webhook, outcome in zip(found, outcomes, strict=True):
            tell(request, webhook.name, outcome.trouble)
    return redirect("admin:invitations_policy_change", 1)


def test_buttons() -> SafeString:
    mail = button(reverse("admin:invitations_policy_test_mail"), _("Send a test mail to me"))
    calls = button(reverse("admin:invitations_policy_test_webhooks"), _("Test all webhooks"))
    return format_html("{} {}", mail, calls)


def test_urls(site: admin.AdminSite) -> list[Any]:
    return [
        path("test-mail/", site.admin_view(send_test_mail), name="invitations_policy_test_mail"),
        path("test-webhooks/", site.admin_view(send_test_webhooks), name="invitations_policy_test_webhooks"),
    ]


# --- The log of deliveries ---------------------------------------------------------------------------


def moment(at: datetime) -> str:
    """Return a time to the second: tries may lie half a minute apart."""
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M:%S}"


def labelled(label: str, text: str) -> SafeString:
    """Return a cell that says on a phone what it is, where the list has no heads."""
    return format_html('<span class="cell-label">{} </span>{}', label, text)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """What was sent, waits or was given up. Neither addresses nor texts are shown; with the end they are erased."""

    list_display = ("state", "what", "about", "trouble", "tries", "next_try", "ordered")
    list_filter = ("state", "kind", "webhook")
    list_select_related = ("webhook", "invitation")
    fields = (
        "public_id",
        "what",
        "about",
        "by_name",
        "state",
        "ordered_at",
        "tries",
        "next_try",
        "ended_at",
        "trouble",
    )
    readonly_fields: ClassVar = fields
    actions = ("try_again", "cancel")

    @admin.display(description=gettext_lazy("what"))
    def what(self, delivery: Delivery) -> str:
        return delivery.webhook.name if delivery.webhook else str(delivery.get_kind_display())

    @admin.display(description=gettext_lazy("about"))
    def about(self, delivery: Delivery) -> str:
        if delivery.invitation is None:
            return "–"
        address = reverse("invitation", args=[delivery.invitation.public_id])
        return format_html('<a href="{}">{}</a>', address, delivery.invitation)

    @admin.display(description=gettext_lazy("tries"))
    def tries(self, delivery: Delivery) -> str:
        return labelled(_("Tries:"), str(delivery.attempts))

    @admin.display(description=gettext_lazy("next try"))
    def next_try(self, delivery: Delivery) -> str:
        is_waiting = delivery.state == Delivery.State.WAITING
        return labelled(_("Next try:"), moment(delivery.next_at)) if is_waiting else "–"

    @admin.display(description=gettext_lazy("ordered"), ordering="pk")
    def ordered(self, delivery: Delivery) -> str:
        return labelled(_("Ordered:"), moment(delivery.ordered_at))

    @admin.action(description=gettext_lazy("Try again now"), permissions=["view"])
    def try_again(self, request: Any, rows: Any) -> None:
        count = sum(outbox.hasten(row, by=request.user) for row in rows.select_related("webhook", "invitation"))
        says = ngettext("%(count)d delivery is tried now.", "%(count)d deliveries are tried now.", count)
        self.report(request, count, says % {"count": count})

    @admin.action(description=gettext_lazy("Cancel"), permissions=["view"])
    def cancel(self, request: Any, rows: Any) -> None:
        reason = _("Cancelled in the administration")
        count = sum(outbox.drop(row, reason, by=request.user) for row in rows)
        says = ngettext("%(count)d delivery is cancelled.", "%(count)d deliveries are cancelled.", count)
        self.report(request, count, says % {"count": count})

    def report(self, request: HttpRequest, count: int, says: str) -> None:
        if count:
            messages.success(request, says)
        else:
            text = _("Nothing was done: none of these waits. What has ended is erased and cannot be sent again.")
            messages.warning(request, text)
