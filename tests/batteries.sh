# The long batteries: what is attacked, killed, torn and filled up, on SQLite and then on a PostgreSQL with fsync on.
# Called by `make batteries`; takes half an hour or more. With test files as arguments only those run, on SQLite.
set -eu
BIN=${BIN:-.venv/bin}
export LONG=1 BATTERY_REPORT="${BATTERY_REPORT:-docs/batteries/audit.txt}"
on_postgres=$#
test $# -gt 0 || set -- tests/audit/test_tampering.py tests/crashes
mkdir -p "$(dirname "$BATTERY_REPORT")"
"$BIN/python" -m tests.batteries > "$BATTERY_REPORT"
"$BIN/python" -m pytest -q -p no:randomly "$@"
if test "$on_postgres" = 0 && "$BIN/python" -m tests.postgres available; then
    echo "# The same on PostgreSQL, fsync on:" >> "$BATTERY_REPORT"
    postgres=$("$BIN/python" -m tests.postgres start durable)
    trap '"$BIN/python" -m tests.postgres stop' EXIT
    DATABASE_URL=$postgres "$BIN/python" -m pytest -q -p no:randomly tests/audit/test_tampering.py tests/crashes/test_kills.py
fi
cat "$BATTERY_REPORT"
