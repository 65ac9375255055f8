# shellcheck shell=bash
# What test/run, test/majors/run and examples/flights/run need of a Debian
# machine: packages, an unprivileged user, and a PostgreSQL of their own.
# Source it with bash.
#
# The machine's own clusters and its PostgreSQL installation are never touched:
# packages that are there stay as they are, no cluster is made by installing
# the server, and the extension goes into a private copy of the server.

pg_major=${PG_MAJOR:-15}

# What building and running venice takes, and what testing it takes besides.
# shellcheck disable=SC2034 # for those who source this
server_packages=(gcc make pkg-config "postgresql-$pg_major" "postgresql-server-dev-$pg_major"
	librdkafka-dev libjansson-dev libcurl4-openssl-dev)
# shellcheck disable=SC2034
build_packages=("${server_packages[@]}" python3-venv default-jre-headless maven openssl)
# shellcheck disable=SC2034
test_packages=(libavro-dev clang-14 libclang-rt-14-dev libipc-run-perl "postgresql-$pg_major-pgtap"
	pgbouncer default-jdk-headless golang-go libpq-dev)

die() { echo "$(basename "$0"): $*" >&2; exit 1; }

# section TITLE
section() { printf '\n== %s\n' "$*"; }

# quietly TITLE LOG COMMAND...: its output goes to LOG, whose end is shown if it fails.
quietly()
{
	local log=$2
	echo "$1"
	shift 2
	("$@") >"$log" 2>&1 && return
	tail -n 40 "$log" >&2
	die "failed: $* (all of its output: $log)"
}

as_root()
{
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# install_packages NAME...: those that are missing.  Whoever wants their services starts them.
install_packages()
{
	local missing=() package status=0
	local no_cluster=/etc/postgresql-common/createcluster.d/venice.conf no_service=/usr/sbin/policy-rc.d
	for package; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' ||
			missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
		die "it takes root to install what is missing: ${missing[*]}"
	as_root mkdir -p "$(dirname "$no_cluster")"
	echo 'create_main_cluster = false' | as_root tee "$no_cluster"
	if [ -e "$no_service" ]; then
		no_service=
	else
		printf '#!/bin/sh\nexit 101\n' | as_root tee "$no_service"
		as_root chmod 755 "$no_service"
	fi
	{
		as_root apt-get -q update &&
			as_root env DEBIAN_FRONTEND=noninteractive \
				apt-get -q -y --no-install-recommends install "${missing[@]}"
	} || status=$?
	as_root rm "$no_cluster" ${no_service:+"$no_service"}
	return $status
}

# Root's downloads are for the unprivileged user too, so they cannot be in root's home.
if [ "$(id -u)" = 0 ]; then
	export VENICE_CACHE=${VENICE_CACHE:-/var/cache/venice}
	server_user=postgres
else
	export VENICE_CACHE=${VENICE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/venice}
	server_user=$(id -un)
fi

# as_server_user COMMAND...: PostgreSQL refuses to run as root.
as_server_user()
{
	if [ "$(id -un)" = "$server_user" ]; then
		"$@"
	else
		setpriv --reuid "$server_user" --regid "$server_user" --init-groups env HOME="$work" "$@"
	fi
}

# make_work_directory DIR: one that belongs to the server's user; sets $work.
make_work_directory()
{
	work=$1
	if [ ! -e "$work" ]; then
		install -d -m 755 "$work"
		[ "$(id -un)" = "$server_user" ] || chown "$server_user:" "$work"
	fi
	[ "$(stat -c %U "$work")" = "$server_user" ] || die "$work belongs to $(stat -c %U "$work")"
}

# copy_sources: the tree as it is, without git's files and what was built, to $work/src.
copy_sources()
{
	as_server_user rm -rf "$work/src"
	as_server_user mkdir "$work/src"
	tar -C "$(dirname "${BASH_SOURCE[0]}")/../.." --exclude ./.git --exclude '*.o' --exclude '*.so' \
		--exclude '*.bc' -cf - . |
		as_server_user tar -C "$work/src" --no-same-owner -xf -
}

# copy_server [OTHER_MAJOR ...]: PostgreSQL's programs find their files relative
# to themselves, so a copy of Debian's two directories is a server to install into.
# Sets and exports PG_CONFIG.
copy_server()
{
	local root=$work/pg major
	export PG_CONFIG=$root/usr/lib/postgresql/$pg_major/bin/pg_config
	as_server_user rm -rf "$root"
	as_server_user mkdir -p "$root"/usr/{lib,share,include}/postgresql
	for major in "$pg_major" "$@"; do
		as_server_user cp -R "/usr/lib/postgresql/$major" "$root/usr/lib/postgresql/"
		as_server_user cp -R "/usr/share/postgresql/$major" "$root/usr/share/postgresql/"
		as_server_user ln -s "/usr/include/postgresql/$major" "$root/usr/include/postgresql/"
	done
	as_server_user ln -s /usr/share/postgresql-common "$root/usr/share/"
}

# free_port FROM: the first of three ports in a row that nobody listens on.
free_port()
{
	local port
	for ((port = $1; port < $1 + 3000; port += 3)); do
		for i in 0 1 2; do
			(: </dev/tcp/127.0.0.1/$((port + i))) 2>/dev/null && continue 2
		done
		echo "$port"
		return
	done
	die "no free port above $1"
}

# collect RESULTS TITLE COMMAND...: the command's last line, "N passed, N failed", goes to a file too.
collect()
{
	local results=$1 title=$2 log last
	shift 2
	log=$(mktemp)
	{ "$@" || true; } | tee "$log"
	last=$(tail -n 1 "$log")
	rm "$log"
	grep -qxE '[0-9]+ passed, [0-9]+ failed' <<<"$last" || last='0 passed, 1 failed'
	echo "$title: $last" >>"$results"
}

# sum RESULTS: what collect wrote, and the sum of it.
sum()
{
	section 'In all'
	awk '{ print; passed += $(NF - 3); failed += $(NF - 1) }
		END { printf "\n%d passed, %d failed\n", passed, failed; exit failed > 0 || passed == 0 }' "$1"
}
