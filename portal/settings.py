"""Every setting of the portal, and the only reader of the environment.

Values come from the environment, then from `.env` beside manage.py. Whatever is wrong fails at
start with the variable's name; defaults are the secure ones. Secrets may also be given as files:
`NAME_FILE` instead of `NAME`.
"""

import ipaddress
import warnings
from collections.abc import Callable
from contextlib import suppress
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

import environ
from django.core.exceptions import ImproperlyConfigured
from django.utils.csp import CSP

from portal import ownership
from portal.getscreen.links import AllowedHosts, PrivateHosts, is_loopback
from portal.getscreen.types import Secret

BASE_DIR = Path(__file__).resolve().parent.parent
RELEASE = "0.2.0"

env = environ.Env.ENVIRON
SECRET_FILES: list[Path] = []  # that secrets were read from, for the check of who may read them
env_file = Path(env.get("ENV_FILE") or BASE_DIR / ".env")
if env_file.is_file():
    environ.Env.read_env(env_file, encoding="utf-8")
    SECRET_FILES.append(env_file)


def text(name: str, default: str = "") -> str:
    """Return the variable `name`, stripped. An empty one counts as not set; `$` means nothing."""
    return env.get(name, "").strip() or default


def secret(name: str, *, default_file: Path | None = None, required: bool = True) -> str:
    """Return the secret `name` from the environment or, stripped, from the file `NAME_FILE`."""
    value = text(name)
    if value:
        return value
    file = text(f"{name}_FILE", str(default_file or ""))
    if file and (file != str(default_file) or Path(file).exists()):
        try:
            value = Path(file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE: cannot read {file} ({error.strerror}).") from None
        SECRET_FILES.append(Path(file))
    if required and not value:
        raise ImproperlyConfigured(f"Set {name} (or {name}_FILE) in the environment or in .env.")
    return value


def words(name: str, default: list[str]) -> list[str]:
    """Return the parts between the commas."""
    return [word for part in text(name).split(",") if (word := part.strip())] or default


def choice(name: str, choices: tuple[str, ...], default: str) -> str:
    value = text(name, default).lower()
    if value not in choices:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(choices)}.")
    return value


def flag(name: str) -> bool:
    """Return a switch that is off unless it says on. Anything else is an error, not off."""
    return choice(name, ("1", "true", "yes", "on", "0", "false", "no", "off"), "0") in ("1", "true", "yes", "on")


def number(name: str, default: int, *, least: int, most: int) -> int:
    value = text(name, str(default))
    if not value.isdecimal() or not least <= int(value) <= most:
        raise ImproperlyConfigured(f"{name} must be a number between {least} and {most}.")
    return int(value)


