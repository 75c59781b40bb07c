# The long batteries: what is attacked, killed, torn and filled up, on SQLite and then on a PostgreSQL with fsync on.
# Called by `make batteries`; arguments, if any, are the test files to run. Takes an hour or more.
set -eu
BIN=${BIN:-.venv/bin}
export LONG=1 BATTERY_REPORT="${BATTERY_REPORT:-docs/batteries/audit.txt}"
test $# -gt 0 || set -- tests/audit/test_tampering.py tests/crashes
mkdir -p "$(dirname "$BATTERY_REPORT")"
"$BIN/python" -m tests.batteries > "$BATTERY_REPORT"
"$BIN/python" -m pytest -q -p no:randomly "$@"
if "$BIN/python" -m tests.postgres available; then
    postgres=$("$BIN/python" -m tests.postgres start durable)
    trap '"$BIN/python" -m tests.postgres stop' EXIT
    DATABASE_URL=$postgres "$BIN/python" -m pytest -q -p no:randomly tests/audit/test_tampering.py tests/crashes/test_kills.py
fi
cat "$BATTERY_REPORT"
