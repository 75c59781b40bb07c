"""The product's pages: board, one invitation, its actions, history."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from invitations import actions, expiry, links, notes, rhythm, teams
from invitations.board import Board, scope_of
from invitations.context import health, policy_of, snapshot_of
from invitations.forms import CreateForm, OutcomeForm, RenameForm
from invitations.models import Invitation, Policy, Status, sight_of
from invitations.own_actions import has_acted
from invitations.presentation import Row, tag_of, timeline
from invitations.refusals import NoteChanged
from invitations.share_context import language_of, remember, share_context
from invitations.tokens import new_token, sound
from portal import audit
from portal.accounts import factors, roles
from portal.accounts.access import Access, NotVisible, SignedInRequest, require
from portal.audit.kinds import Result
from portal.getscreen.types import ConnectLink
from portal.middleware import redirect_whole_page
from portal.qr import picture

HISTORY_PAGE = 50
COPIES = ("code", "link", "message")
NOT_SEEN = gettext_lazy(
    "There is no invitation at this address, or you may not see it. It may belong to a team that you are not in, or "
    "not any more, or be somebody’s private one. If you were about to do something with it, nothing was done: ask a "
    "colleague or a lead of the team."
)
RECORD_CHOICES = {"yes": True, "no": False}


class OneTimeRedirect(HttpResponseRedirect):
    """The one answer that carries a connect link. Nothing may keep it, nothing may learn where it came from."""

    status_code = HTTPStatus.SEE_OTHER
    allowed_schemes = ["https", "http"]  # http passes the link check for loopback only

    def __init__(self, link: ConnectLink) -> None:
        super().__init__(link.reveal(), headers={"Referrer-Policy": "no-referrer", "Cache-Control": "no-store"})

    def __repr__(self) -> str:
        return "<OneTimeRedirect>"


def board_for(request: SignedInRequest) -> Board:
    return Board(
        user=request.user,
        query=request.GET,
        snapshot=snapshot_of(request),
        policy=lambda: policy_of(request),
        health=health(request),
    )


@require_GET
@require(roles.SEE)
def board(request: SignedInRequest) -> HttpResponse:
    """Show every open invitation the viewer may see, those who wait for a person first."""
    rhythm.here.seen()
    context = {"board": board_for(request), "form_token": new_token()}
    return render(request, "invitations/board.html", context)


@require_GET
@require(roles.SEE)
def board_rows(request: SignedInRequest) -> HttpResponse:
    """The polled part of the board; 304 while it would look the same."""
    began = time.monotonic()
    shown = board_for(request)
    can_wait = not has_acted(request)
    tag = shown.tag if is_old_page(request) else shown.polled_tag(request.headers.get("HX-PTag", ""), can_wait=can_wait)
    response = polled(request, tag, lambda: HttpResponse(shown.fragment))
    if response.status_code == HTTPStatus.OK:
        rhythm.here.took(time.monotonic() - began)
    return response


@require_GET
@require(roles.SEE)
def board_waiting(request: SignedInRequest) -> HttpResponse:
    """Who waits for a person, for pages that nobody looks at now: to count and to call, nothing to render."""
    shown = board_for(request)
    tag = tag_of("waiting", shown.tag, request.user.pk)  # some wait for one person alone
    return polled(request, tag, lambda: JsonResponse(shown.waiting), for_any_release=True)


def is_old_page(request: SignedInRequest) -> bool:
    return request.headers.get("X-Release", settings.RELEASE) != settings.RELEASE


def polled(
    request: SignedInRequest, tag: str, answer: Callable[[], HttpResponse], *, for_any_release: bool = False
) -> HttpResponse:
    """Answer a poll: nothing if the tag is the one the page has, else the whole with its new tag.

    A page of another release gets nothing either, and no time of the last good list: it must not
    take in what its own scripts and styles do not know, nor call itself live. Only who waits is told
    to every release: a tab that stays open over a deploy must not fall silent.
    """
    rhythm.here.seen()
    is_refused = is_old_page(request) and not for_any_release
    is_unchanged = is_refused or request.headers.get("HX-PTag") == tag
    response = HttpResponse(status=HTTPStatus.NOT_MODIFIED) if is_unchanged else answer()
    response.headers["X-Release"] = settings.RELEASE
    if not is_refused:
        snapshot = snapshot_of(request)
        response.headers["HX-PTag"] = tag
        response.headers["X-Poll-In"] = f"{rhythm.next_poll(snapshot, timezone.now()):.2f}"
        if snapshot.good_at is not None:
            response.headers["X-Good-At"] = str(int(snapshot.good_at.timestamp()))
    return response


def find(request: SignedInRequest, public_id: str) -> Invitation:
    """Return the invitation if the viewer may see it, else raise NotVisible, the same as if there were none."""
    policy = policy_of(request)
    invitation = Invitation.objects.visible_to(request.user, policy).filter(public_id=public_id).first()
    if invitation is None:
        raise NotVisible("" if sight_of(request.user, policy).is_whole else NOT_SEEN)
    request.invitation = invitation  # type: ignore[attr-defined]  # failure pages name it
    return invitation


@require_http_methods(["GET", "POST"])
@require(roles.CREATE)
def new(request: SignedInRequest) -> HttpResponse:
    """Create an invitation. A GET only pre-fills the form and never spends quota."""
    policy, own = policy_of(request), teams.of(request.user)
    rules: dict[str, Any] = {"policy": policy, "is_private_allowed": policy.is_private_allowed, "teams": own}
    if request.method == "GET":
        initial: dict[str, Any] = {name: request.GET.get(name, "").replace("\x00", "") for name in CreateForm.FIELDS}
        initial |= {"token": new_token(), "is_private": "private" in request.GET}
        if len(own) > 1:
            initial["team"] = teams.named(request.GET.get("team", ""), own) or teams.used_last(request.user, own)
        form = CreateForm(initial=initial, **rules)
        return render(request, "invitations/new.html", {"form": form})
    form = CreateForm(request.POST, **rules)
    if not form.is_valid():
        return render(request, "invitations/new.html", {"form": form}, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    request.form_page = ("invitations/new.html", {"form": form})  # type: ignore[attr-defined]
    invitation = actions.create(by=request.user, **form.cleaned_data)
    return redirect("invitation", public_id=invitation.public_id)


@require_GET
@require(roles.SEE)
def detail(request: SignedInRequest, public_id: str) -> HttpResponse:
    """Show one invitation: what to tell the client, what happened, what can be done."""
    invitation = find(request, public_id)
    response = render(request, "invitations/detail.html", detail_context(request, invitation))
    if "language" in request.GET:
        remember(response, language_of(request))
    return response


@require_GET
@require(roles.SEE)
def live(request: SignedInRequest, public_id: str) -> HttpResponse:
    """The polled part of the detail page."""

    def answer() -> HttpResponse:
        return render(request, "invitations/detail.html#live", detail_context(request, find(request, public_id)))

    return polled(request, detail_tag(request, public_id), answer)


def detail_tag(request: SignedInRequest, public_id: str) -> str:
    """Return the polling tag of one invitation's page, without looking at the invitation."""
    day = timezone.localdate()  # times are told as of today or tomorrow
    facts = (get_language(), language_of(request), settings.RELEASE, day, *health(request).facts)
    snapshot, scope = snapshot_of(request), scope_of(Access(request.user))
    sight = sight_of(request.user, snapshot)
    return tag_of(public_id, request.user.pk, snapshot.revision, *scope, *sight.facts, *facts)