def hours(name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    """Return hours of the day, such as `3, 15`, in order."""
    found = words(name, [str(hour) for hour in default])
    if not all(word.isdecimal() and int(word) < 24 for word in found):
        raise ImproperlyConfigured(f"{name} must be hours of the day between 0 and 23, such as 3,15.")
    return tuple(sorted({int(word) for word in found}))


def address(name: str, default: str) -> str:
    """Return an address of ours: scheme and host, nothing behind it."""
    value = text(name, default).rstrip("/")
    try:
        parts = urlsplit(value)
        is_ours = parts.scheme in ("http", "https") and parts.hostname and not parts.username and parts.port != 0
    except ValueError:
        is_ours = False
    if not is_ours or value != f"{parts.scheme}://{parts.netloc}":
        raise ImproperlyConfigured(f"{name} must be the portal's address, such as https://help.example.org.")
    return value


def ticket_url(name: str) -> str:
    """Return the address of a ticket with its place marked by `{ticket}`, or nothing."""
    value = text(name)
    try:
        host = urlsplit(value).hostname if urlsplit(value).scheme in ("http", "https") else None
    except ValueError:
        host = None
    if value and (not host or value.count("{ticket}") != 1 or "{" in host):
        example = "https://tickets.example.org/{ticket}"
        raise ImproperlyConfigured(f"{name} must be an address with one {{ticket}} behind its host, such as {example}.")
    return value


def url_config(name: str, parse: Callable[[str], dict[str, Any]], value: str, example: str) -> dict[str, Any]:
    """Return `value` as django-environ takes it apart. The message of its errors could quote a password."""
    try:
        with warnings.catch_warnings(action="error"):
            return parse(value)
    except (ValueError, UserWarning, ImproperlyConfigured):
        raise ImproperlyConfigured(f"{name} must look like {example}.") from None


# --- The installation ------------------------------------------------------------------------------

DEBUG = flag("DEBUG")
SECRET_KEY = secret("SECRET_KEY", default_file=BASE_DIR / "var" / "secret_key")
SECRET_KEY_FALLBACKS = words("SECRET_KEY_FALLBACKS", [])
PUBLIC_URL = address("PUBLIC_URL", "http://localhost:8000")
ALLOWED_HOSTS = words("ALLOWED_HOSTS", [urlsplit(PUBLIC_URL).hostname or ""])
INSECURE_HTTP = flag("INSECURE_HTTP")
DEMO = flag("DEMO")
REQUIRE_MFA = choice("REQUIRE_MFA", ("off", "staff", "everyone"), default="everyone")
try:
    TRUSTED_PROXIES = [ipaddress.ip_network(entry, strict=False) for entry in words("TRUSTED_PROXIES", [])]
except ValueError as error:
    raise ImproperlyConfigured(f"TRUSTED_PROXIES: {error}") from None
# How long `serve` goes on answering after SIGTERM, with 503 on /readyz, so that a proxy can turn away from it first.
DRAIN_SECONDS = number("DRAIN_SECONDS", 0, least=0, most=300)

# --- Getscreen -------------------------------------------------------------------------------------

GETSCREEN_API_KEY = Secret(secret("GETSCREEN_API_KEY", required=False))
GETSCREEN_API_URL = text("GETSCREEN_API_URL", "https://api.getscreen.me/v1")
GETSCREEN_UPDATE_PATH = text("GETSCREEN_UPDATE_PATH")
GETSCREEN_CONNECT_PATH = text("GETSCREEN_CONNECT_PATH")
GETSCREEN_PROXY_URL = text("GETSCREEN_PROXY_URL")
GETSCREEN_CA_FILE = text("GETSCREEN_CA_FILE")
try:
    GETSCREEN_LINK_HOSTS = AllowedHosts.parse(words("GETSCREEN_LINK_HOSTS", ["getscreen.me"]))
except ValueError as error:
    raise ImproperlyConfigured(f"GETSCREEN_LINK_HOSTS: {error}") from None
TICKET_URL = ticket_url("TICKET_URL")
POLL_SECONDS = number("POLL_SECONDS", 3, least=1, most=60)
STALE_SECONDS = number("STALE_SECONDS", 300, least=30, most=86_400)
IDLE_POLL_SECONDS = number("IDLE_POLL_SECONDS", 15, least=1, most=300)

# --- Single sign-on --------------------------------------------------------------------------------


def pairs(name: str) -> dict[str, str]:
    """Return what stands before and behind the last "=" of each part between the commas."""
    found = [entry.rpartition("=") for entry in words(name, [])]
    if not all(value.strip() and equals and target.strip() for value, equals, target in found):
        raise ImproperlyConfigured(f"{name} must look like helpdesk=Agent, helpdesk-admins=Administrator.")
    by_value = {value.strip(): target.strip() for value, _equals, target in found}
    if len(by_value) < len(found):
        raise ImproperlyConfigured(f"{name} names the same group twice, of which only the last would count.")
    return by_value


OIDC_ISSUER = text("OIDC_ISSUER").removesuffix("/.well-known/openid-configuration")
OIDC_CLIENT_ID = text("OIDC_CLIENT_ID")
OIDC_CLIENT_SECRET = Secret(secret("OIDC_CLIENT_SECRET", required=False))
OIDC_NAME = text("OIDC_NAME", "single sign-on")
OIDC_SCOPES = words("OIDC_SCOPES", ["openid", "email", "profile"])
OIDC_ALLOWED_DOMAINS = [domain.lower().removeprefix("@") for domain in words("OIDC_ALLOWED_DOMAINS", [])]
OIDC_TRUST_EMAIL = flag("OIDC_TRUST_EMAIL")
OIDC_GROUPS_CLAIM = text("OIDC_GROUPS_CLAIM", "groups")
OIDC_ROLES = pairs("OIDC_ROLES")
OIDC_APPROVE = flag("OIDC_APPROVE")
OIDC_TRUST_AMR = words("OIDC_TRUST_AMR", [])
OIDC_CA_FILE = text("OIDC_CA_FILE")
OIDC_PROXY_URL = text("OIDC_PROXY_URL")
SSO_ONLY = flag("SSO_ONLY")

# --- Django ----------------------------------------------------------------------------------------

ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "portal.accounts",
    "portal.audit",
    "portal",
    "invitations",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "portal.apps.AdminConfig",
    "django_htmx",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
]
MIDDLEWARE = [
    "portal.metrics.traffic.CountRequests",
    "portal.middleware.TrustedProxies",
    "portal.middleware.RequestReference",
    # What adds headers stands above whatever answers on its own: redirects, probes, static files.
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "portal.middleware.ResponseHeaders",
    "django.middleware.security.SecurityMiddleware",
    "portal.health.HealthProbes",
    "portal.metrics.page.Metrics",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "portal.releases.OtherRelease",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "portal.languages.Language",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "portal.audit.origin.RememberOrigin",
    "portal.fetch_metadata.FetchMetadata",
    "portal.accounts.middleware.SessionLimits",
    "portal.middleware.SignInRequired",
    "portal.accounts.middleware.RecordDenials",
    "portal.accounts.middleware.SecondFactorRequired",
    "portal.middleware.KnownMethods",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "invitations.failures.FailurePages",
    "invitations.own_actions.RememberOwnActions",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "invitations.context.site",
            ],
        },
    }
]

