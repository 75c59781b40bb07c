"""The helpdesk's name where no page shows it. It is the product's policy; accounts know it through templates alone."""

from django.http import HttpRequest
from django.template.loader import render_to_string

LONGEST = 40  # of an issuer: authenticator apps show one short line


def name(request: HttpRequest) -> str:
    return render_to_string("accounts/helpdesk_name.txt", request=request).strip()


def issuer(request: HttpRequest) -> str:
    """Return the name for authenticator apps and devices, without colons: there they part issuer and person."""
    clean = "".join(sign if sign.isprintable() and sign != ":" else " " for sign in name(request))
    return " ".join(clean.split())[:LONGEST].strip()
