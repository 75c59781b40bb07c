# Everything a machine can see without running the portal. Called by `make lint` and by CI.
set -eu
BIN=${BIN:-.venv/bin}
html=$(git ls-files '*.html')
# One command per line: of `a && b` the shell overlooks that `a` has failed.
echo "ruff";         "$BIN/ruff" check --quiet .
"$BIN/ruff" format --quiet --check .
echo "mypy";         SECRET_KEY=only-for-type-checks-0123456789-0123456789-0123456789 "$BIN/mypy"
echo "imports";      "$BIN/lint-imports" --no-cache >/tmp/imports.$$ || { cat /tmp/imports.$$; rm -f /tmp/imports.$$; exit 1; }
rm -f /tmp/imports.$$
echo "bandit";       "$BIN/bandit" --quiet --configfile pyproject.toml --recursive portal invitations manage.py 2>/tmp/bandit.$$ || { cat /tmp/bandit.$$; rm -f /tmp/bandit.$$; exit 1; }
rm -f /tmp/bandit.$$
echo "secrets";      BIN=$BIN sh tests/secrets.sh
echo "Dockerfile";   "$BIN/hadolint" Dockerfile
echo "templates";    "$BIN/djade" --target-version 6.1 --check $html
"$BIN/djhtml" --tabwidth 2 --check $html
export ENV_FILE=none REQUIRE_MFA=off GETSCREEN_API_KEY=not-a-key PUBLIC_URL=https://portal.example.org EMAIL_URL=smtp://localhost DATABASE_URL=sqlite://:memory:
SECRET_KEY=$("$BIN/python" -c 'import secrets; print(secrets.token_urlsafe(50))'); export SECRET_KEY
echo "migrations";   "$BIN/python" manage.py makemigrations --check --dry-run
echo "deploy check"; "$BIN/python" -W error manage.py check --deploy --fail-level WARNING
