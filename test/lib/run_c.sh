#!/bin/sh
#
# run_c.sh TEST.c SOURCE.c
#		A test of pure C, without a server: each compiler, under ASan and UBSan and as it
#		is released.

set -u

test=$1
source=$2
src=$(cd "$(dirname "$0")/../../src" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags="-std=gnu99 -Wall -Wextra -ffp-contract=off -I$src"

for build in "${CLANG:-clang} -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined" \
	"gcc -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined" "gcc -O2"
do
	echo "# $build"
	# shellcheck disable=SC2086 # words
	$build $flags "$test" "$src/$source" -lm -o "$work/test" && "$work/test" || echo "not ok - $build"
done >"$work/tap"

cat "$work/tap"
awk '/^ok/ { passed++ } /^not ok/ { failed++ } END { printf "%d passed, %d failed\n", passed, failed; exit failed != 0 || passed == 0 }' "$work/tap"
