# The suite, on SQLite and, where a server can be started, its database part on PostgreSQL. Called by `make test`.
# Its parts run side by side, one per core: `sh tests/run.sh PART` is one of them. What drives browsers and real
# processes comes after the rest, with the machine to itself, three at a time, which mostly wait.
# Only what runs on SQLite and in browsers counts covered lines.
set -eu
BIN=${BIN:-.venv/bin}
ACCESS="tests/test_access.py tests/test_alternate_paths.py"
WALKS="tests/test_canary.py tests/test_csrf.py tests/test_logs.py tests/test_raw_requests.py
    tests/portal/test_header_sweep.py tests/accounts/test_one_door.py tests/invitations/test_fault_matrix.py
    tests/audit/test_unwritable.py"
MADE_UP=tests/test_bad_input.py
PROCESSES="tests/test_processes.py tests/test_replicas.py tests/test_stopping.py tests/test_load.py"
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

run() { "$BIN/python" -m pytest -q -p no:cacheprovider "$@"; }

covered() { COVERAGE_FILE=.coverage-$part run --cov --cov-report= "$@"; }

without() {
    for path in "$@"; do echo "--ignore=$path"; done
}

one() {
    # shellcheck disable=SC2046,SC2086 # one word per path
    case $part in
    sqlite) covered $(without tests/e2e $PROCESSES $ACCESS $WALKS $MADE_UP) ;;
    postgres)
        [ -n "${POSTGRES:-}" ] || { echo "POSTGRES must be the address of a server."; return 2; }
        DATABASE_URL=$POSTGRES run tests/invitations tests/accounts tests/audit tests/portal tests/crashes/test_kills.py \
            tests/crashes/test_interruptions.py $(without $PURE $WALKS)
        ;;
    access) run $ACCESS ;;
    walks) run $WALKS ;;
    made-up) run $MADE_UP ;;
    processes) covered $PROCESSES ;;
    browsers-*) covered tests/e2e/test_[${part#browsers-}]*.py ;;
    *) echo "There is no such part." && return 2 ;;
    esac
}

parts() {
    at_once=$1
    shift
    printf '%s\n' "$@" | BIN=$BIN POSTGRES=$POSTGRES xargs -P "$at_once" -n 1 sh tests/run.sh || failed=yes
}

if [ $# -gt 0 ]; then
    part=$1
    said=$(mktemp)
    trap 'rm -f "$said"' EXIT
    failed=
    began=$(date +%s)
    echo "Tests, $part: begun"
    one >"$said" 2>&1 || failed=" FAILED"
    echo "Tests, $part, $(($(date +%s) - began)) s:$failed" | cat - "$said"
    [ -z "$failed" ]
    exit
fi

POSTGRES=
trap '[ -z "$POSTGRES" ] || "$BIN/python" -m tests.postgres stop' EXIT
rm -f .coverage .coverage-*
"$BIN/python" -m tests.tools
if "$BIN/python" -m tests.postgres available; then
    POSTGRES=$("$BIN/python" -m tests.postgres start)
fi
failed=
parts 2 sqlite ${POSTGRES:+postgres} walks access made-up
parts 3 browsers-a-i browsers-j-z processes
[ -z "$failed" ]
"$BIN/python" -m coverage combine --quiet .coverage-*
"$BIN/python" -m coverage report --fail-under="${COVERAGE:-95}"
