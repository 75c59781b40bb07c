# The suite, on SQLite and, where a server can be started, its database part on PostgreSQL. Called by `make test`.
# The two run side by side; what drives browsers and real processes comes after them, with the machine to itself.
set -eu
BIN=${BIN:-.venv/bin}
ALONE="tests/e2e tests/test_processes.py"
said=$(mktemp)
half=
trap '[ -z "$half" ] || "$BIN/python" -m tests.postgres stop; rm -f "$said"' EXIT

"$BIN/python" -m tests.tools
if "$BIN/python" -m tests.postgres available; then
    postgres=$("$BIN/python" -m tests.postgres start)
    # Without what asks no database: the canonical form, the tree, messages, and the verifier of exports.
    DATABASE_URL=$postgres "$BIN/python" -m pytest -q -p no:cacheprovider tests/invitations tests/accounts tests/audit \
        tests/portal tests/crashes/test_kills.py --ignore=tests/audit/test_canonical.py \
        --ignore=tests/audit/test_merkle.py --ignore=tests/audit/test_syslog.py \
        --ignore=tests/audit/test_verify_export.py "$@" >"$said" 2>&1 &
    half=$!
fi

failed=
# shellcheck disable=SC2086 # one word per path
"$BIN/python" -m pytest -q --cov --cov-report= $(printf -- '--ignore=%s ' $ALONE) "$@" || failed="SQLite"
if [ -n "$half" ]; then
    wait "$half" || failed="$failed PostgreSQL"
    echo "On PostgreSQL:"
    cat "$said"
fi
# shellcheck disable=SC2086
"$BIN/python" -m pytest -q --cov --cov-append --cov-report= $ALONE "$@" || failed="$failed browser"
[ -z "$failed" ] || { echo "Failed: $failed"; exit 1; }
"$BIN/python" -m coverage report --fail-under="${COVERAGE:-95}"
