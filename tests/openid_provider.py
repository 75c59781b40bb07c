"""A small OpenID provider on a loopback port, which tells lies where a test asks it to.

It knows the authorization code flow with PKCE (S256) and nonce, signs with RSA keys by `joserfc`, counts
each code once, and has a page to sign out on. `oidc-provider-mock`, with which the portal is tried as
well, knows neither PKCE nor `amr`.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID, CLIENT_SECRET = "portal", "not-a-real-secret"
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
MAYA = {
    "sub": "maya-1",
    "email": "maya@example.org",
    "email_verified": True,
    "preferred_username": "maya",
    "given_name": "Maya",
    "family_name": "Okafor",
    "groups": ["helpdesk"],
}


class Provider:
    """What the provider knows, and how it is to behave. Every attribute may be changed by a test."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = dict(MAYA)
        self.document: dict[str, Any] = {}  # over what it says of itself
        self.token: dict[str, Any] = {}  # over the token's own claims
        self.sign: Callable[[dict[str, Any]], str] = signed
        self.broken: dict[str, Callable[[Handler], None]] = {}  # by path
        self.asked: list[str] = []
        self.codes: dict[str, dict[str, str]] = {}
        self.signed_in_at = int(time.time())
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.provider = self  # type: ignore[attr-defined]
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "end_session_endpoint": f"{self.issuer}/end",
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        } | self.document

    def authorize(self, query: str) -> str:
        """Sign the person in that `claims` say, and return the address back to the portal."""
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
        if asked.get("prompt") == "login":
            self.signed_in_at = int(time.time())
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def exchange(self, form: dict[str, str]) -> dict[str, Any] | None:
        """Return the answer to a code, or None where the code, the client or the verifier is wrong."""
        asked = self.codes.pop(form["code"], None)
        if asked is None or (form["client_id"], form["client_secret"]) != (CLIENT_ID, CLIENT_SECRET):
            return None
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        if urlsafe_b64encode(digest).rstrip(b"=").decode() != asked["code_challenge"]:
            return None
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        claims |= {"auth_time": self.signed_in_at} | self.claims | self.token
        token = self.sign({name: value for name, value in claims.items() if value is not None})
        return {"access_token": "x", "token_type": "Bearer", "id_token": token}


def signed(claims: dict[str, Any], key: RSAKey = KEY, header: dict[str, str] | None = None) -> str:
    return jwt.encode(header or {"alg": "RS256", "kid": "one"}, claims, key)


class Handler(BaseHTTPRequestHandler):
    @property
    def provider(self) -> Provider:
        found: Provider = self.server.provider  # type: ignore[attr-defined]
        return found

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def answer(self) -> None:
        parts = urlsplit(self.path)
        self.provider.asked.append(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        if broken := self.provider.broken.get(parts.path):
            broken(self)
        elif parts.path == "/authorize":
            self.lead(self.provider.authorize(parts.query))
        elif parts.path == "/end":
            self.lead(parse_qs(parts.query)["post_logout_redirect_uri"][0])
        elif parts.path == "/token":
            answer = self.provider.exchange(form)
            self.say(answer or {"error": "invalid_grant"}, 200 if answer else 400)
        elif parts.path == "/keys":
            self.say({"keys": [KEY.as_dict(private=False)]})
        elif parts.path.endswith("/.well-known/openid-configuration"):
            self.say(self.provider.discovery())
        else:
            self.say({}, 404)

    def lead(self, address: str) -> None:
        self.send_response(302)
        self.send_header("Location", address)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def say(self, content: object, status: int = 200) -> None:
        self.write(json.dumps(content).encode(), status)

    def write(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing in the tests' output."""
