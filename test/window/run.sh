#!/bin/sh
#
# run.sh
#		Exact sums without a server: each compiler, under ASan and UBSan and as it
#		is released.

set -u

here=$(cd "$(dirname "$0")" && pwd)
src=$here/../../src
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags="-std=gnu99 -Wall -Wextra -ffp-contract=off -I$src"

for build in "${CLANG:-clang} -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined" \
	"gcc -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined" "gcc -O2"
do
	echo "# $build"
	# shellcheck disable=SC2086 # words
	$build $flags "$here/exact_sum_test.c" "$src/offline/exact_sum.c" -lm -o "$work/exact_sum_test" &&
		"$work/exact_sum_test" || echo "not ok - $build"
done >"$work/tap"

cat "$work/tap"
awk '/^ok/ { passed++ } /^not ok/ { failed++ } END { printf "%d passed, %d failed\n", passed, failed; exit failed != 0 || passed == 0 }' "$work/tap"
