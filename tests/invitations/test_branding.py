"""The helpdesk's look: colours that can be read, a logo that is nothing but pixels, and where both are served."""

import base64
import hashlib
import io
import itertools
import re
import struct
import zlib

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image, ImageOps

from invitations import branding, colours
from invitations.models import Invitation, Logo, Policy, Snapshot
from portal.audit.models import Event
from tests.conftest import POLICY_LIMITS, Browser

POLICY = "/admin/invitations/policy/1/change/"
FORM = POLICY_LIMITS | {"helpdesk_name": "Helpdesk", "recording": "default", "previews": "click"}


@pytest.fixture
def office(admin, browser_of, vendor):
    Policy.load()
    return browser_of(admin)


def picture(form="PNG", size=(800, 200), **options):
    out = io.BytesIO()
    Image.new("RGB", size, "teal").save(out, form, **options)
    return out.getvalue()


def animated():
    out = io.BytesIO()
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:], duration=100, lossless=True)
    return out.getvalue()


def enormous():
    """A PNG whose header promises 30000 × 30000 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + picture()[33:]


def send(office, data, name="logo.png", **changes):
    return office.post(POLICY, FORM | {"logo": SimpleUploadedFile(name, data, "image/png")} | changes)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_logo_is_drawn_anew_and_served_to_everybody(office, form):
    before = Snapshot.load().revision
    assert send(office, picture(form), name="<script>.svg").status_code == 302
    digest = Policy.load().logo_digest
    answer = Browser().get(f"/logo/{digest}.png")
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    with Image.open(io.BytesIO(answer.content)) as drawn:
        assert (drawn.format, drawn.size) == ("PNG", (400, 100))
    for page in (Browser().get("/accounts/login/"), office.get("/")):
        assert f"/logo/{digest}.png" in page.content.decode()
    assert Event.objects.filter(kind="policy.changed").first().details["changes"] == {"logo_digest": ["", digest]}
    assert Snapshot.load().revision > before


def test_a_logo_is_replaced_and_removed(office):
    send(office, picture())
    first = Policy.load().logo_digest
    send(office, picture(size=(10, 10)))
    assert Logo.objects.count() == 1
    assert Browser().get(f"/logo/{first}.png").status_code == 404
    office.post(POLICY, FORM | {"is_logo_removed": "on"})
    assert (Policy.load().logo_digest, Logo.objects.count()) == ("", 0)


HOSTILE = {
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "html": b"<!doctype html><script>alert(1)</script>",
    "truncated": picture()[:80],
    "only a header": b"\x89PNG\r\n\x1a\n",
    "enormous": enormous(),
    "another format": picture("GIF"),
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n",
    "a megabyte and more": picture() + b"x" * branding.MOST_BYTES,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_small_picture_is_refused(office, name):
    assert send(office, HOSTILE[name]).status_code == 200
    assert (Policy.load().logo_digest, Logo.objects.count()) == ("", 0)
    with pytest.raises(ValidationError):
        branding.drawn_anew(HOSTILE[name])


def test_nothing_of_the_file_but_its_pixels_is_kept():
    exif = Image.Exif()
    exif[0x010E] = "secret place"
    hostile = picture("PNG", exif=exif, icc_profile=b"profile <script>") + b"<script>alert(1)</script>"
    drawn = branding.drawn_anew(hostile)
    for word in (b"script", b"secret", b"iCCP", b"eXIf", b"tEXt"):
        assert word not in drawn
    assert branding.drawn_anew(drawn) == drawn


@pytest.mark.parametrize("orientation", [*range(10), 65_535])
def test_a_picture_stands_as_the_camera_was_held(orientation):
    held = Image.Exif()
    held[0x0112] = orientation
    kept = Image.new("RGB", (600, 100), "red")
    kept.paste("blue", (0, 0, 300, 50))  # one corner, so that every way to turn it looks different
    with Image.open(io.BytesIO(encoded(kept, exif=held))) as told:
        seen = ImageOps.exif_transpose(told).convert("RGB")
    png = branding.drawn_anew(encoded(kept, exif=held))
    assert b"eXIf" not in png
    with Image.open(io.BytesIO(png)) as drawn:
        assert drawn.width <= 400
        assert drawn.height <= 120
        assert drawn.width * seen.height == pytest.approx(drawn.height * seen.width, rel=0.05)
        for x, y in itertools.product((0.25, 0.75), repeat=2):
            place = (int(drawn.width * x), int(drawn.height * y))
            there = seen.getpixel((int(seen.width * x), int(seen.height * y)))
            assert drawn.convert("RGB").getpixel(place) == there


def encoded(image, **more) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", **more)
    return out.getvalue()


@pytest.mark.parametrize(
    "said",
    [
        b"II*\0\x08\0\0\0\x05\0\x12\x01",  # ends in the middle
        b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\xff\xff\xff\x7f\xff\xff\xff\x7f",  # leads beyond its end
        b"no such thing",
    ],
)
def test_what_a_picture_says_of_itself_may_be_nonsense(said):
    plain = Image.new("RGB", (60, 30), "red")
    assert branding.drawn_anew(encoded(plain, exif=b"Exif\0\0" + said)) == branding.drawn_anew(encoded(plain))


def test_of_an_animation_the_first_picture_is_taken():
    with Image.open(io.BytesIO(branding.drawn_anew(animated()))) as drawn:
        assert getattr(drawn, "n_frames", 1) == 1
        assert drawn.convert("RGB").getpixel((20, 20)) == (255, 0, 0)


@pytest.mark.parametrize("path", [POLICY, "/invitations/new/"])
def test_a_form_that_is_too_large_is_refused_before_it_is_read(office, path):
    answer = office.post(path, FORM | {"logo": SimpleUploadedFile("x.png", b"x" * 1_700_000, "image/png")})
    assert answer.status_code in (400, 413)
    assert "This is too large" in answer.content.decode()
    assert not Event.objects.exists()


@pytest.mark.parametrize("path", ["/invitations/new/", "/accounts/login/", "/admin/accounts/user/add/", "/nowhere/"])
def test_only_the_logo_s_form_may_be_larger_than_others(office, path):
    large = {"logo": SimpleUploadedFile("x.png", picture() + b"x" * 400_000, "image/png")}
    assert office.post(path, FORM | large).status_code in (400, 404, 413)
    assert "logo" not in Policy.load().logo_digest
    large["logo"].seek(0)
    assert office.post(POLICY, FORM | large).status_code == 302
    assert Policy.load().logo_digest


def test_nobody_sends_a_large_form_who_is_not_signed_in(office):
    strict = Browser(enforce_csrf_checks=True)
    strict.get("/accounts/login/")
    large = {"logo": SimpleUploadedFile("x.png", picture() + b"x" * 400_000, "image/png")}
    answer = strict.post(POLICY, FORM | large, headers={"origin": "https://testserver"})
    assert answer.status_code == 400, "before its token is sought in it"
    assert not Policy.load().logo_digest


def test_other_fields_stay_limited(office):
    assert office.post(POLICY, FORM | {"helpdesk_name": "x" * 300_000}).status_code in (400, 413)


def test_the_colour_is_a_stylesheet_of_its_own(office):
    assert office.post(POLICY, FORM | {"accent": "#1D4ED8"}).status_code == 302
    assert Policy.load().accent == "#1d4ed8"
    address = f"/branding/{branding.digest_of('#1d4ed8')}.css"
    assert address in office.get("/").content.decode()
    answer = Browser().get(address)
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    assert answer.headers["Cache-Control"].startswith("public")
    assert "#1d4ed8" in answer.content.decode()
    pinned = re.search(rf'href="{address}" integrity="sha384-([^"]+)"', office.get("/").content.decode())[1]
    assert pinned == base64.b64encode(hashlib.sha384(answer.content).digest()).decode()
    office.post(POLICY, FORM)
    assert Browser().get(address).status_code == 404
    assert "/branding/" not in office.get("/").content.decode()


def test_a_colour_that_cannot_be_read_is_refused_with_the_nearest_that_can(office):
    page = office.post(POLICY, FORM | {"accent": "#ffd400"}).content.decode()
    shade = colours.for_light("#ffd400")
    assert f"contrast of 1.4 to 1, and 4.5 to 1 is needed to read it. The nearest shade that has it is {shade}" in page
    assert f"on the dark theme it becomes {colours.for_dark(shade)} by itself" in page
    assert 'value="#ffd400"' in page
    assert office.post(POLICY, FORM | {"accent": shade}).status_code == 302


@pytest.mark.parametrize("colour", ["red", "#fff", "#12345g", "#000}*{", "url(x)", "#1234567"])
def test_what_is_no_colour_is_refused(office, colour):
    assert office.post(POLICY, FORM | {"accent": colour}).status_code == 200
    assert Policy.load().accent == ""


@pytest.mark.parametrize("colour", ["#000000", "#1d4ed8", "#ffffff", "#ffd400", "#767676", "#00ff00"])
def test_both_shades_can_be_read(colour):
    light, dark = colours.for_light(colour), colours.for_dark(colour)
    assert colours.contrast(light, colours.WHITE) >= 4.5
    assert colours.contrast(dark, colours.DARK_GROUND) >= 4.5
    assert colours.contrast(dark, colours.DARK_TEXT) >= 4.5


def test_known_contrasts():
    assert round(colours.contrast("#000000", "#ffffff"), 2) == 21
    assert round(colours.contrast("#777777", "#ffffff"), 2) == 4.48


def test_extra_fields_change_no_digest(office):
    office.post(POLICY, FORM | {"logo_digest": "a" * 64, "id": "7"})
    assert (Policy.load().logo_digest, Policy.objects.count()) == ("", 1)


def test_the_page_says_who_needs_a_second_factor(office):
    page = office.get(POLICY).content.decode()
    assert "REQUIRE_MFA" in page
    assert 'enctype="multipart/form-data"' in page


def test_a_ticket_can_be_asked_for(office, agent, browser_of):
    office.post(POLICY, FORM | {"is_ticket_required": "on"})
    browser = browser_of(agent)
    refused = browser.post("/invitations/new/", {"client_name": "Tilda"})
    assert refused.status_code == 422
    assert "Your team asks for a ticket with every invitation. Type its number." in refused.content.decode()
    assert not Invitation.objects.exists()
    assert 'value="HD-7"' in browser.get("/invitations/new/?ticket=HD-7").content.decode()
    assert browser.post("/invitations/new/", {"client_name": "Tilda", "ticket": "HD-7"}).status_code == 302
