#!/bin/sh
#
# run.sh
#		The kernels of read compute.

here=$(cd "$(dirname "$0")" && pwd)
exec "$here/../lib/run_c.sh" "$here/kernels_test.c" compute/kernels.c