# --- Storage ---------------------------------------------------------------------------------------

DATABASES: dict[str, dict[str, Any]] = {
    "default": url_config(
        "DATABASE_URL",
        environ.Env.db_url_config,
        secret("DATABASE_URL", required=False) or f"sqlite:///{BASE_DIR / 'var' / 'portal.sqlite3'}",
        "postgres://user:password@host:5432/name or sqlite:////folder/file.sqlite3",
    ),
}
if DATABASES["default"]["ENGINE"] not in ("django.db.backends.sqlite3", "django.db.backends.postgresql"):
    raise ImproperlyConfigured("DATABASE_URL must name SQLite or PostgreSQL: the audit log's triggers know no other.")
# The role that a migration gives its rights to, where another one owns the tables.
DATABASE_RUNTIME_ROLE = ownership.runtime_role
DATABASES["default"].update(ATOMIC_REQUESTS=False, CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=True)
if DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    # A server that has vanished without a word is noticed within seconds; by themselves sockets wait for many minutes.
    found = {"connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
    found |= {"tcp_user_timeout": 20_000}  # milliseconds
    DATABASES["default"]["OPTIONS"] = found | DATABASES["default"].get("OPTIONS", {})
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # FULL makes a committed audit entry survive a crash of the machine; IMMEDIATE avoids lock upgrades.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 5,
        "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;PRAGMA recursive_triggers=ON",
    }
    if ":memory:" not in DATABASES["default"]["NAME"]:
        with suppress(OSError):  # opening the database says it better
            Path(DATABASES["default"]["NAME"]).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
