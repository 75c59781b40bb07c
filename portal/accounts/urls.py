"""The few of allauth's pages that a closed team needs. There is no sign-up; its name exists for allauth alone."""

from allauth.account import views as allauth
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, re_path

from portal.accounts import one_time, views


@login_not_required
def signup(request: HttpRequest) -> HttpResponse:
    raise Http404


urlpatterns = [
    path("login/", views.login, name="account_login"),
    path("logout/", allauth.logout, name="account_logout"),
    path("signup/", signup, name="account_signup"),
    path("inactive/", allauth.account_inactive, name="account_inactive"),
    path("reauthenticate/", views.recorded(allauth.reauthenticate), name="account_reauthenticate"),
    path("password/change/", views.recorded(allauth.password_change), name="account_change_password"),
    path("password/reset/", views.password_reset, name="account_reset_password"),
    path("password/reset/done/", allauth.password_reset_done, name="account_reset_password_done"),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>[0-9A-Za-z-]+)/$",
        views.recorded(views.PasswordResetFromKey.as_view()),
        name="account_reset_password_from_key",
    ),
    path(
        "password/reset/key/done/",
        allauth.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    path("enrol/<str:token>/", views.enrol, name="enrol"),
    path("invite/<str:token>/", one_time.choose_password, name="choose_password"),
]
