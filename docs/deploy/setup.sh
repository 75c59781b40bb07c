#!/bin/sh
# Writes .env and the folder `secrets` for compose.yaml. Run it in the folder of compose.yaml:
#
#   sh docs/deploy/setup.sh https://help.example.org [postgres] [tls]
#
# Asks for the Getscreen API key, and with `tls` for what certificates need. Whatever exists already stays as it is.
set -eu
umask 022
address=${1:-}
address=${address%/}
# Other characters would mean something in .env or in the proxy's configuration.
case $address in
    https:// | https://*[!A-Za-z0-9.:_-]*) known=no ;;
    https://*) known=yes; shift ;;
    *) known=no ;;
esac
[ $known = yes ] || { echo "Usage: sh docs/deploy/setup.sh https://help.example.org [postgres] [tls]" >&2; exit 2; }
database=sqlite proxy=no
for word in "$@"; do
    case $word in
        postgres) database=postgres ;;
        tls) proxy=yes ;;
        *) echo "Not known: $word. Say postgres, tls, both or neither." >&2; exit 2 ;;
    esac
done
[ -f compose.yaml ] || { echo "Run this in the folder of compose.yaml." >&2; exit 2; }

# Others on this machine cannot enter the folder. Inside it files may be read, as containers have users of their own.
mkdir -p -m 700 secrets
chmod 700 secrets # it may have been there
made() { [ -e "secrets/$1" ] || printf '%s' "$2" >"secrets/$1"; }
random() { head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

if [ ! -s secrets/getscreen_api_key ]; then
    printf 'Getscreen API key (profile, Integration, HTTP API; it is not shown): ' >&2
    [ ! -t 0 ] || stty -echo
    read -r key || key=
    [ ! -t 0 ] || { stty echo; echo >&2; }
    printf '%s' "$key" >secrets/getscreen_api_key
fi
made secret_key "$(random)"
made metrics_token "$(random)"
made email_url ''
made oidc_client_secret ''
made sentry_dsn ''
made tls_certificate ''
made tls_key ''
if [ $database = postgres ]; then
    made postgres_password "$(random)"
    made database_owner_password "$(random)"
    made database_password "$(random)"
    made database_owner_url "postgres://portal_owner:$(cat secrets/database_owner_password)@db:5432/portal"
    made database_url "postgres://portal:$(cat secrets/database_password)@db:5432/portal"
fi
made database_owner_url ''
made database_url sqlite:////data/portal.sqlite3

profiles=
[ $database = sqlite ] || profiles=postgres
[ $proxy = no ] || profiles=${profiles:+$profiles,}tls

lacks() { echo "  but for what you asked it should have: $1" >&2; }
if [ -e .env ]; then
    echo ".env exists and stays as it is." >&2
    grep -qxF "PUBLIC_URL=$address" .env || lacks "PUBLIC_URL=$address"
    [ "$(sed -n 's/^COMPOSE_PROFILES=//p' .env)" = "$profiles" ] || lacks "COMPOSE_PROFILES=$profiles"
    [ $proxy = no ] || grep -q '^TLS=' .env || lacks "TLS=, an e-mail address or /run/secrets/tls_certificate /run/secrets/tls_key"
    [ $database = sqlite ] || ! grep -q ^sqlite: secrets/database_url \
        || echo "secrets/database_url exists and says SQLite: remove it and secrets/database_owner_url, then run this again." >&2
    exit 0
fi
if [ $proxy = yes ]; then
    printf 'E-mail address for automatic certificates (empty for your own, in secrets/tls_certificate and tls_key): ' >&2
    read -r tls || tls=
    case $tls in *[!A-Za-z0-9.@_+-]*) echo "This is no such address. Run this again." >&2; exit 2 ;; esac
fi
{
    echo "# What else can be set: .env.example"
    echo "PUBLIC_URL=$address"
    echo "COMPOSE_PROFILES=$profiles"
    echo "PORTAL_CPUS=$(nproc)"
    [ $proxy = no ] || echo "TLS=${tls:-/run/secrets/tls_certificate /run/secrets/tls_key}"
} >.env
echo "Done. Start it: docker compose up --detach --build" >&2
