"""The embedded defaults of `manage.py start`, for a machine where nothing is configured.

`prepare` writes them into the environment before settings read it, and never overrides what is
already set there or in `.env`. Without an API key it is the demo: a simulator of its own on a
free loopback port, a database of its own.
"""

import os
import secrets
import socket
from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve().parent.parent
VAR = BASE_DIR / "var"


def prepare() -> None:
    """Fill the environment with what `start` assumes."""
    env_file = Path(os.environ.get("ENV_FILE") or BASE_DIR / ".env")
    if env_file.is_file():
        environ.Env.read_env(env_file, encoding="utf-8")
    VAR.mkdir(mode=0o700, exist_ok=True)
    if not (os.environ.get("SECRET_KEY") or os.environ.get("SECRET_KEY_FILE")):
        own_secret("secret_key")
    defaults = {
        "INSECURE_HTTP": "1",
        "REQUIRE_MFA": "off",
        "ALLOWED_HOSTS": "localhost,127.0.0.1,[::1]",
        "LOG_FORMAT": "text",
    }
    if not (os.environ.get("GETSCREEN_API_KEY") or os.environ.get("GETSCREEN_API_KEY_FILE")):
        os.environ.update(demo_settings())
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def own_secret(name: str) -> str:
    """Return the secret in `var/NAME`, made at first use and readable by its owner only."""
    file = VAR / name
    if not file.exists():
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            handle.write(secrets.token_urlsafe(50))
    return file.read_text(encoding="utf-8").strip()


def demo_settings() -> dict[str, str]:
    """Return the demo's settings: simulator, database and banner. They win, so that a demo stays one."""
    port = free_port()
    return {
        "DEMO": "1",
        "DATABASE_URL": f"sqlite:///{VAR / 'demo.sqlite3'}",
        "GETSCREEN_API_KEY": own_secret("demo_key"),  # the same each time, so that rows stay ours
        "GETSCREEN_API_URL": f"http://127.0.0.1:{port}/v1",
        "GETSCREEN_LINK_HOSTS": f"127.0.0.1:{port}",
        "GETSCREEN_UPDATE_PATH": "",
        "GETSCREEN_CONNECT_PATH": "",
        "GETSCREEN_PROXY_URL": "",
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
