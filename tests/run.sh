# The suite, on SQLite and, where a server can be started, its database part on PostgreSQL. Called by `make test`.
# Two halves run side by side, one per core; what drives browsers and real processes comes after them, with the machine
# to itself. What walks every address is in the second half, without coverage: it would take twice as long to no end.
set -eu
BIN=${BIN:-.venv/bin}
ALONE="tests/e2e tests/test_processes.py"
WALKS="tests/test_access.py tests/test_alternate_paths.py tests/test_bad_input.py tests/test_csrf.py
    tests/test_raw_requests.py"
said=$(mktemp)
postgres=
trap '[ -z "$postgres" ] || "$BIN/python" -m tests.postgres stop; rm -f "$said"' EXIT

"$BIN/python" -m tests.tools

if "$BIN/python" -m tests.postgres available; then
    postgres=$("$BIN/python" -m tests.postgres start)
fi

second_half() {
    failed=
    if [ -n "$postgres" ]; then
        # Without what asks no database: the canonical form, the tree, messages, and the verifier of exports.
        echo "On PostgreSQL:"
        DATABASE_URL=$postgres "$BIN/python" -m pytest -q -p no:cacheprovider tests/invitations tests/accounts \
            tests/audit tests/portal tests/crashes/test_kills.py --ignore=tests/audit/test_canonical.py \
            --ignore=tests/audit/test_merkle.py --ignore=tests/audit/test_syslog.py \
            --ignore=tests/audit/test_verify_export.py "$@" || failed=yes
    fi
    echo "At every address:"
    # shellcheck disable=SC2086 # one word per path
    "$BIN/python" -m pytest -q -p no:cacheprovider $WALKS "$@" || failed=yes
    [ -z "$failed" ]
}

second_half "$@" >"$said" 2>&1 &
half=$!
failed=
# shellcheck disable=SC2086,SC2046
"$BIN/python" -m pytest -q --cov --cov-report= $(printf -- '--ignore=%s ' $ALONE $WALKS) "$@" || failed="SQLite"
wait "$half" || failed="$failed PostgreSQL or every address"
cat "$said"
# shellcheck disable=SC2086
"$BIN/python" -m pytest -q --cov --cov-append --cov-report= $ALONE "$@" || failed="$failed browser"
[ -z "$failed" ] || { echo "Failed: $failed"; exit 1; }
"$BIN/python" -m coverage report --fail-under="${COVERAGE:-95}"
