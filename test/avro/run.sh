#!/bin/sh
#
# run.sh [cases [seed]]
#		Hostile input, then the differential test, of the Avro core under ASan and
#		UBSan.  Needs clang, jansson, the PostgreSQL server headers, and Python 3
#		with pip, which fetches the two oracles into AVRO_VENV (a temporary
#		directory unless set).

set -eu

here=$(cd "$(dirname "$0")" && pwd)
src=$here/../../src
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
venv=${AVRO_VENV:-$work/venv}

if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c 'import fastavro, avro' 2>/dev/null
then
	python3 -m venv "$venv"
	"$venv/bin/pip" install --quiet --disable-pip-version-check \
		fastavro==1.13.1 avro==1.12.2
fi

${CLANG:-clang} -std=gnu99 -Wall -Wextra -g -O1 -fsanitize=address,undefined \
	-fno-sanitize-recover=undefined -DAVRO_STANDALONE -I"$src" \
	-I"$(${PG_CONFIG:-pg_config} --includedir-server)" \
	"$here/decode_json.c" "$src/avro/schema.c" "$src/avro/resolve.c" "$src/avro/decode.c" \
	-ljansson -lm -o "$work/decode_json"

"$venv/bin/python" "$here/hostile.py" "$work/decode_json" >"$work/hostile" || true
"$venv/bin/python" "$here/differential.py" "$work/decode_json" "${1:-20000}" ${2:+"$2"} \
	>"$work/differential" || true
sed '$d' "$work/hostile"
sed '$d' "$work/differential"

# The two last lines, added up.  A test that did not get that far failed.
for part in hostile differential
do
	tail -n 1 "$work/$part" | grep -E '^[0-9]+ passed, [0-9]+ failed$' || echo "0 passed, 1 failed"
done | awk '{ passed += $1; failed += $3 }
	END { printf "%d passed, %d failed\n", passed, failed; exit failed != 0 }'
