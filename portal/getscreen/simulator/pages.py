"""The pages behind the links: where a client joins and where an operator arrives.

Responsible for small pages that explain themselves, without scripts and with nothing inline. Refuses to
know how links are checked, and says on each page that it is simulated.
"""

from __future__ import annotations

from html import escape
from string import Template

from portal.getscreen.simulator.account import Row
from portal.getscreen.simulator.answers import HTML, Answer

STYLESHEET = "/simulated.css"
POLICY = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
HEADERS = (
    ("Content-Security-Policy", POLICY),
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
)
PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<link rel="stylesheet" href="/simulated.css">
</head>
<body>
<main>
<p class="stamp">Simulation, no real computer</p>
<h1>$title</h1>
$content
</main>
</body>
</html>
""")
CSS = b"""\
:root { color-scheme: light dark; font: 1.125rem/1.5 system-ui, sans-serif; }
body { margin: 0; display: grid; place-items: center; min-height: 100vh; }
main { box-sizing: border-box; width: min(100%, 34rem); padding: 1.5rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0.5rem 0 1rem; }
.stamp { display: inline-block; margin: 0; padding: 0.2rem 0.7rem; border: 1px solid; border-radius: 1rem;
  font-size: 0.85rem; }
.code { font: 1.5rem/1.2 ui-monospace, monospace; letter-spacing: 0.06em; }
button { width: 100%; min-height: 3rem; font: inherit; font-weight: 600; color: #fff; background: #14568f;
  border: 0; border-radius: 0.5rem; cursor: pointer; }
button.quiet { color: inherit; background: transparent; border: 1px solid; }
button:focus-visible { outline: 3px solid; outline-offset: 2px; }
"""


def _page(status: int, title: str, content: str) -> Answer:
    body = PAGE.substitute(title=escape(title), content=content)
    return Answer(status, body.encode(), HTML, HEADERS)


def _paragraphs(*texts: str) -> str:
    return "\n".join(f"<p>{escape(text)}</p>" for text in texts)


def _button(label: str, action: str, style: str = "") -> str:
    return f'<form method="post"><button class="{style}" name="action" value="{action}">{label}</button></form>'


def _code(row: Row) -> str:
    grouped = " ".join(row.code[start : start + 3] for start in range(0, len(row.code), 3))
    return f'<p>Invitation code</p>\n<p class="code">{escape(grouped)}</p>'


def invite(row: Row) -> Answer:
    """What the client sees: asked to join, waiting, or being helped."""
    if row.has_client:
        return _inside(row)
    text = _paragraphs(
        "A real client would start a small program here and agree to be helped. You only press the button.",
        "The helpdesk then sees you as joined.",
    )
    content = f"{_code(row)}\n{text}\n{_button('Join', 'join', 'main')}"
    return _page(200, "You are the client (simulated)", content)


def _inside(row: Row) -> Answer:
    state = "You are waiting. Someone from the helpdesk can connect now."
    if row.status == 2:
        state = "Someone from the helpdesk is connected to you."
    content = f"{_paragraphs(state)}\n{_button('Leave', 'leave', 'quiet')}"
    return _page(200, "You have joined (simulated)", content)


def closed(row: Row) -> Answer:
    return _page(410, "This invitation is closed", _paragraphs("Ask the helpdesk for a new one."))


def connected(row: Row) -> Answer:
    """What the operator sees behind a connect link."""
    name = row.client_name or "a client without a name"
    text = _paragraphs(
        f"Client: {name}",
        "Here the client's desktop would be. The link that brought you works once and is now used up.",
        "You can close this tab.",
    )
    return _page(200, "You are connected (simulated)", text)


def already_used() -> Answer:
    text = _paragraphs("Links to a client's desktop work once. Get a new one in the portal.")
    return _page(410, "This link was already used", text)


def not_found() -> Answer:
    return _page(404, "There is nothing here", _paragraphs("The link is wrong, or its invitation is gone."))


def not_allowed() -> Answer:
    return _page(405, "This does not work that way", _paragraphs("Open the link in a browser."))


def see_other(location: str) -> Answer:
    return Answer(303, b"", HTML, (("Location", location), *HEADERS))


def stylesheet() -> Answer:
    return Answer(200, CSS, "text/css; charset=utf-8", HEADERS)


def picture(png: bytes) -> Answer:
    return Answer(200, png, "image/png", HEADERS)


def system_of(user_agent: str) -> str:
    """The operating system a browser claims, in the API's words."""
    claims = {"Android": "android", "Mac OS": "mac", "Linux": "linux"}
    return next((system for claim, system in claims.items() if claim in user_agent), "win")
