#!/bin/bash
# test/merge/run.sh: the same writes in any order, against a model (converge.py), in a server of its own.
# VENICE_SEED repeats a run; CASES says how many rows are tried.
set -euo pipefail

cd "$(dirname "$0")/../.."
bindir=$("${PG_CONFIG:-pg_config}" --bindir)
python=$(test/python/venv)/bin/python
data=$(mktemp -d)
seed=${VENICE_SEED:-$RANDOM}

finish()
{
	"$bindir/pg_ctl" -D "$data" -m immediate stop >/dev/null 2>&1 || true
	rm -rf "$data"
}
trap finish EXIT

"$bindir/initdb" -A trust -N -U postgres -D "$data" >/dev/null
cat test/venice.conf >>"$data/postgresql.conf"
"$bindir/pg_ctl" -w -D "$data" -l "$data/log" -o "-c listen_addresses= -c unix_socket_directories=$data -c fsync=off" start >/dev/null
"$bindir/psql" -Xq -h "$data" -U postgres -c 'CREATE EXTENSION venice'
if "$python" test/merge/converge.py "host=$data user=postgres" "$seed" "${CASES:-200}"; then
	echo '1 passed, 0 failed'
else
	echo "VENICE_SEED=$seed repeats it"
	echo '0 passed, 1 failed'
	exit 1
fi
