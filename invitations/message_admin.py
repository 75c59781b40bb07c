"""The texts that clients get, for administrators to write: one per language, with an example of what it becomes."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from invitations.forms import NoteField, OneLineField
from invitations.message_texts import BUILT_IN, DEFAULT, LANGUAGES, Text
from invitations.messages import PLACEHOLDERS, example, wrong_placeholders
from invitations.models import MessageTemplate, Policy, Snapshot
from portal.accounts.admin import AuditedAdmin


class MessageTemplateForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """A text in one language. Sent by the button that previews, it is checked and not saved."""

    language = forms.ChoiceField(label=_("Language"))
    subject = OneLineField(label=_("Subject of the mail"), max_length=150, widget=forms.TextInput({"size": 80}))
    body = NoteField(label=_("Message"), max_length=4000, widget=forms.Textarea({"rows": 14, "cols": 80}))

    class Meta:
        model = MessageTemplate
        fields = ("language", "subject", "body")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["language"]
        field.choices = [(code, language.name) for code, language in LANGUAGES.items()]
        field.disabled = self.instance.pk is not None

    def is_valid(self) -> bool:
        return super().is_valid() and "_preview" not in self.data

    def clean_subject(self) -> str:
        return checked(self.cleaned_data["subject"])

    def clean_body(self) -> str:
        body = checked(self.cleaned_data["body"])
        if "{link}" not in body:
            raise ValidationError(_("Write {link} where the link belongs: without it nobody can join."))
        return body


def checked(text: str) -> str:
    """Return the text, or raise ValidationError naming what stands in braces and is no placeholder."""
    if wrong := wrong_placeholders(text):
        raise ValidationError(
            _("No placeholder: %(wrong)s. Known are %(known)s; braces stand around these only."),
            params={"wrong": "  ".join(wrong), "known": ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)},
        )
    return text


@admin.register(MessageTemplate)
class MessageTemplateAdmin(AuditedAdmin):
    form = MessageTemplateForm
    list_display = ("language_name", "subject")
    list_display_links = ("language_name", "subject")
    readonly_fields = ("placeholders", "preview")
    fields = ("language", "subject", "body", "placeholders", "preview")
    actions = None
    change_list_template = "admin/messages_list.html"
    change_form_template = "admin/message.html"

    @admin.display(description=_("language"), ordering="language")
    def language_name(self, template: MessageTemplate) -> str:
        known = LANGUAGES.get(template.language)
        return known.name if known else template.language

    @admin.display(description=_("placeholders"))
    def placeholders(self, template: MessageTemplate) -> str:
        known = "\n".join(f"{{{name}}}: {meaning}" for name, meaning in PLACEHOLDERS.items())
        return format_html('<div class="placeholders">{}</div>', known)

    @admin.display(description=_("preview"))
    def preview(self, template: MessageTemplate | None) -> str:
        if template is None or not template.body:
            return str(_("Press Preview to see an example."))
        language = template.language if template.language in LANGUAGES else DEFAULT
        message = example(Text(template.subject, template.body), language=language, policy=Policy.load())
        return format_html(
            '<div class="message-preview" lang="{}"><b>{}</b><p>{}</p></div>', language, message.subject, message.body
        )

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Begin with the text that stands there now, in the language that the list's link names."""
        wanted = request.GET.get("language", "")
        language = wanted if wanted in LANGUAGES else DEFAULT
        text = BUILT_IN.get(language, BUILT_IN[DEFAULT])
        return {"language": language, "subject": text.subject, "body": text.body}

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        written = set(MessageTemplate.objects.values_list("language", flat=True))
        more = {
            "built_in": [(code, LANGUAGES[code].name) for code in BUILT_IN if code not in written],
            "missing": [(code, LANGUAGES[code].name) for code in LANGUAGES if code not in written | BUILT_IN.keys()],
        }
        return super().changelist_view(request, (extra_context or {}) | more)

    # Pages that are open show the text: each change tells them, after the event, whose lock comes first.
    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        entry = super().log_addition(request, obj, message)
        Snapshot.bump()
        return entry

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        entry = super().log_change(request, obj, message)
        Snapshot.bump()
        return entry

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        super().delete_model(request, obj)
        Snapshot.bump()
