"""The portal's settings for tests: nothing from the developer's own environment, quick hashing."""

import os
import tempfile
from pathlib import Path

FROM_OUTSIDE = ("DATABASE_URL",)
for name in [
    name
    for name in os.environ
    if name.startswith(("GETSCREEN_", "OIDC_", "SSO_")) and not name.startswith("GETSCREEN_CONTRACT_")
]:
    del os.environ[name]
os.environ.update(
    ENV_FILE="none",
    SECRET_KEY="a-key-for-tests-only-and-nothing-else-0123456789-0123456789",
    GETSCREEN_API_KEY="test-key-not-real",
    GETSCREEN_API_URL="http://127.0.0.1:1/v1",
    GETSCREEN_LINK_HOSTS="getscreen.me,127.0.0.1:1",
    PUBLIC_URL="https://testserver",
    ALLOWED_HOSTS="testserver",
    DEBUG="0",
    REQUIRE_MFA="off",  # tests about the second factor set it
)
for name in (
    "INSECURE_HTTP",
    "DEMO",
    "TRUSTED_PROXIES",
    "EMAIL_URL",
    "SMTP_TIMEOUT",
    "WEBHOOK_PRIVATE_HOSTS",
    "WEBHOOK_CA_FILE",
    "POLL_SECONDS",
    "IDLE_POLL_SECONDS",
    "TIME_ZONE",
    "AUDIT_KEY_FILE",
    "DATABASE_OWNER_URL",
    "DATABASE_OWNER_URL_FILE",
    "LOG_FORMAT",
    "SYSLOG_URL",
    "SYSLOG_CA_FILE",
    "AUDIT_CHECKPOINT_DIR",
    "METRICS_TOKEN",
    "SENTRY_DSN",
    "SENTRY_CA_FILE",
    "SENTRY_PROXY_URL",
    "BACKUP_DIR",
    "BACKUP_HOURS",
    "BACKUP_KEEP_DAYS",
    "BACKUP_KEEP_WEEKS",
):
    os.environ.pop(name, None)

os.environ["AUDIT_KEY_FILE"] = str(Path(tempfile.mkdtemp(prefix="portal-tests-")) / "audit.pem")

from portal.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_AUTOREFRESH = True
WHITENOISE_USE_FINDERS = True
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
