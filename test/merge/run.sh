#!/bin/bash
# test/merge/run.sh: the same writes in any order, against a model (converge.py), and in batches (batches.py), in a server
# of its own. VENICE_SEED repeats a run; CASES says how many rows are tried, and ROUNDS how many batches.
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
failed=0
"$python" test/merge/converge.py "host=$data user=postgres" "$seed" "${CASES:-200}" || failed=$((failed + 1))
"$python" test/merge/batches.py "host=$data user=postgres" "$seed" "${ROUNDS:-60}" || failed=$((failed + 1))
[ "$failed" = 0 ] || echo "VENICE_SEED=$seed repeats it"
echo "$((2 - failed)) passed, $failed failed"
[ "$failed" = 0 ]