# The key under the audit log's checkpoints, and where each checkpoint is written a second time: another disk or host.
AUDIT_KEY_FILE = Path(text("AUDIT_KEY_FILE", str(BASE_DIR / "var" / "keys" / "audit.pem")))
AUDIT_CHECKPOINT_DIR = Path(folder) if (folder := text("AUDIT_CHECKPOINT_DIR")) else None
# Where every event is sent as well, and whose signature that server's certificate must carry.
SYSLOG_URL = text("SYSLOG_URL")
SYSLOG_CA_FILE = text("SYSLOG_CA_FILE")
# Where backups are made by the portal itself, if anywhere; at which hours of the day, and which of them are kept.
BACKUP_DIR = Path(folder) if (folder := text("BACKUP_DIR")) else None
BACKUP_HOURS = hours("BACKUP_HOURS", (3,))
BACKUP_KEEP_DAYS = number("BACKUP_KEEP_DAYS", 14, least=1, most=3650)
BACKUP_KEEP_WEEKS = number("BACKUP_KEEP_WEEKS", 8, least=0, most=520)
CACHES = {
    "default": {
        # In the database, so that limits hold across workers; at the default of 300 entries a
        # flood would evict the counters.
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "portal_cache",
        "OPTIONS": {"MAX_ENTRIES": 200_000},
    }
}
STATIC_URL = "/static/"
STATIC_ROOT = Path(text("STATIC_ROOT", str(BASE_DIR / "var" / "static")))
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
}
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
WHITENOISE_ALLOW_ALL_ORIGINS = False  # no other site's page has to read our files
WHITENOISE_MIMETYPES = {".svg": "image/svg+xml; charset=utf-8"}

# --- Language and time -----------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]  # German only where all of a page is: portal/languages.py
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = text("TIME_ZONE", "UTC")
if TIME_ZONE not in available_timezones():
    raise ImproperlyConfigured("TIME_ZONE must be the name of a time zone, such as Europe/Berlin.")
USE_TZ = True

# --- Accounts --------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["portal.accounts.backend.Backend"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "board"
PASSWORD_HASHERS = [
    "portal.accounts.hashing.Hasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [{"NAME": "portal.accounts.passwords.Validator"}]
PASSWORD_RESET_TIMEOUT = 60 * 60
ACCOUNT_ADAPTER = "portal.accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {
    "login": "portal.accounts.forms.LoginForm",
    "change_password": "portal.accounts.forms.ChangePasswordForm",
    "reset_password": "portal.accounts.forms.ResetPasswordForm",
    "reset_password_from_key": "portal.accounts.forms.ResetPasswordKeyForm",
    "reauthenticate": "portal.accounts.forms.ReauthenticateForm",
}
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "portal.accounts.reset_tokens.ResetTokens"  # noqa: S105  # nosec B105
# Failures are counted by portal.accounts.tries instead; allauth would count what works as well.
ACCOUNT_RATE_LIMITS = {
    "login": "",
    "login_failed": "",
    "single_sign_on": "60/m/ip",
    "reset_password": "",
    "reset_password_from_key": "",
    "change_password": "5/m/user",
    "reauthenticate": "5/m/user",
}
SOCIALACCOUNT_ADAPTER = "portal.accounts.single_sign_on.ClosedAdapter"
ACCOUNT_DEFAULT_HTTP_PROTOCOL = urlsplit(PUBLIC_URL).scheme
MFA_ADAPTER = "portal.accounts.factors.FactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_FORMS = {
    "authenticate": "portal.accounts.factor_forms.AuthenticateForm",
    "authenticate_webauthn": "portal.accounts.factor_forms.AuthenticateWebAuthnForm",
    "reauthenticate": "portal.accounts.factor_forms.ReauthenticateForm",
    "reauthenticate_webauthn": "portal.accounts.factor_forms.ReauthenticateWebAuthnForm",
    "login_webauthn": "portal.accounts.factor_forms.LoginWebAuthnForm",
    "edit_webauthn": "portal.accounts.factor_forms.EditWebAuthnForm",
}
MFA_TOTP_ISSUER = "Getscreen portal"
MFA_TOTP_TOLERANCE = 0  # a code is good in its own 30 seconds only
MFA_RECOVERY_CODE_COUNT = 10
MFA_RECOVERY_CODE_DIGITS = 10
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_USER_VERIFICATION = "required"  # so that every passkey can be the only step
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = INSECURE_HTTP  # our forms still take no origin but that of PUBLIC_URL
MFA_ALLOW_UNVERIFIED_EMAIL = True  # addresses are the administrators' business here, not allauth's
MFA_RATE_LIMITS = {"webauthn_login": ""}

