"""The helpdesk's own look: its logo, drawn anew by us, and its colour as a stylesheet. Both are public and last."""

from __future__ import annotations

import base64
import hashlib
import io
import warnings
from contextlib import suppress
from functools import cache
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.csp import csp_override
from django.views.decorators.http import require_safe
from PIL import ExifTags, Image, ImageOps

from invitations import colours
from invitations.models import Logo, Policy

FORMATS = ("PNG", "JPEG", "WEBP")
MOST_BYTES = 1024 * 1024
MOST_PIXELS = 16_000_000  # 64 MB once decoded
SIZE = (400, 120)  # pixels at most
ON_THEIR_SIDE = range(5, 9)  # orientations, as EXIF numbers them
NOTHING: dict[str, Any] = {"default-src": ["'none'"], "sandbox": True}


def drawn_anew(data: bytes) -> bytes:
    """Return the picture as a small PNG with nothing of the file but its pixels.

    Raises ValidationError for what is no PNG, JPEG or WebP, and before decoding one that is too large.
    """
    if len(data) > MOST_BYTES:
        raise ValidationError(_("The file is larger than 1 MB. Choose a smaller one."))
    try:
        with warnings.catch_warnings(action="error"), Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise ValidationError(_("The picture has too many pixels. Choose one of at most 4000 × 4000."))
            pixels = picture.convert("RGBA")  # of several pictures in one file the first
            orientation = orientation_of(picture)
    except ValidationError:
        raise
    except Exception as error:  # decoders of broken files raise whatever they like
        raise ValidationError(_("This is no picture that can be read. Choose a PNG, JPEG or WebP file.")) from error
    pixels.thumbnail(SIZE[::-1] if orientation in ON_THEIR_SIDE else SIZE)
    clean, out = Image.new("RGBA", pixels.size), io.BytesIO()
    clean.paste(pixels)  # a picture of its own: the other one remembers profiles and comments
    clean.getexif()[ExifTags.Base.Orientation] = orientation
    ImageOps.exif_transpose(clean, in_place=True)
    clean.save(out, "PNG", optimize=True)
    return out.getvalue()


def orientation_of(picture: Image.Image) -> int:
    """Return how a camera says it was held, as EXIF numbers that: 1 is upright, and where nothing sound is said."""
    with suppress(Exception):  # the pixels are good, whatever is said about them
        return int(picture.getexif().get(ExifTags.Base.Orientation, 1))
    return 1


def keep_logo(png: bytes | None) -> str:
    """Store the logo in place of the one before, or remove it; return what the policy calls it."""
    Logo.objects.all().delete()
    if png is None:
        return ""
    Logo.objects.create(png=png)
    return hashlib.sha256(png).hexdigest()


def stylesheet(accent: str) -> str:
    """Return the rules that put the colour on the mark and on ordinary buttons, in both themes."""
    fill = f"light-dark({colours.for_light(accent)}, {colours.for_dark(accent)})"
    text = f"light-dark({colours.WHITE}, {colours.DARK_TEXT})"
    buttons = '.btn-primary:not(:disabled, [aria-disabled="true"])'
    return (
        f"@layer tokens {{ :root {{ --brand: {fill}; }} }}\n"
        f"@layer components {{ {buttons} {{ --bg: {fill}; --fg: {text}; }} }}\n"
    )


@cache
def digest_of(accent: str) -> str:
    """Return the name of a colour's stylesheet: another one whenever its text changes."""
    return hashlib.sha256(stylesheet(accent).encode()).hexdigest()[:16] if accent else ""


@cache
def integrity_of(accent: str) -> str:
    """Return what the browser must find in a colour's stylesheet, or refuse it."""
    digest = hashlib.sha384(stylesheet(accent).encode()).digest() if accent else b""
    return f"sha384-{base64.b64encode(digest).decode()}"


def lasting(content: bytes, content_type: str) -> HttpResponse:
    """Return a file whose address names its content, so that it never changes."""
    response = HttpResponse(content, content_type=content_type)
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    response.is_lasting = True  # type: ignore[attr-defined]  # tells the middleware to leave it so
    return response


@login_not_required
@require_safe
@csp_override(NOTHING)
def logo(request: HttpRequest, digest: str) -> HttpResponse:
    """The logo. Whoever opens the sign-in page sees it."""
    if not Policy.objects.filter(logo_digest=digest).exclude(logo_digest="").exists():
        raise Http404
    row = Logo.objects.first()
    if row is None:
        raise Http404
    return lasting(bytes(row.png), "image/png")


@login_not_required
@require_safe
@csp_override(NOTHING)
def accent(request: HttpRequest, digest: str) -> HttpResponse:
    """The colour as a stylesheet."""
    policy = Policy.load()
    if not policy.accent or digest != digest_of(policy.accent):
        raise Http404
    return lasting(stylesheet(policy.accent).encode(), "text/css; charset=utf-8")
