# The suite, on SQLite and, where a server can be started, its database part on PostgreSQL. Called by `make test`.
# Two halves run side by side, one per core; what drives browsers and real processes comes after them, with the machine
# to itself, in three parts, which mostly wait. Only what runs on SQLite and in browsers counts covered lines.
set -eu
BIN=${BIN:-.venv/bin}
WALKS="tests/test_access.py tests/test_alternate_paths.py tests/test_canary.py tests/test_csrf.py
    tests/test_logs.py tests/test_raw_requests.py tests/portal/test_header_sweep.py tests/accounts/test_one_door.py
    tests/invitations/test_fault_matrix.py tests/audit/test_unwritable.py"
MADE_UP=tests/test_bad_input.py  # walks as well, in the other half, which is done sooner
# What says nothing about a database: canonical form, tree, sentences, verifier of exports, providers, passwords, words,
# settings, log.
PURE="tests/audit/test_canonical.py tests/audit/test_merkle.py tests/audit/test_syslog.py tests/audit/test_kinds.py
    tests/audit/test_verify_export.py tests/accounts/test_provider_answers.py tests/accounts/test_foreign_provider.py
    tests/accounts/test_password_rules.py tests/accounts/test_hashing.py tests/accounts/test_vouched_sign_in.py
    tests/accounts/test_single_sign_on_only.py tests/invitations/test_codes.py tests/invitations/test_phrases.py
    tests/invitations/test_messages_to_clients.py tests/invitations/test_webhooks.py tests/invitations/test_branding.py
    tests/invitations/test_connections.py tests/invitations/test_fragments.py tests/portal/test_assets.py
    tests/portal/test_embedded.py tests/portal/test_fetch_metadata.py tests/portal/test_line.py tests/portal/test_log.py
    tests/portal/test_middleware.py tests/portal/test_settings.py tests/portal/test_viewer.py tests/portal/test_wsgi.py"
said=$(mktemp)
more=$(mktemp)
postgres=
trap '[ -z "$postgres" ] || "$BIN/python" -m tests.postgres stop; rm -f "$said" "$more"' EXIT

"$BIN/python" -m tests.tools

if "$BIN/python" -m tests.postgres available; then
    postgres=$("$BIN/python" -m tests.postgres start)
fi

on_postgres() {
    echo "On PostgreSQL:"
    # shellcheck disable=SC2046,SC2086 # one word per path
    DATABASE_URL=$postgres "$BIN/python" -m pytest -q -p no:cacheprovider tests/invitations tests/accounts \
        tests/audit tests/portal tests/crashes/test_kills.py tests/crashes/test_interruptions.py \
        $(printf -- '--ignore=%s ' $PURE $WALKS) "$@"
}

second_half() {
    failed=
    [ -z "$postgres" ] || on_postgres "$@" || failed=yes
    echo "Made up:"
    "$BIN/python" -m pytest -q -p no:cacheprovider $MADE_UP "$@" || failed=yes
    [ -z "$failed" ]
}

browsers() {
    part=$1
    shift
    COVERAGE_FILE=.coverage-$part "$BIN/python" -m pytest -q -p no:cacheprovider --cov --cov-report= \
        tests/e2e/test_[$part]*.py "$@"
}

second_half "$@" >"$said" 2>&1 &
half=$!
failed=
# shellcheck disable=SC2086,SC2046
"$BIN/python" -m pytest -q --cov --cov-report= --ignore=tests/e2e --ignore=tests/test_processes.py \
    --ignore=tests/test_replicas.py --ignore=tests/test_stopping.py --ignore=tests/test_load.py \
    $(printf -- '--ignore=%s ' $WALKS $MADE_UP) "$@" || failed="SQLite"
echo "At every address:"
# shellcheck disable=SC2086 # one word per path
"$BIN/python" -m pytest -q -p no:cacheprovider $WALKS "$@" || failed="$failed every address"
wait "$half" || failed="$failed PostgreSQL or made-up input"
cat "$said"

browsers a-i "$@" >"$said" 2>&1 &
first=$!
browsers j-z "$@" >"$more" 2>&1 &
second=$!
"$BIN/python" -m pytest -q --cov --cov-append --cov-report= tests/test_processes.py tests/test_replicas.py \
    tests/test_stopping.py tests/test_load.py "$@" || failed="$failed processes"
wait "$first" || failed="$failed browsers a-i"
wait "$second" || failed="$failed browsers j-z"
cat "$said" "$more"
[ -z "$failed" ] || { echo "Failed: $failed"; exit 1; }
"$BIN/python" -m coverage combine --quiet --append .coverage-a-i .coverage-j-z
"$BIN/python" -m coverage report --fail-under="${COVERAGE:-95}"