# --- E-mail ----------------------------------------------------------------------------------------


SMTP_TIMEOUT = number("SMTP_TIMEOUT", 10, least=1, most=60)


def mailers() -> dict[str, dict[str, Any]]:
    """Return EMAIL_URL as MAILERS. Without it there are none: printed mails would put reset links into the log."""
    value = secret("EMAIL_URL", required=False)
    if not value:
        return {}
    config = url_config(
        "EMAIL_URL", environ.Env.email_url_config, value, "smtp+tls://user:password@mail.example.org:587"
    )
    options = {
        "host": config.get("EMAIL_HOST"),
        "port": config.get("EMAIL_PORT"),
        "username": config.get("EMAIL_HOST_USER"),
        "password": config.get("EMAIL_HOST_PASSWORD"),
        "use_tls": config.get("EMAIL_USE_TLS"),
        "use_ssl": config.get("EMAIL_USE_SSL"),
        "file_path": config.get("EMAIL_FILE_PATH"),
        "timeout": SMTP_TIMEOUT,
    }
    backend: str = config["EMAIL_BACKEND"]
    if backend == "django.core.mail.backends.smtp.EmailBackend":
        backend = "portal.mail.smtp.Backend"  # the same, and it comes to an end
    keys = {
        "smtp": ("host", "port", "username", "password", "use_tls", "use_ssl", "timeout"),
        "filebased": ("file_path",),
    }
    wanted = keys.get(backend.split(".")[-2], ())
    return {"default": {"BACKEND": backend, "OPTIONS": {key: options[key] for key in wanted if options[key]}}}


MAILERS = mailers()
DEFAULT_FROM_EMAIL = text("EMAIL_FROM", f"helpdesk@{urlsplit(PUBLIC_URL).hostname}")
if "@" not in parseaddr(DEFAULT_FROM_EMAIL)[1]:
    raise ImproperlyConfigured("EMAIL_FROM must be an e-mail address.")

# --- Webhooks ---------------------------------------------------------------------------------------

# What they may call though it is not public. They go out by GETSCREEN_PROXY_URL, except to these.
try:
    WEBHOOK_PRIVATE_HOSTS = PrivateHosts.parse(words("WEBHOOK_PRIVATE_HOSTS", []))
except ValueError as error:
    raise ImproperlyConfigured(f"WEBHOOK_PRIVATE_HOSTS: {error}") from None
WEBHOOK_CA_FILE = text("WEBHOOK_CA_FILE")

# --- The browser's side ----------------------------------------------------------------------------

SECURE_CSP = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF],
    "style-src": [CSP.SELF],
    "img-src": [CSP.SELF],
    "font-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "worker-src": [CSP.SELF],
    # Browsers apply form-action to the redirect that follows Connect: without the vendor's
    # hosts the single-use link is spent and then blocked.
    "form-action": [CSP.SELF, *GETSCREEN_LINK_HOSTS.csp_origins()],
    "frame-ancestors": [CSP.NONE],
    "base-uri": [CSP.NONE],
    "object-src": [CSP.NONE],
}
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
# no-referrer would make browsers send "Origin: null" with our own forms, which CSRF checks refuse.
SECURE_REFERRER_POLICY = "same-origin"
SECURE_SSL_REDIRECT = not INSECURE_HTTP
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 0 if INSECURE_HTTP else 63_072_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = not INSECURE_HTTP
SECURE_HSTS_PRELOAD = flag("HSTS_PRELOAD")
COOKIE_PREFIX = "" if INSECURE_HTTP else "__Host-"
SESSION_ENGINE = "portal.accounts.session_store"
SESSION_COOKIE_NAME = f"{COOKIE_PREFIX}sessionid"
SESSION_COOKIE_SECURE = not INSECURE_HTTP
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
# From the sign-in on, and since the last thing that somebody did; polls do nothing. See `portal.accounts.sessions`.
SESSION_HOURS = number("SESSION_HOURS", 12, least=1, most=24)
SESSION_IDLE_HOURS = number("SESSION_IDLE_HOURS", 8, least=1, most=24)
SESSION_IDLE_ADMIN_MINUTES = number("SESSION_IDLE_ADMIN_MINUTES", 30, least=5, most=24 * 60)
SESSION_COOKIE_AGE = SESSION_HOURS * 60 * 60
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
CSRF_COOKIE_NAME = f"{COOKIE_PREFIX}csrftoken"
CSRF_COOKIE_SECURE = not INSECURE_HTTP
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL] if urlsplit(PUBLIC_URL).scheme == "https" else []
CSRF_FAILURE_VIEW = "portal.views.csrf_failure"
MESSAGE_STORAGE = "portal.notices.Notices"
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000  # a team of hundreds has a tick for each
FILE_UPLOAD_HANDLERS = ["portal.uploads.SmallFiles"]
FILE_UPLOAD_MAX_MEMORY_SIZE = 1536 * 1024
# The one address whose form may be larger than that: a logo of 1 MiB with what is around it.
LARGER_FORMS = {"admin:invitations_policy_change": FILE_UPLOAD_MAX_MEMORY_SIZE}
SILENCED_SYSTEM_CHECKS = [
    "security.W021",  # preload binds the site's whole domain, so it is the administrator's choice
]
if not MAILERS:
    SILENCED_SYSTEM_CHECKS += ["mail.W001"]  # on purpose: the page for forgotten passwords then says whom to ask
