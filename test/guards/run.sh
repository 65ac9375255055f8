#!/bin/bash
#
# run.sh [rule ...]
#		Check the rules of the house that a compiler does not.  Each is a script
#		in rules/, which runs at the top of the tree, prints what breaks the rule,
#		if anything, and begins with a comment that says it.  Needs a C compiler,
#		Perl and the PostgreSQL server headers.

set -u

cd "$(dirname "$0")/../.." || exit 1
passed=0
failed=0
[ $# -gt 0 ] || set -- $(cd test/guards/rules && ls)

for rule; do
	# A script that died has found nothing, and proves nothing.
	if found=$("test/guards/rules/$rule" 2>&1) && [ -z "$found" ]; then
		echo "ok - $rule"
		passed=$((passed + 1))
	else
		echo "not ok - $rule: $(sed -n '2s/^# *//p' "test/guards/rules/$rule")"
		sed 's/^/    /' <<<"$found"
		failed=$((failed + 1))
	fi
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
