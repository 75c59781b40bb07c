"""The pages about second factors: setting up, using, confirming. allauth's flows, with our rules and events."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from allauth.account import views as account
from allauth.account.decorators import reauthentication_required
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base import views as base
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes import views as recovery_codes
from allauth.mfa.totp import views as totp
from allauth.mfa.totp.internal import flows as totp_flows
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY
from allauth.mfa.webauthn import views as webauthn
from allauth.mfa.webauthn.internal import flows as webauthn_flows
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse, reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET
from django.views.generic import DeleteView, UpdateView
from django.views.generic.edit import FormView

from portal import audit, languages
from portal.accounts import factors, openid, sessions, single_sign_on
from portal.accounts.access import SignedInRequest
from portal.accounts.factor_forms import ActivateTOTPForm, AddWebAuthnForm, EditWebAuthnForm
from portal.audit.kinds import Result
from portal.qr import picture

Type = Authenticator.Type
confirmed = method_decorator(reauthentication_required(app="allauth.mfa"), name="dispatch")


@require_GET
def index(request: SignedInRequest) -> HttpResponse:
    """List the person's factors; or lead through setting up the first where one is demanded."""
    owned = list(Authenticator.objects.filter(user_id=request.user.pk).order_by("pk"))
    codes = next((each for each in owned if each.type == Type.RECOVERY_CODES), None)
    adapter = get_adapter()
    context = {
        "app": next((each for each in owned if each.type == Type.TOTP), None),
        "passkeys": [each for each in owned if each.type == Type.WEBAUTHN],
        "codes": codes,
        "codes_left": codes_left(codes),
        "last": [each.pk for each in owned if each != codes and not adapter.can_delete_authenticator(each)],
        "is_demanded": factors.is_demanded_by_policy(request.user),
        "is_for_connect": factors.is_for_connect(request),
        "connection": single_sign_on.connection_of(request.user) if openid.is_configured() else None,
        "why_kept": single_sign_on.why_kept(request.user),
    }
    is_first = context["is_demanded"] and not (factors.has_factor(request.user) or factors.is_strong(request))
    if is_first:
        factors.remember_wanted_page(request)
    return render(request, "mfa/setup.html" if is_first else "mfa/index.html", context)


def codes_left(codes: Authenticator | None) -> int:
    """Return how many recovery codes are unused, without decrypting any."""
    if codes is None:
        return 0
    return int(settings.MFA_RECOVERY_CODE_COUNT - int(codes.data["used_mask"]).bit_count())


def after_first(request: HttpRequest, *, has_new_codes: bool) -> str:
    return reverse("mfa_view_recovery_codes" if has_new_codes else "mfa_index")


@confirmed
class AddApp(FormView):  # type: ignore[type-arg]  # not subscriptable at run time
    """Set up an authenticator app, in the place of the one before if there is one."""

    form_class = ActivateTOTPForm
    template_name = "mfa/totp/activate_form.html"

    def get_form_kwargs(self) -> dict[str, Any]:
        seed = factors.seed_of_new_app(self.request, is_new=self.request.method != "POST")
        return super().get_form_kwargs() | {"user": self.request.user, "seed": seed}

    def get_context_data(self, **more: Any) -> dict[str, Any]:
        context = super().get_context_data(**more)
        secret = context["form"].secret
        groups = [secret[start : start + 4] for start in range(0, len(secret), 4)]
        is_replaced = Authenticator.objects.filter(user_id=self.request.user.pk, type=Type.TOTP).exists()
        return context | {"secret": " ".join(groups), "is_replaced": is_replaced}

    def form_valid(self, form: ActivateTOTPForm) -> HttpResponse:
        with audit.writing():
            replaced, _models = Authenticator.objects.filter(user_id=self.request.user.pk, type=Type.TOTP).delete()
            if replaced:
                factors.removed(self.request, Type.TOTP)
            app, codes = totp_flows.activate_totp(self.request, form)
            factors.added(self.request, app, has_new_codes=bool(codes))
        return HttpResponseRedirect(after_first(self.request, has_new_codes=bool(codes)))


@require_GET
def app_qr(request: SignedInRequest) -> HttpResponse:
    """Return the QR code of the app that is being set up in this session."""
    if not request.session.get(SECRET_SESSION_KEY):
        raise Http404
    seed = factors.seed_of_new_app(request, is_new=False)
    return picture(get_adapter().build_totp_url(request.user, seed))


class RemoveApp(totp.DeactivateTOTPView):  # type: ignore[misc]
    def form_valid(self, form: Any) -> HttpResponse:
        with audit.writing():
            response: HttpResponse = super().form_valid(form)
            factors.removed(self.request, Type.TOTP)
        return response


@confirmed
class AddPasskey(FormView):  # type: ignore[type-arg]  # not subscriptable at run time
    form_class = AddWebAuthnForm
    template_name = "mfa/webauthn/add_form.html"

    def get_form_kwargs(self) -> dict[str, Any]:
        return super().get_form_kwargs() | {"user": self.request.user}

    def get_context_data(self, **more: Any) -> dict[str, Any]:
        options = webauthn_flows.begin_registration(self.request, self.request.user, passwordless=True)
        return super().get_context_data(**more) | {"options": json.dumps(options)}

    def form_valid(self, form: AddWebAuthnForm) -> HttpResponse:
        with audit.writing():
            passkey, codes = webauthn_flows.add_authenticator(
                self.request, name=form.cleaned_data["name"], credential=form.cleaned_data["credential"]
            )
            factors.added(self.request, passkey, has_new_codes=bool(codes))
        return HttpResponseRedirect(after_first(self.request, has_new_codes=bool(codes)))


