"""Which of PostgreSQL's two roles a command works as, decided before settings read the environment.

The owner makes the tables and may remove what is too old; the portal at work may only add to its audit
log. The owner's address is taken away from every other command, but what a process was started with stays
readable to its user: it is better given to the owner's commands only.
"""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

import environ

BASE_DIR = Path(__file__).resolve().parent.parent
OWNER_COMMANDS = frozenset({"migrate", "upgrade", "backup", "restore", "audit_purge", "audit_erase", "audit_triggers"})

# The portal's own role, while a command works as the owner: it gets its rights after a migration.
runtime_role = ""


def choose(command: str) -> None:
    """Put the address that `command` works with into DATABASE_URL, and the owner's out of sight.

    Raises SystemExit, which says nothing of the addresses, if the two do not fit together.
    """
    global runtime_role
    env_file = Path(os.environ.get("ENV_FILE") or BASE_DIR / ".env")
    if env_file.is_file():
        environ.Env.read_env(env_file, encoding="utf-8")
    owner = secret("DATABASE_OWNER_URL") if command in OWNER_COMMANDS else ""
    if owner:
        runtime_role = role_beside(owner, secret("DATABASE_URL"))
        os.environ.update(DATABASE_URL=owner, DATABASE_URL_FILE="")
    for name in ("DATABASE_OWNER_URL", "DATABASE_OWNER_URL_FILE"):
        if name in os.environ:
            os.environ[name] = ""  # not removed: settings would read it from `.env` again


def secret(name: str) -> str:
    """Return the variable, or what is in the file that `NAME_FILE` names."""
    value, file = (os.environ.get(each, "").strip() for each in (name, f"{name}_FILE"))
    if value or not file:
        return value
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SystemExit(f"{name}_FILE: cannot read {file} ({error.strerror}).") from None


def role_beside(owner: str, runtime: str) -> str:
    """Return the role that the portal works as, nothing if it is the owner's own."""
    try:
        ours, theirs = urlsplit(owner), urlsplit(runtime)
    except ValueError:
        raise SystemExit("DATABASE_OWNER_URL and DATABASE_URL must be addresses of one database.") from None
    if not all(parts.scheme in ("postgres", "postgresql") and parts.username for parts in (ours, theirs)):
        raise SystemExit("DATABASE_OWNER_URL is for PostgreSQL: it and DATABASE_URL must each name their own role.")
    if ours.path != theirs.path:
        raise SystemExit("DATABASE_OWNER_URL and DATABASE_URL must name the same database.")
    role = unquote(theirs.username or "")
    return role if role != unquote(ours.username or "") else ""
