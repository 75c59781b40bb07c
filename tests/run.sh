# The suite, on SQLite and, where a server can be started, its database part on PostgreSQL. Called by `make test`.
set -eu
BIN=${BIN:-.venv/bin}
"$BIN/python" -m tests.tools
"$BIN/python" -m pytest -q --cov --cov-report= "$@"
if "$BIN/python" -m tests.postgres available; then
    postgres=$("$BIN/python" -m tests.postgres start)
    trap '"$BIN/python" -m tests.postgres stop' EXIT
    # Without what asks no database: the canonical form, the tree, messages, and the verifier of exports.
    DATABASE_URL=$postgres "$BIN/python" -m pytest -q tests/invitations tests/accounts tests/audit tests/portal \
        tests/crashes/test_kills.py --ignore=tests/audit/test_canonical.py --ignore=tests/audit/test_merkle.py \
        --ignore=tests/audit/test_syslog.py --ignore=tests/audit/test_verify_export.py "$@"
fi
"$BIN/python" -m coverage report --fail-under="${COVERAGE:-95}"