class OwnPasskey:
    request: SignedInRequest
    success_url = reverse_lazy("mfa_index")

    def get_queryset(self) -> Any:
        return Authenticator.objects.filter(user=self.request.user, type=Type.WEBAUTHN)


@confirmed
class RenamePasskey(OwnPasskey, UpdateView):  # type: ignore[type-arg, misc]
    form_class = EditWebAuthnForm
    template_name = "mfa/webauthn/edit_form.html"

    def form_valid(self, form: Any) -> HttpResponse:
        with audit.writing():
            response = super().form_valid(form)
            user = self.request.user
            factors.record("factor.renamed", user, by=user, details={"name": form.cleaned_data["name"]})
        return response


@confirmed
class RemovePasskey(OwnPasskey, DeleteView):  # type: ignore[type-arg, misc]
    template_name = "mfa/webauthn/authenticator_confirm_delete.html"

    def form_valid(self, form: Any) -> HttpResponse:
        adapter = get_adapter()
        if not adapter.can_delete_authenticator(self.object):
            messages.error(self.request, adapter.error_messages["cannot_delete_authenticator"])
            return HttpResponseRedirect(str(self.success_url))
        with audit.writing():
            webauthn_flows.remove_authenticator(self.request, self.object)
            factors.removed(self.request, Type.WEBAUTHN)
        return HttpResponseRedirect(str(self.success_url))


class NewCodes(recovery_codes.GenerateRecoveryCodesView):  # type: ignore[misc]
    def get_context_data(self, **more: Any) -> dict[str, Any]:
        codes = Authenticator.objects.filter(user_id=self.request.user.pk, type=Type.RECOVERY_CODES).first()
        # allauth's own would decrypt them to count them.
        context: dict[str, Any] = super(recovery_codes.GenerateRecoveryCodesView, self).get_context_data(**more)
        return context | {"codes_left": codes_left(codes)}

    def form_valid(self, form: Any) -> HttpResponse:
        user = self.request.user
        with audit.writing():
            response: HttpResponse = super().form_valid(form)
            factors.record("factor.recovery_codes", user, by=user)
            sessions.end_others(self.request, user, reason="factor")
        return response


class ShowCodes(recovery_codes.ViewRecoveryCodesView):  # type: ignore[misc]
    """The codes, once: only the page that follows their making shows them."""

    http_method_names = ("get",)

    def get_context_data(self, **more: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**more)
        # The page says itself what was done; a notice would lie over its buttons on a phone.
        list(messages.get_messages(self.request))
        context["messages"] = ()
        context["wanted_page"] = factors.take_wanted_page(self.request) if context["can_view_codes"] else ""
        half = settings.MFA_RECOVERY_CODE_DIGITS // 2
        context["shown"] = [f"{code[:half]} {code[half:]}" for code in context["unused_codes"]]
        return context


class Authenticate(base.AuthenticateView):  # type: ignore[misc]
    """The second step of a sign-in: a passkey, a code of the app, or a recovery code."""

    def form_invalid(self, form: Any) -> HttpResponse:
        response: HttpResponse = super().form_invalid(form)
        response.status_code = HTTPStatus.UNPROCESSABLE_ENTITY
        return response

    def get_context_data(self, **more: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**more)
        owned = Authenticator.objects.filter(user_id=self.stage.login.user.pk)
        types = set(owned.values_list("type", flat=True))
        return context | {
            "has_app": Type.TOTP in types,
            "options": json.dumps(context["js_data"]["request_options"]) if Type.WEBAUTHN in types else "",
        }


class Confirming:
    """A page that asks a person who is signed in to confirm that it is them."""

    request: SignedInRequest

    def get_context_data(self, **more: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**more)  # type: ignore[misc]
        if factors.has_factor(self.request.user) and (self.is_for_connect or not factors.is_strong(self.request)):
            # The password alone would be asked for in vain.
            ways = context["reauthentication_alternatives"]
            context["reauthentication_alternatives"] = [way for way in ways if way["id"] != "reauthenticate"]
        return context | {"is_for_connect": self.is_for_connect}

    @property
    def is_for_connect(self) -> bool:
        return factors.is_for_connect(self.request)

    def form_valid(self, form: Any) -> HttpResponse:
        is_for_connect = self.is_for_connect
        self.request.session.cycle_key()  # whoever has the old one has confirmed nothing
        response: HttpResponse = super().form_valid(form)  # type: ignore[misc]
        if is_for_connect and factors.is_fresh(self.request, factors.FRESH_SECONDS):
            with languages.untranslated():  # it is read on the invitation's page
                messages.success(self.request, _("Confirmed. Press Connect again."))
            del self.request.session[factors.WANTED_FOR_CONNECT]
        return response

    def record(self, type: str) -> None:
        facts = {"type": factors.WORDS[Type(type)]}
        audit.record("factor.confirmed", result=Result.OK, actor=self.request.user, facts=facts)


class Confirm(Confirming, account.ReauthenticateView):  # type: ignore[misc]
    """By password."""


class ConfirmByCode(Confirming, base.ReauthenticateView):  # type: ignore[misc]
    def form_valid(self, form: Any) -> HttpResponse:
        self.record(form.authenticator.type)
        return super().form_valid(form)


class ConfirmByPasskey(Confirming, webauthn.ReauthenticateWebAuthnView):  # type: ignore[misc]
    def get_context_data(self, **more: Any) -> dict[str, Any]:
        context = super().get_context_data(**more)
        return context | {"options": json.dumps(context["js_data"]["request_options"])}

    def form_valid(self, form: Any) -> HttpResponse:
        self.record(Type.WEBAUTHN)
        return super().form_valid(form)

    def form_invalid(self, form: Any) -> HttpResponse:
        return FormView.form_invalid(self, form)
