#!/bin/sh
#
# run.sh
#		Exact sums.

here=$(cd "$(dirname "$0")" && pwd)
exec "$here/../lib/run_c.sh" "$here/exact_sum_test.c" offline/exact_sum.c
