"""The JSON records of the API, field by field as the vendor's documentation shows them.

Responsible for names, shapes and the documentation's slips in links (`https://https://`, `&amp;`).
Refuses to know why a record is wanted.
"""

from __future__ import annotations

from typing import Any

from portal.getscreen.simulator.account import Account, OneTimeLink, Row, Session


def slipped(link: str) -> str:
    """The link as the documentation's samples spell it. The doubled scheme is known of https only."""
    if link.startswith("https://"):
        link = "https://" + link
    return link.replace("&", "&amp;")


def invitation(account: Account, row: Row) -> dict[str, Any]:
    preview = f"{account.public_url}/preview/{row.preview}.png" if row.has_client else ""
    return {
        "id": row.id,
        "status": row.status,
        "create_time": int(row.created_at),
        "invite_code": row.code,
        "invite_url": slipped(f"{account.public_url}/invite/{row.code}"),
        "connect_url": slipped(account.turbo_url(row)),
        "client_name": row.client_name,
        "client_os": row.client_os,
        "client_preview_url": preview,
    }


def listing(account: Account) -> dict[str, Any]:
    data = [invitation(account, row) for row in account.open_rows()]
    return {"data": data} if account.remaining is None else {"remain": account.remaining, "data": data}


def connect_link(account: Account, link: OneTimeLink) -> dict[str, Any]:
    return {"data": {"url": slipped(account.link_url(link))}}


def session(account: Account, session: Session) -> dict[str, Any]:
    """`client` is the operator's side, as in the vendor's history."""
    video = {"url": f"{account.public_url}/video/{session.id}.webm", "size": 1_048_576}
    return {
        "id": session.id,
        "start": int(session.started_at),
        "stop": None if session.stopped_at is None else int(session.stopped_at),
        "support_id": session.row_id,
        "client": [
            {
                "user_agent": "Mozilla/5.0 (simulated)",
                "login": "operator@desk.example",
                "geo": {"country": "Nowhere"},
            }
        ],
        "agent": None,
        "video": video if session.recorded else None,
    }