def detail_context(request: SignedInRequest, invitation: Invitation) -> dict[str, Any]:
    policy = policy_of(request)
    row = row_for(request, invitation)
    shared = share_context(request, invitation, by=request.user, policy=policy) if row.can_copy else {}
    return shared | {
        "invitation": invitation,
        "viewer": request.user,
        "row": row,
        "timeline": timeline(invitation, may_see_addresses=row.can_copy),
        "tag": detail_tag(request, invitation.public_id),
        "poll_seconds": settings.POLL_SECONDS,
        "is_new": is_new(invitation, request),
        "ask_recording": policy.recording == Policy.Recording.ASK,
        "recording_note": recording_note(policy),
        "extend_hours": expiry.HOURS,
        "form_token": new_token(),
        "may_annotate": actions.may_annotate(request.user),
        "note_versions": notes.version(invitation),
    }


def row_for(request: SignedInRequest, invitation: Invitation) -> Row:
    may = Access(request.user)
    account, why_not = snapshot_of(request).account, health(request).why_not
    about = (may, policy_of(request), account, why_not)
    return Row(invitation, *about, viewer=request.user, team=team_name(invitation))


def team_name(invitation: Invitation) -> str:
    """Return whose it is, where there is more than one team."""
    names = teams.names() if invitation.team_id else {}
    return names[invitation.team_id] if invitation.team_id in names and len(names) > 1 else ""


def is_new(invitation: Invitation, request: SignedInRequest) -> bool:
    """Say whether the viewer made it a moment ago, so that the page opens on what to share."""
    age = (timezone.now() - invitation.created_at).total_seconds()
    return invitation.is_owned_by(request.user) and invitation.status == Status.WAITING and age < 120


def recording_note(policy: Policy) -> str:
    notes = {
        Policy.Recording.ON: _("This session will be recorded."),
        Policy.Recording.OFF: _("This session will not be recorded."),
    }
    return notes.get(Policy.Recording(policy.recording), "")


@require_POST
@require(roles.CONNECT)
def connect(request: SignedInRequest, public_id: str) -> HttpResponse:
    """Fetch a single-use link for a person's click and send the browser there, once."""
    invitation = find(request, public_id)
    minutes = policy_of(request).fresh_factor_minutes
    if minutes and not factors.is_fresh(request, minutes * 60):
        return ask_to_confirm(request, invitation)
    link = actions.connect(
        invitation=invitation,
        by=request.user,
        record=RECORD_CHOICES.get(request.POST.get("record", "")),
        token=sound(request.POST.get("token", "")),
        take_over=request.POST.get("take_over", ""),
    )
    return OneTimeRedirect(link)


