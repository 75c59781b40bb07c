"""The few of allauth's pages that a closed team needs. There is no sign-up; its name exists for allauth alone."""

from allauth.account import views as allauth
from allauth.mfa.webauthn import views as webauthn
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, re_path

from portal.accounts import factor_views as factors
from portal.accounts import one_time, session_pages, views
from portal.accounts import provider_pages as provider


@login_not_required
def signup(request: HttpRequest) -> HttpResponse:
    raise Http404


urlpatterns = [
    path("login/", views.login, name="account_login"),
    path("single-sign-on/", provider.start, name="single_sign_on"),
    path("single-sign-on/callback/", provider.callback, name="single_sign_on_callback"),
    path("single-sign-on/confirm/", provider.confirm, name="single_sign_on_confirm"),
    path("single-sign-on/connect/", views.recorded(provider.connect), name="single_sign_on_connect"),
    path("single-sign-on/disconnect/", views.recorded(provider.disconnect), name="single_sign_on_disconnect"),
    path("sign-in/<str:token>/", one_time.sign_in, name="sign_in_link"),
    path("signed-out/", provider.signed_out, name="signed_out"),
    path("waiting/", provider.waiting, name="account_waiting"),
    path("keys/", views.keys, name="keys"),
    path("signup/", signup, name="account_signup"),
    path("inactive/", allauth.account_inactive, name="account_inactive"),
    path("reauthenticate/", views.recorded(factors.Confirm.as_view()), name="account_reauthenticate"),
    path("reauthenticate/code/", views.recorded(factors.ConfirmByCode.as_view()), name="mfa_reauthenticate"),
    path(
        "reauthenticate/passkey/",
        views.recorded(factors.ConfirmByPasskey.as_view()),
        name="mfa_reauthenticate_webauthn",
    ),
    path("login/code/", views.recorded(factors.Authenticate.as_view()), name="mfa_authenticate"),
    path(
        "login/passkey/",
        provider.closed(views.recorded(webauthn.LoginWebAuthnView.as_view())),
        name="mfa_login_webauthn",
    ),
    path("security/", factors.index, name="mfa_index"),
    path("security/app/", views.recorded(factors.AddApp.as_view()), name="mfa_activate_totp"),
    path("security/app/qr/", factors.app_qr, name="mfa_totp_qr"),
    path("security/app/remove/", views.recorded(factors.RemoveApp.as_view()), name="mfa_deactivate_totp"),
    path("security/passkeys/add/", views.recorded(factors.AddPasskey.as_view()), name="mfa_add_webauthn"),
    path(
        "security/passkeys/<int:pk>/rename/",
        views.recorded(factors.RenamePasskey.as_view()),
        name="mfa_edit_webauthn",
    ),
    path(
        "security/passkeys/<int:pk>/remove/",
        views.recorded(factors.RemovePasskey.as_view()),
        name="mfa_remove_webauthn",
    ),
    path("security/codes/", factors.ShowCodes.as_view(), name="mfa_view_recovery_codes"),
    path("security/codes/new/", views.recorded(factors.NewCodes.as_view()), name="mfa_generate_recovery_codes"),
    path("security/sessions/", session_pages.index, name="account_sessions"),
    path("security/sessions/others/end/", views.recorded(session_pages.end_others), name="account_sessions_end_others"),
    path("security/sessions/<slug:tag>/end/", views.recorded(session_pages.end_one), name="account_session_end"),
    path("password/change/", views.change_password, name="account_change_password"),
    path("password/reset/", provider.closed(views.password_reset), name="account_reset_password"),
    path("password/reset/done/", allauth.password_reset_done, name="account_reset_password_done"),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>[0-9A-Za-z-]+)/$",
        provider.closed(one_time.limited(views.recorded(views.PasswordResetFromKey.as_view()))),
        name="account_reset_password_from_key",
    ),
    path(
        "password/reset/key/done/",
        allauth.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    path("enrol/<str:token>/", views.enrol, name="enrol"),
    path("invite/<str:token>/", provider.closed(one_time.choose_password), name="choose_password"),
]
