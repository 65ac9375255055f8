# shellcheck shell=bash
# A process of the tests that has a directory, and its pid in DIR/pid.  Source it with bash.

# A zombie has ended: in a container nobody may ever reap it.
is_running()
{
	[ -e "$1/pid" ] && grep -qs '^State:[[:space:]]*[^ZX]' "/proc/$(cat "$1/pid")/status"
}

wait_until_gone()
{
	local tenths
	for ((tenths = 0; tenths < $2 * 10; tenths++)); do
		is_running "$1" || { rm -f "$1/pid"; return 0; }
		sleep 0.1
	done
	return 1
}

# end DIR SIGNAL: and wait until it is gone; SIGKILL if the signal does not end it in 20 s.
end()
{
	is_running "$1" || { rm -f "$1/pid"; return 0; }
	kill "-$2" "$(cat "$1/pid")" 2>/dev/null || true
	wait_until_gone "$1" 20 && return
	kill -KILL "$(cat "$1/pid")" 2>/dev/null || true
	wait_until_gone "$1" 5 || die "process $(cat "$1/pid") does not end"
}
