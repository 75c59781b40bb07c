"""The OpenID provider: what it says about itself, a code turned into claims, and every check of those.

The only module that talks to the provider. Nothing it sends is believed before its signature, issuer,
audience, age and nonce have been looked at. Redirects are not followed, answers are small or refused.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import jwt
import requests
from django.conf import settings
from django.urls import reverse
from requests.auth import HTTPBasicAuth

from portal.getscreen.links import is_address, is_loopback

TIMEOUT = (3.05, 5)  # seconds to connect, and between two parts of an answer
DEADLINE = 10.0  # seconds for a whole answer
MOST_BYTES = 256 * 1024
PART = 8192  # bytes
LEEWAY = 60  # seconds that clocks may differ
LASTING = 3600.0  # seconds that the provider's documents are kept
KEYS_AGAIN = 30.0  # seconds between two looks for a key that was not there
# Signatures alone: with a shared secret or none, whoever knows the portal's settings could make tokens.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
GOOGLE = "https://accounts.google.com"  # where accounts are for everybody
DISCOVERY = "/.well-known/openid-configuration"
NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class ProviderError(Exception):
    """The provider is not there, or says what cannot be believed. `reason` is one of our words, never one of its."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Answer:
    """One JSON object of the provider, and the provider's clock in seconds if it said it."""

    content: dict[str, Any]
    served_at: float | None


@dataclass
class Memory:
    """Documents of the provider as this process has read them, each with the time of reading."""

    documents: dict[str, tuple[float, dict[str, Any]]] = field(default_factory=dict)

    def read(self, url: str, *, within: float = LASTING) -> dict[str, Any]:
        read_at, content = self.documents.get(url, (0.0, {}))
        if not content or not 0 <= time.monotonic() - read_at < within:
            content = fetch(url).content
            self.documents[url] = (time.monotonic(), content)
        return content


memory = Memory()


def is_configured() -> bool:
    return bool(settings.OIDC_ISSUER and settings.OIDC_CLIENT_ID)


# --- Calls -------------------------------------------------------------------------------------------


def fetch(url: str, form: dict[str, str] | None = None, auth: HTTPBasicAuth | None = None) -> Answer:
    """Return what the provider answers to a GET, or to a POST of `form`. Raises ProviderError."""
    deadline = time.monotonic() + DEADLINE
    try:
        with session() as calls:
            answer = calls.request(
                "GET" if form is None else "POST",
                url,
                data=form,
                auth=auth,
                headers={"Accept": "application/json"},
                timeout=TIMEOUT,
                allow_redirects=False,
                stream=True,
            )
            body = read(answer, deadline)
    except requests.RequestException as error:
        raise ProviderError("no connection") from error
    return understood(answer, body)


def session() -> requests.Session:
    calls = requests.Session()
    calls.trust_env = False  # neither a .netrc nor a proxy that nobody has set here
    calls.verify = settings.OIDC_CA_FILE or True
    if settings.OIDC_PROXY_URL:
        calls.proxies = {"https": settings.OIDC_PROXY_URL}
    return calls


def read(answer: requests.Response, deadline: float) -> bytes:
    body = b""
    for part in answer.iter_content(PART):
        body += part
        if len(body) > MOST_BYTES:
            raise ProviderError("an answer that is too large")
        if time.monotonic() > deadline:
            raise ProviderError("an answer that takes too long")
    return body


def understood(answer: requests.Response, body: bytes) -> Answer:
    if answer.status_code != requests.codes.ok:
        raise ProviderError(f"status {answer.status_code}")
    try:
        content = json.loads(body)
        served_at = parsedate_to_datetime(answer.headers["Date"]).timestamp() if "Date" in answer.headers else None
    except (ValueError, RecursionError) as error:
        raise ProviderError("an answer that cannot be read") from error
    if not isinstance(content, dict):
        raise ProviderError("an answer that cannot be read")
    return Answer(content, served_at)


# --- What it says about itself -----------------------------------------------------------------------


def discovery_address() -> str:
    return f"{settings.OIDC_ISSUER.rstrip('/')}{DISCOVERY}"


def discovery() -> dict[str, Any]:
    """Return the provider's description of itself, checked. Raises ProviderError."""
    try:
        return checked(memory.read(discovery_address()))
    except ProviderError:
        memory.documents.pop(discovery_address(), None)  # whatever is wrong with it may be mended by the next look
        raise


def checked(document: dict[str, Any]) -> dict[str, Any]:
    if document.get("issuer") != settings.OIDC_ISSUER:
        raise ProviderError("another issuer than OIDC_ISSUER")
    for name in (*NEEDED, "end_session_endpoint"):
        address = document.get(name)
        if (address is not None or name in NEEDED) and not is_acceptable(address):
            raise ProviderError(f"an address in its description that is not accepted ({name})")
    return document


def is_acceptable(address: object) -> bool:
    """Say whether the portal, or a browser, may be sent there: by https to a named host, or to the issuer's own."""
    if not isinstance(address, str) or not address.isascii() or not address.isprintable():
        return False
    try:
        parts, own = urlsplit(address), urlsplit(settings.OIDC_ISSUER)
        host = parts.hostname or ""
        if parts.username or parts.password or not host or parts.port == 0:
            return False
    except ValueError:
        return False
    if host == own.hostname:
        return parts.scheme == own.scheme
    return parts.scheme == "https" and "." in host and not is_address(host) and not is_loopback(host)


