"""Forms around accounts that allauth does not bring."""

from django.contrib.auth.forms import BaseUserCreationForm
from django.utils.translation import gettext_lazy as _

from portal.accounts.models import User


class EnrolmentForm(BaseUserCreationForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """The first administrator's user name, e-mail address and password."""

    class Meta:
        model = User
        fields = ("username", "email")
        labels = {"username": _("User name"), "email": _("E-mail address")}
