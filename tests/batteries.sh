# The long batteries: what is attacked, killed, torn and filled up, on SQLite and then on a PostgreSQL with fsync on;
# then what is sent to every address by nobody in particular. Called by `make batteries`; takes hours.
# Before that replicas are restarted and killed, and whole lives of invitations are tried at random. With `security`,
# `life` or `replicas` as argument only that; with test files only those run, on SQLite.
set -eu
BIN=${BIN:-.venv/bin}
export LONG=1
folder=docs/batteries
security="tests/test_alternate_paths.py tests/test_raw_requests.py tests/e2e/test_hostile_texts.py tests/test_bad_input.py"

begin() { # a new report, under which stays what scanners have found that are no part of the project
    export BATTERY_REPORT="${report:-$folder/$1}"
    mkdir -p "$(dirname "$BATTERY_REPORT")"
    kept=$(test ! -f "$BATTERY_REPORT" || sed -n '/^# Scanners/,$p' "$BATTERY_REPORT")
    "$BIN/python" -m tests.batteries > "$BATTERY_REPORT"
}

finish() {
    test -z "$kept" || printf '\n%s\n' "$kept" >> "$BATTERY_REPORT"
    cat "$BATTERY_REPORT"
}

replicas() { # restarted in turn, killed, and cut off from a PostgreSQL of their own
    begin replicas.txt
    "$BIN/python" -m pytest -q -p no:randomly tests/test_replicas.py tests/test_stopping.py
    finish
}

report=${BATTERY_REPORT:-}
if test "${1:-}" = replicas; then
    replicas
    exit 0
fi
if test "${1:-}" != security && test "${1:-}" != life; then
    on_postgres=$#
    test $# -gt 0 || set -- tests/audit/test_tampering.py tests/crashes
    begin audit.txt
    "$BIN/python" -m pytest -q -p no:randomly "$@"
    if test "$on_postgres" = 0 && "$BIN/python" -m tests.postgres available; then
        echo "# The same on PostgreSQL, fsync on:" >> "$BATTERY_REPORT"
        postgres=$("$BIN/python" -m tests.postgres start durable)
        trap '"$BIN/python" -m tests.postgres stop' EXIT
        DATABASE_URL=$postgres "$BIN/python" -m pytest -q -p no:randomly tests/audit/test_tampering.py tests/crashes/test_kills.py tests/crashes/test_interruptions.py
    fi
    finish
    test "$on_postgres" = 0 || exit 0
fi
if test "${1:-}" != security; then
    begin life.txt
    "$BIN/python" -m pytest -q -p no:randomly tests/invitations/test_life.py
    finish
    test "${1:-}" != life || exit 0
fi
test "${1:-}" = security || replicas
begin security.txt
"$BIN/python" -m pytest -q -p no:randomly $security
finish