if INSECURE_HTTP:
    # One explicit switch; portal.W001 takes the place of these four warnings.
    SILENCED_SYSTEM_CHECKS += ["security.W004", "security.W008", "security.W012", "security.W016"]

# --- Monitoring ------------------------------------------------------------------------------------

METRICS_TOKEN = Secret(secret("METRICS_TOKEN", required=False))
if METRICS_TOKEN and (len(METRICS_TOKEN.reveal()) < 16 or not METRICS_TOKEN.reveal().isascii()):
    raise ImproperlyConfigured("METRICS_TOKEN must have at least 16 characters, all of them ASCII.")


def sentry_dsn(value: str) -> str:
    """Return where faults are reported to, or nothing. Over https: they say where in the code something breaks."""
    try:
        parts = urlsplit(value)
        is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
        is_whole = parts.hostname and parts.username and parts.path.rpartition("/")[2].isdecimal() and parts.port != 0
    except ValueError:
        is_safe = is_whole = False
    if value and not (is_safe and is_whole and not parts.query and not parts.fragment):
        raise ImproperlyConfigured("SENTRY_DSN must look like https://key@sentry.example.org/1, as Sentry shows it.")
    return value


SENTRY_DSN = Secret(sentry_dsn(secret("SENTRY_DSN", required=False)))
SENTRY_CA_FILE = text("SENTRY_CA_FILE")
if SENTRY_CA_FILE and not Path(SENTRY_CA_FILE).is_file():
    raise ImproperlyConfigured("SENTRY_CA_FILE names a file that does not exist.")
SENTRY_PROXY_URL = text("SENTRY_PROXY_URL")
if SENTRY_PROXY_URL and not SENTRY_PROXY_URL.startswith(("http://", "https://")):
    raise ImproperlyConfigured("SENTRY_PROXY_URL must be an http or https proxy.")

# --- Logs ------------------------------------------------------------------------------------------

LOG_FORMAT = choice("LOG_FORMAT", ("json", "text"), default="json")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"redact": {"()": "portal.log.Redact"}},
    "formatters": {"json": {"()": "portal.log.Json"}, "text": {"()": "portal.log.Text"}},
    "handlers": {
        "reports": {"()": "portal.reports.Handler"},  # first: what comes after it masks and drops the exception
        "console": {"()": "portal.log.Console", "formatter": LOG_FORMAT, "filters": ["redact"]},
    },
    "root": {"handlers": ["reports", "console"], "level": "INFO"},
    "loggers": {
        "django": {"handlers": ["reports", "console"], "level": "INFO", "propagate": False},
        # Their debug lines would show addresses with one-time links.
        "urllib3": {"level": "WARNING"},
        "requests": {"level": "WARNING"},
    },
}