# --- To the provider and back ------------------------------------------------------------------------


def redirect_uri() -> str:
    """Return where the provider sends people back to, under the portal's own address whatever host was asked for."""
    return f"{settings.PUBLIC_URL}{reverse('single_sign_on_callback')}"


def begin() -> dict[str, str]:
    """Return what the session keeps of one sign-in: with them only the same browser can end it, and once."""
    return {"nonce": secrets.token_urlsafe(32), "verifier": secrets.token_urlsafe(64)}


def authorization_address(state_id: str, kept: dict[str, str], *, is_again: bool) -> str:
    """Return the provider's page to sign in on; `is_again` wants it to ask, however short ago it did."""
    parameters = {
        "response_type": "code",
        "client_id": settings.OIDC_CLIENT_ID,
        "redirect_uri": redirect_uri(),
        "scope": " ".join(dict.fromkeys(["openid", *settings.OIDC_SCOPES])),
        "state": state_id,
        "nonce": kept["nonce"],
        "code_challenge": challenge(kept["verifier"]),
        "code_challenge_method": "S256",
    }
    if is_again:
        parameters |= {"prompt": "login", "max_age": "0"}
    return with_query(discovery()["authorization_endpoint"], parameters)


def challenge(verifier: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def with_query(address: str, parameters: dict[str, str]) -> str:
    return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(parameters)}"


def claims_of(code: str, kept: dict[str, str]) -> dict[str, Any]:
    """Return the claims about whoever came back with `code`, all checks passed. Raises ProviderError."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri(),
        "code_verifier": kept["verifier"],
    }
    document = discovery()
    methods = document.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    secret, auth = settings.OIDC_CLIENT_SECRET.reveal(), None
    if not secret:
        form |= {"client_id": settings.OIDC_CLIENT_ID}
    elif "client_secret_post" in methods:
        form |= {"client_id": settings.OIDC_CLIENT_ID, "client_secret": secret}
    else:
        auth = HTTPBasicAuth(settings.OIDC_CLIENT_ID.encode(), secret.encode())
    token = fetch(document["token_endpoint"], form, auth).content.get("id_token")
    if not isinstance(token, str):
        raise ProviderError("no token")
    return verified(token, kept["nonce"])


def verified(token: str, nonce: str) -> dict[str, Any]:
    """Return the claims of a token that the provider has signed for us, now, for this sign-in."""
    try:
        claims = jwt.decode(
            token,
            key_for(jwt.get_unverified_header(token)),
            algorithms=list(ALGORITHMS),
            audience=settings.OIDC_CLIENT_ID,
            issuer=settings.OIDC_ISSUER,
            leeway=LEEWAY,
            options={"require": ["exp", "iat", "iss", "aud", "sub"]},
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise ProviderError(f"a token that is not valid ({type(error).__name__})") from error
    said = claims.get("nonce")
    if not isinstance(said, str) or not secrets.compare_digest(said.encode(), nonce.encode()):
        raise ProviderError("a token of another sign-in")
    party, audience = claims.get("azp"), claims["aud"]
    if party != settings.OIDC_CLIENT_ID and (party is not None or (isinstance(audience, list) and len(audience) > 1)):
        raise ProviderError("a token for somebody else")
    return dict(claims)


def key_for(header: dict[str, Any]) -> jwt.PyJWK:
    """Return the provider's key that the token names. The keys are read again where it is new. Raises ProviderError."""
    algorithm, name = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise ProviderError("a token with a signature that is not accepted")
    for within in (LASTING, KEYS_AGAIN):
        found = [key for key in keys(within) if name is None or key.get("kid") == name]
        if len(found) == 1:
            return jwt.PyJWK.from_dict(found[0], algorithm=algorithm)
    raise ProviderError("a token signed with a key that the provider does not name")


def keys(within: float) -> list[dict[str, Any]]:
    """Return the provider's signing keys, read not longer ago than `within` seconds."""
    found = memory.read(discovery()["jwks_uri"], within=within).get("keys")
    if not isinstance(found, list):
        raise ProviderError("no keys")
    return [key for key in found if isinstance(key, dict) and key.get("use", "sig") == "sig"]


def end_address() -> str | None:
    """Return the provider's page to sign out on, if it has one. Raises ProviderError."""
    address = discovery().get("end_session_endpoint")
    if not address:
        return None
    back = f"{settings.PUBLIC_URL}{reverse('account_login')}"
    return with_query(address, {"client_id": settings.OIDC_CLIENT_ID, "post_logout_redirect_uri": back})


def examine() -> float | None:
    """Ask the provider for its documents now, and return its clock in seconds if it says it. Raises ProviderError."""
    answer = fetch(discovery_address())
    checked(answer.content)
    memory.documents.pop(answer.content["jwks_uri"], None)
    if not keys(LASTING):
        raise ProviderError("no keys")
    return answer.served_at
