# shellcheck shell=bash
# What a measurement with a server and a broker of its own needs.  Source it with bash.
#
# Everything is private to $VENICE_WORK (/var/tmp/venice-bench), and what runs is
# ended with the script.  VENICE_SETTINGS is more lines of postgresql.conf.

# shellcheck source=test/lib/machine.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../test/lib/machine.sh"

# prepare: build venice into a private server, fetch what runs beside it; sets what the functions below use.
prepare()
{
	local log
	log=$(mktemp)
	quietly "Debian packages" "$log" install_packages "${build_packages[@]}"
	quietly "Apache Kafka" "$log" test/kafka/kafka fetch
	quietly "Python packages" "$log" test/python/venv
	rm "$log"
	python=$(test/python/venv)/bin/python
	prepare_server
	kafka_port=$(free_port 27092)
	bootstrap=127.0.0.1:$kafka_port
}

# prepare_server [PACKAGE...]: the same without a broker, with these packages besides.
prepare_server()
{
	local log
	log=$(mktemp)
	quietly "the server's packages" "$log" install_packages "${server_packages[@]}" "$@"
	rm "$log"
	make_work_directory "${VENICE_WORK:-/var/tmp/venice-bench}"
	copy_sources
	copy_server
	quietly "venice" "$work/build.log" as_server_user make -C "$work/src" -s install
	bin=$(dirname "$PG_CONFIG")
	data=$work/data
	port=$(free_port 27432)
	trap stop_all EXIT
}

# What a measurement started besides; it may define its own.
stop_peers() { :; }

stop_all()
{
	stop_peers
	as_server_user "$bin/pg_ctl" -D "$data" -m immediate stop >/dev/null 2>&1 || true
	as_server_user "$work/src/test/kafka/kafka" kill "$work/kafka" >/dev/null 2>&1 || true
	as_server_user rm -rf "$data" "$work/kafka"
}

# What every number printed depends on.
print_settings()
{
	printf '%s, %s cores, %s; PostgreSQL %s\n' "$(date +%F)" "$(nproc)" \
		"$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(sql -c 'SHOW server_version')"
	sql -c "SELECT '  ' || name || ' = ' || current_setting(name) FROM pg_settings
			WHERE source = 'configuration file' AND name !~* '^(port|unix|listen|log_|lc_|datestyle|timezone|default_text|dynamic|min_wal|max_conn)'
				OR name LIKE 'venice.%' ORDER BY name"
}

# start_server LINES: a new server with these lines of postgresql.conf, and the extension; sets $extension_ms.
start_server()
{
	as_server_user rm -rf "$data"
	as_server_user "$bin/initdb" -D "$data" -A trust -U postgres >/dev/null
	as_server_user tee -a "$data/postgresql.conf" >/dev/null <<CONF
port = $port
listen_addresses = '127.0.0.1'
unix_socket_directories = '$work'
shared_preload_libraries = 'venice'
checkpoint_timeout = 1h
jit = off
$1
${VENICE_SETTINGS:-}
CONF
	as_server_user "$bin/pg_ctl" -w -D "$data" -l "$work/server.log" start >/dev/null
	local start
	start=$(milliseconds)
	sql -c "CREATE EXTENSION venice"
	extension_ms=$(($(milliseconds) - start))
	print_settings
}

# start_broker: a new one, with a server "bench" of venice's for it.
start_broker()
{
	as_server_user rm -rf "$work/kafka"
	as_server_user "$work/src/test/kafka/kafka" start "$work/kafka" "$kafka_port" >/dev/null
	sql -c "CREATE SERVER bench FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$bootstrap')"
}

kafka() { as_server_user "$work/src/test/kafka/kafka" "$1" "$work/kafka" "${@:2}" >/dev/null; }

sql() { as_server_user "$bin/psql" -h "$work" -p "$port" -U postgres -X -q -At -v ON_ERROR_STOP=1 "$@"; }

milliseconds() { echo $(($(date +%s%N) / 1000000)); }

# processor_ms PID...: the processor time of these processes and their children, in milliseconds.
processor_ms()
{
	local pids=$* pid
	for pid; do
		pids+=" $(cat "/proc/$pid/task/$pid/children")"
	done
	for pid in $pids; do
		sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null || true
	done | awk -v ticks="$(getconf CLK_TCK)" '{ sum += $12 + $13 + $14 + $15 } END { printf "%d\n", sum * 1000 / ticks }'
}

server_processor_ms() { processor_ms "$(as_server_user head -n 1 "$data/postmaster.pid")"; }

# push STORE ROWS: one from Kafka, until its version could be swapped; sets $elapsed_ms.
push()
{
	local start pushed
	start=$(milliseconds)
	sql -c "SELECT venice.start_push('$1')" -c "SELECT venice.end_push('$1', swap => false)" \
		-c "CALL venice.wait_for_push('$1')" >/dev/null 2>"$work/wait.log"
	elapsed_ms=$(($(milliseconds) - start))
	pushed=$(sql -c "SELECT rows FROM venice.versions WHERE store = '$1' AND state = 'ready'")
	[ "$pushed" = "$2" ] || die "pushed $pushed rows, not $2"
}

median() { printf '%s\n' "$@" | sort -n | sed -n "$((($# + 1) / 2))p"; }

# ratio A B: A / B
ratio() { awk "BEGIN { printf \"%.2f\", $1 / $2 }"; }

# rate ROWS MS: rows a second
rate() { awk "BEGIN { printf \"%d\", $1 * 1000 / $2 }"; }