def ask_to_confirm(request: SignedInRequest, invitation: Invitation) -> HttpResponse:
    """Send the person to confirm that it is them, and from there to the invitation's page, to press Connect again.

    The press is not kept: what a person confirms now, they also want now.
    """
    audit.record(
        "access.fresh_factor_asked",
        result=Result.DENIED,
        actor=request.user,
        target_type="invitation",
        target_id=invitation.public_id,
        target_label=invitation.display_name,
    )
    target = factors.confirm_for_connect(request, reverse("invitation", kwargs={"public_id": invitation.public_id}))
    return redirect_whole_page(request, target)


@require_http_methods(["GET", "POST"])
@require(roles.MANAGE_OWN, roles.MANAGE_ANY)
def rename(request: SignedInRequest, public_id: str) -> HttpResponse:
    invitation = manageable(request, public_id)
    form = RenameForm(request.POST or None, initial={"client_name": invitation.client_name})
    context = {"form": form, "invitation": invitation}
    if request.method == "POST" and form.is_valid():
        request.form_page = ("invitations/rename.html", context)  # type: ignore[attr-defined]
        actions.rename(invitation=invitation, by=request.user, **form.cleaned_data)
        messages.success(request, _("The invitation is now named %(name)s.") % {"name": invitation.client_name})
        return redirect("invitation", public_id=public_id)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if request.method == "POST" else HTTPStatus.OK
    return render(request, "invitations/rename.html", context, status=status)


@require_http_methods(["GET", "POST"])
@require(roles.MANAGE_OWN, roles.MANAGE_ANY)
def close(request: SignedInRequest, public_id: str) -> HttpResponse:
    invitation = manageable(request, public_id)
    initial = {"outcome": invitation.outcome, "note": invitation.note, "seen": notes.version(invitation)}
    is_required = notes.needs_outcome(invitation, policy_of(request))
    form = OutcomeForm(request.POST if request.method == "POST" else None, initial=initial, is_required=is_required)
    context = {"invitation": invitation, "form": form}
    if request.method == "GET":
        return render(request, "invitations/close.html", context)
    if not form.is_valid():
        return render(request, "invitations/close.html", context, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    request.form_page = ("invitations/close.html", context)  # type: ignore[attr-defined]
    try:
        actions.close(invitation=invitation, by=request.user, **form.told)
    except NoteChanged:
        form.clash(invitation)
        raise
    messages.success(request, _("The invitation for %(name)s is closed.") % {"name": invitation.display_name})
    return redirect("invitation", public_id=public_id)


def manageable(request: SignedInRequest, public_id: str) -> Invitation:
    """Return the invitation, or raise PermissionDenied if it is not the viewer's to rename and close."""
    invitation = find(request, public_id)
    if not actions.may_manage(request.user, invitation):
        raise PermissionDenied(_("Only its owner or a team lead may rename or close this invitation."))
    return invitation


@require_GET
@require(roles.SEE_CODES)
def preview(request: SignedInRequest, public_id: str) -> HttpResponse:
    """Show the client's desktop, fetched by the server. The picture stays in no cache."""
    invitation = find(request, public_id)
    if not (invitation.has_preview and invitation.is_open):
        raise Http404
    picture = actions.look(invitation=invitation, by=request.user)
    headers = {
        "Referrer-Policy": "no-referrer",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Content-Disposition": "inline",
    }
    return HttpResponse(picture.body, content_type=picture.content_type, headers=headers)


@require_GET
@require(roles.SEE_CODES)
def qr(request: SignedInRequest, public_id: str) -> HttpResponse:
    """Return the client's link as a QR code. The invitation's page loads it once each time it is opened."""
    invitation = find(request, public_id)
    link = links.client_link(invitation, policy_of(request))
    if not (link and invitation.is_open):
        raise Http404
    actions.reveal(invitation=invitation, by=request.user, what="qr")
    return picture(link)


@require_POST
@require(roles.SEE_CODES)
def copied(request: SignedInRequest, public_id: str) -> HttpResponse:
    """Record that a page's button has copied the code, the link or the message.

    It cannot see who reads the code from the screen, copies it by hand, prints it or has no JavaScript,
    and believes the browser that something was copied.
    """
    invitation = find(request, public_id)
    what = request.POST.get("what", "")
    if what not in COPIES:
        return HttpResponseBadRequest()
    actions.reveal(invitation=invitation, by=request.user, what=what)
    return HttpResponse(status=HTTPStatus.NO_CONTENT)


@require_GET
@require(roles.SEE)
def history(request: SignedInRequest) -> HttpResponse:
    """List closed invitations, the last closed first, with search."""
    query = asked_for(request)
    seen = Invitation.objects.visible_to(request.user, policy_of(request))
    rows = seen.closed(query, may_see_codes=request.user.has_perm(roles.SEE_CODES))
    page = Paginator(rows, HISTORY_PAGE).get_page(request.GET.get("page"))
    return render(
        request, "invitations/history.html", {"page_obj": page, "query": query, "total": page.paginator.count}
    )


def asked_for(request: SignedInRequest) -> str:
    return request.GET.get("q", "").replace("\x00", "").strip()[:100]
