"""Tokens that tell a repeated submit of one form from a second, deliberate one."""

import re
import secrets


def new_token() -> str:
    """Return 128 random bits as 32 hex digits."""
    return secrets.token_hex(16)


def sound(token: str) -> str:
    """Return `token` if it could be one of ours, else nothing: then the submit counts as a new one."""
    return token if re.fullmatch(r"[0-9a-f]{1,64}", token) else ""
