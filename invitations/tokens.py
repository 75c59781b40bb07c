"""Tokens that tell a repeated submit of one form from a second, deliberate one."""

import secrets


def new_token() -> str:
    """Return 128 random bits as 32 hex digits."""
    return secrets.token_hex(16)
