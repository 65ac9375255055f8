#!/bin/sh
#
# run.sh [records [rounds]]
#		Decoding Avro to Datums: ours against Avro-C's generic reader.  Builds a
#		module in a temporary directory and runs it in a private server there,
#		which it removes.  Needs a C compiler, libavro, jansson and the PostgreSQL
#		server package; as root it runs the server as the user postgres.

set -eu

here=$(cd "$(dirname "$0")" && pwd)
src=$here/../../src
pg_config=${PG_CONFIG:-pg_config}
bin=$("$pg_config" --bindir)
work=$(mktemp -d)
as=
if [ "$(id -u)" -eq 0 ]
then
	as="runuser -u postgres --"
	chown postgres "$work"
fi
trap '$as "$bin/pg_ctl" -D "$work/data" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

# Not -I: Avro-C's headers are in a directory avro, as ours are.
# shellcheck disable=SC2046
${CC:-cc} $("$pg_config" --cflags) -fPIC -shared -iquote "$src" -I"$("$pg_config" --includedir-server)" \
	$("$pg_config" --cppflags) "$here/bench.c" "$src"/avro/*.c "$src/common/type_input.c" \
	-lavro -ljansson -lm -o "$work/bench.so"
chmod 755 "$work/bench.so"

$as "$bin/initdb" -D "$work/data" -A trust -E UTF8 --locale=C -N -U postgres >/dev/null
$as "$bin/pg_ctl" -w -D "$work/data" -l "$work/log" \
	-o "-k $work -c listen_addresses='' -c jit=off" start >/dev/null
$as "$bin/psql" -h "$work" -U postgres -X -q -At -v ON_ERROR_STOP=1 <<SQL
CREATE FUNCTION bench_avro_decode(boolean, integer, integer) RETURNS text
	LANGUAGE c AS '$work/bench.so';
\\echo '21 fields: long, 12 double, 5 int, 3 string; medians of ${2:-7} interleaved rounds of ${1:-200000} records'
\\echo '                       ours                       Avro-C and avro_value_get  ratio'
SELECT bench_avro_decode(false, ${1:-200000}, ${2:-7});
SELECT bench_avro_decode(true, ${1:-200000}, ${2:-7});
SQL
