# shellcheck shell=bash
# For programs that run a private PostgreSQL, the daemon and nginx until Ctrl-C: tools/demo/run and onesession-try. They
# set `program`, which their complaints begin with, and `home`, the folder of what they write; home/log is for logs.
# shellcheck disable=SC2034,SC2154 # variables of theirs, and for them

readonly start_timeout=60 stop_timeout=20
# An address of a Unix socket holds 107 bytes (unix(7)); the longest name in the directory is .s.PGSQL.5432.lock.
readonly sockets_max=85

declare -A pids=()       # of the programs started: name -> process, which leads a session of its own
started=()               # the names in the order of starting
temporary=()             # directories to remove at the end
as_self=()               # prefix that runs a command as who runs this
as_user=()               # prefix that runs a command as $user
stopping=false           # by a signal
exec {lock}< /dev/null   # a descriptor that what is started does not get

step()
{
	printf '  %s\n' "$*"
}

die()
{
	printf '%s: %s\n' "$program" "$*" >&2
	exit 1
}

# need PROGRAM...: nginx is in /usr/sbin, which is not on every user's PATH.
need()
{
	local name missing=()

	PATH=$PATH:/usr/sbin:/sbin
	for name; do
		command -v "$name" > /dev/null || missing+=("$name")
	done
	[[ ${#missing[@]} -eq 0 ]] || die "not found: ${missing[*]}; please install it"
}

# make_temporary OWNER: a folder with a short path without characters special to configuration files, removed at the end.
make_temporary()
{
	local owner=$1 where=${TMPDIR:-/tmp} made

	if [[ ${#where} -gt 60 || ! $where =~ ^/[A-Za-z0-9._/+-]*$ ]]; then
		where=/tmp
	fi
	made=$(mktemp -d "$where/onesession.XXXXXX")
	temporary+=("$made")
	if [[ $EUID -eq 0 ]]; then
		chown "$owner:" "$made"
	fi
	temporary_made=$made
}

is_port_taken()
{
	(: < "/dev/tcp/127.0.0.1/$1") 2> /dev/null
}

# PostgreSQL refuses to run as root.
choose_user()
{
	user=$(id -un)
	if [[ $EUID -eq 0 ]]; then
		user=postgres
		id "$user" > /dev/null 2>&1 || die "as root, PostgreSQL runs as the user postgres, who is not there"
		as_user=(setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups --)
	fi
}

# The folders of sockets, of which PostgreSQL's may be another: $home, if their paths are short enough there.
choose_sockets()
{
	sockets=$home
	if [[ ${#sockets} -gt $sockets_max || $sockets =~ [^A-Za-z0-9._/+-] ]]; then
		make_temporary "$user"
		sockets=$temporary_made
	fi
	database_sockets=$sockets
}

# The version of existing data, else the newest.
choose_postgresql()
{
	local candidates=() version="*"

	if [[ -e $home/data/PG_VERSION ]]; then
		version=$(< "$home/data/PG_VERSION")
	fi
	# shellcheck disable=SC2206 # the pattern is meant
	candidates=(/usr/lib/postgresql/$version/bin/postgres)
	if [[ -x ${candidates[0]} ]]; then
		bin=$(printf '%s\n' "${candidates[@]}" | sort --version-sort | tail -n 1)
		bin=${bin%/*}
	elif [[ $version == "*" ]] && command -v initdb > /dev/null; then
		bin=$(dirname "$(readlink -f "$(command -v initdb)")")
	elif [[ $version == "*" ]]; then
		die "not found: PostgreSQL; please install it"
	else
		die "$home/data is of PostgreSQL $version, which is not here: remove $home to begin anew"
	fi
}

# ---- Processes -------------------------------------------------------------------------------------------------------

# start NAME AS COMMAND...: in a session of its own, so that Ctrl-C reaches this script alone and it can stop things in
# order. Should the script be killed, the kernel sends each the signal. AS is the name of a prefix.
start()
{
	local name=$1
	local -n as=$2

	shift 2
	setsid "${as[@]}" setpriv --pdeathsig TERM -- "$@" < /dev/null >> "$home/log/$name.log" 2>&1 {lock}<&- &
	pids[$name]=$!
	started+=("$name")
}

is_running()
{
	kill -0 "${pids[$1]}" 2> /dev/null
}

# wait_for NAME COMMAND...: until it succeeds.
wait_for()
{
	local name=$1 deadline=$((SECONDS + start_timeout))

	shift
	until "$@" > /dev/null 2>&1; do
		check_running
		[[ $SECONDS -lt $deadline ]] || fail_of "$name" "was not ready after $start_timeout seconds"
		sleep 0.1
	done
}

check_running()
{
	local name

	for name in "${started[@]}"; do
		is_running "$name" || fail_of "$name" "ended by itself"
	done
}

fail_of()
{
	printf '%s: %s %s; the last lines of its log:\n' "$program" "$1" "$2" >&2
	tail -n 15 "$home/log/$1.log" | sed 's/^/    /' >&2
	exit 1
}

# stop NAME SIGNAL: and wait; a process that does not end is killed, with its descendants.
stop()
{
	local name=$1 deadline=$((SECONDS + stop_timeout))

	[[ -n ${pids[$name]:-} ]] || return 0
	kill "-$2" "${pids[$name]}" 2> /dev/null || true
	while is_running "$name" && [[ $SECONDS -lt $deadline ]]; do
		sleep 0.05
	done
	if is_running "$name"; then
		step "$name does not stop: killing it"
	fi
	kill -KILL -- "-${pids[$name]}" 2> /dev/null || true
	wait "${pids[$name]}" 2> /dev/null || true
}

# In the order of dependence: nginx stops before the daemon, the daemon before the database.
clean_up()
{
	local result=$?

	# After any failure, such as a closed terminal, the rest has to be stopped, too.
	set +e
	trap '' INT TERM HUP
	trap - EXIT
	if $stopping; then
		result=0
		printf '\nStopping nginx, the daemon and PostgreSQL.\n'
	fi
	stop nginx QUIT
	stop onesessiond TERM
	stop billing TERM
	stop postgresql INT
	stop log TERM
	if [[ ${#temporary[@]} -gt 0 ]]; then
		rm -rf "${temporary[@]}"
	fi
	exit "$result"
}

clean_up_at_end()
{
	trap clean_up EXIT
	trap 'stopping=true; exit 0' INT TERM HUP
}

# ---- PostgreSQL and the daemon's database ----------------------------------------------------------------------------

# start_postgresql OPTION...: of the server.
start_postgresql()
{
	if [[ ! -e $home/data/PG_VERSION ]]; then
		# Left by a run that was interrupted.
		find "$home/data" -mindepth 1 -delete 2> /dev/null || true
		# No password: only this user can reach the socket, for the directory is closed to others.
		"${as_user[@]}" "$bin/initdb" --pgdata="$home/data" --username=postgres --auth=trust --encoding=UTF8 \
			--locale=C.UTF-8 --no-sync > "$home/log/initdb.log" 2>&1 || fail_of initdb "failed"
	fi
	start postgresql as_user "$bin/postgres" -D "$home/data" -k "$database_sockets" -c listen_addresses= "$@"
	wait_for postgresql "$bin/pg_isready" --quiet --host="$database_sockets" --username=postgres
}

sql()
{
	"$bin/psql" --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 \
		--host="$database_sockets" --username=postgres --dbname="$1" --command="$2"
}

# Two roles: the owner of the tables, for operators, and the daemon's, with only the rights that serving needs.
make_database()
{
	local role

	for role in onesession_owner onesession; do
		if [[ -z $(sql postgres "SELECT 1 FROM pg_roles WHERE rolname = '$role'") ]]; then
			sql postgres "CREATE ROLE $role LOGIN"
		fi
	done
	if [[ -z $(sql postgres "SELECT 1 FROM pg_database WHERE datname = 'onesession'") ]]; then
		sql postgres "CREATE DATABASE onesession OWNER onesession_owner"
	fi
}

# ctl NAME WORD...: onesessionctl as the tables' owner; what it says goes to the log of that name.
ctl()
{
	local name=$1

	shift
	"$ctl" -c "$home/operators.conf" "$@" > "$home/log/$name.log" 2>&1
}

migrate()
{
	ctl migrate migrate --grant onesession || fail_of migrate "failed"
}

# make_account NAME PASSWORD OPTION...: one that is there keeps its password, which may have been changed.
make_account()
{
	local name=$1 password=$2

	shift 2
	ctl accounts user show "$name" && return
	ctl accounts user add "$name" "$@" <<< "$password" || fail_of accounts "could not be added"
}

# The daemon's configuration from standard input, behind where it listens and its database; and that of operators.
write_configuration()
{
	cat - <(printf '\n[database]\nconninfo = host=%s dbname=onesession user=onesession\n' "$database_sockets") \
		> "$home/onesession.conf"
	sed 's/user=onesession$/user=onesession_owner/' "$home/onesession.conf" > "$home/operators.conf"
}

# start_daemon AS PROGRAM OPTION...
start_daemon()
{
	local as=$1

	shift
	# A killed run may have left the socket.
	rm -f "$sockets/onesession.sock"
	start onesessiond "$as" "$@" -c "$home/onesession.conf"
	wait_for onesessiond test -S "$sockets/onesession.sock"
}

# The guard for nginx, from the sample in $1.
write_guard()
{
	local text

	text=$(< "$1")
	printf '%s\n' "${text//"unix:/run/onesession/"/"unix:$sockets/"}" > "$home/onesession-nginx.conf"
}

# A module's routes for nginx: as the daemon's own pages, with what stands there for files, which are in home/folders.
write_module()
{
	{
		sed -n '/^location \/session\/ {/,/^}/p' "$home/onesession-nginx.conf" |
			sed -e 's|^location /session/ {|location / {|' -e 's|^\t#\([a-z_]* .*;\)$|\t\1|'
		cat <<-END
			location /_stored/ {
				internal;
				auth_request off;
				alias $home/folders/;
				add_header X-Content-Type-Options nosniff always;
				add_header Content-Security-Policy "default-src 'none'; sandbox" always;
			}
		END
	} > "$home/module-nginx.conf"
}

# Do the daemon and its database answer behind nginx?
is_ready()
{
	local line

	exec {http}<> "/dev/tcp/127.0.0.1/$port" || return 1
	printf 'GET /session/ready HTTP/1.0\r\nHost: localhost\r\n\r\n' >&"$http"
	IFS= read -r -t 2 line <&"$http" || line=
	exec {http}>&-
	[[ $line == *' 200 '* ]]
}
