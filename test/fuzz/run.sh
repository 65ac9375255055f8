#!/bin/sh
#
# run.sh [seconds]
#		Fuzz each target for so long (20 s) under ASan and UBSan.  Builds in a
#		temporary directory; what it finds is kept there and shown.  Needs clang
#		with libFuzzer, jansson and the PostgreSQL server headers.

set -u

here=$(cd "$(dirname "$0")" && pwd)
src=$here/../../src
seconds=${1:-20}
work=$(mktemp -d)
passed=0
failed=0

mkdir "$work/fuzz_avro_schema" "$work/fuzz_avro_pair" "$work/fuzz_avro_datum"

# Starting points, so that the fuzzer need not guess the language.
record='{"type":"record","name":"n.R","aliases":["Q"],"fields":[{"name":"a","type":"int","default":1},{"name":"b","type":["null","R"],"default":null,"aliases":["c"]}]}'
complex='[{"type":"enum","name":"E","namespace":"m","symbols":["A","B"],"default":"B"},{"type":"fixed","name":"F","size":12,"logicalType":"duration"},{"type":"map","values":{"type":"array","items":"m.E"}},{"type":"bytes","logicalType":"decimal","precision":9,"scale":2},{"type":"long","logicalType":"timestamp-millis"}]'
defaults='{"type":"record","name":"D","fields":[{"name":"x","type":"bytes","default":"\u00ff"},{"name":"y","type":{"type":"map","values":["double","string"]},"default":{"k":"v","l":1.5}},{"name":"z","type":{"type":"record","name":"I","fields":[{"name":"f","type":"float","default":2}]},"default":{}}]}'
update='{"type":"record","name":"U","fields":[{"name":"a","type":[{"type":"record","name":"NoOp","fields":[]},"int"]},{"name":"l","type":["NoOp",{"type":"record","name":"lListOps","fields":[{"name":"setUnion","type":{"type":"array","items":"string"}},{"name":"setDiff","type":{"type":"array","items":"string"}}]},{"type":"array","items":"string"}]}]}'
n=0
for schema in "$record" "$complex" "$defaults" "$update" '"string"'
do
	n=$((n + 1))
	printf '%s' "$schema" >"$work/fuzz_avro_schema/$n"
	printf '%s\n%s\n\002\004ab' "$schema" "$schema" >"$work/fuzz_avro_pair/$n"
done
printf '"int"\n["null","double"]\n\002' >"$work/fuzz_avro_pair/promotion"
printf '\003\002\004\000\000\200\077\004ab\002a\002\002\002k\002\002v\000\000' >"$work/fuzz_avro_datum/record"
printf '\000\004\006\002\002\002\002x\000\002\002y\000\004\000' >"$work/fuzz_avro_datum/update"
printf '\004\002\002\004\000\000\000\000' >"$work/fuzz_avro_datum/list"
for word in type record name fields aliases default enum symbols fixed NoOp lListOps setUnion setDiff mMapOps mapUnion mapDiff size array items map values \
	null boolean int long float double bytes string namespace logicalType decimal precision scale
do
	echo "\"\\\"$word\\\"\""
done >"$work/dictionary"

for target in fuzz_avro_schema fuzz_avro_pair fuzz_avro_datum
do
	if ${CLANG:-clang} -std=gnu99 -Wall -Wextra -g -O1 -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined -DAVRO_STANDALONE -DAVRO_MAX_EMPTY_ITEMS=256 -I"$src" -I"$here" \
		-I"$(${PG_CONFIG:-pg_config} --includedir-server)" \
		"$here/$target.c" "$src/avro/schema.c" "$src/avro/resolve.c" "$src/avro/decode.c" \
		-ljansson -lm -o "$work/$target.bin" &&
		"$work/$target.bin" -max_total_time="$seconds" -max_len=4096 -timeout=10 \
			-rss_limit_mb=2048 -print_final_stats=1 -dict="$work/dictionary" \
			-artifact_prefix="$work/$target-" "$work/$target" >"$work/$target.log" 2>&1
	then
		passed=$((passed + 1))
		echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$target.log") inputs in $seconds s"
	else
		failed=$((failed + 1))
		tail -n 60 "$work/$target.log" 2>/dev/null
		echo "$target: failed, see $work"
	fi
done
[ "$failed" -gt 0 ] || rm -rf "$work"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
