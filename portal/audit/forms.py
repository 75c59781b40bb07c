"""The filters of the audit page."""

from datetime import date

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.translation import gettext_lazy as _

from portal.audit.kinds import KINDS, Result

# Beyond them the day before or after, or another time zone's, does not exist.
SENSIBLE = [MinValueValidator(date(2000, 1, 1)), MaxValueValidator(date(2999, 12, 31))]


class FilterForm(forms.Form):
    """Everything is optional; wrong values are shown beside their field and filter nothing."""

    from_date = forms.DateField(
        label=_("From"), required=False, validators=SENSIBLE, widget=forms.DateInput(attrs={"type": "date"})
    )
    to_date = forms.DateField(
        label=_("To"), required=False, validators=SENSIBLE, widget=forms.DateInput(attrs={"type": "date"})
    )
    who = forms.CharField(label=_("Who"), required=False, max_length=150)
    kind = forms.ChoiceField(label=_("Action"), required=False)
    result = forms.ChoiceField(label=_("Outcome"), required=False)
    q = forms.CharField(label=_("Target or IP address"), required=False, max_length=100)

    field_order = ["from_date", "to_date", "who", "kind", "result", "q"]

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["kind"].choices = [("", _("Any action")), *((name, kind.label) for name, kind in KINDS.items())]  # type: ignore[attr-defined]
        self.fields["result"].choices = [("", _("Any")), *Result.choices]  # type: ignore[attr-defined]
