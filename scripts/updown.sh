# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# What xlb-up and xlb-down share, after common.sh: names, the record of what is up,
# and what undoes each of its lines.

run=/run/xlb

# Says a command, and runs it.
cmd() {
	echo "+ $*" >&2
	"$@"
}

# Sets $file, $name and $record from a NAME, or from a FILE that has a slash.
name_take() { # WORD
	case $1 in
	*/*) file=$1 ;;
	*) file=/etc/xlb/$1.conf ;;
	esac
	name=${file##*/}
	name=${name%.conf}
	case $name in
	'' | [.-]* | *[!A-Za-z0-9_.-]*)
		die 1 "$1: a name has letters, digits, and _ . - but not in front"
		;;
	esac
	# shellcheck disable=SC2034 # for who reads this
	record=$run/$name.up
}

# What was meant by a word that is neither, maybe.
name_hint() { # NAME|FILE
	case $1 in
	*/* | .conf) ;;
	*.conf) echo ": a NAME is ${1%.conf}, a FILE ./$1" ;;
	esac
}

# Nobody else goes up or down meanwhile: the lock ends with this process.  It is not the
# folder, which all may open, and so hold.
record_lock() {
	(umask 022 && mkdir -p "$run") 2>/dev/null || :
	[ -w "$run" ] || die 2 "$run: cannot be written: run as root"
	lock=$run/lock
	while
		(umask 077 && set -C && : >"$lock") 2>/dev/null || :
		if [ -h "$lock" ] || [ ! -f "$lock" ] || [ ! -r "$lock" ]; then
			die 2 "$lock: is not a file that this user may read"
		fi
		exec 9<"$lock"
		flock 9
		# Who removes it gives the next a lock of its own.
		[ "$(stat -L -c %d:%i /proc/self/fd/9)" != "$(stat -c %d:%i "$lock" 2>/dev/null)" ]
	do
		:
	done
}

# The pin folder that a record names: "pin DIR" for maps that go when it is undone, "maps
# DIR" for those of somebody else, which are being taken over.
record_pin() { # RECORD
	folder=$(sed -n 's/^pin //p; s/^maps //p' "$1" | head -n 1)
	[ -n "$folder" ] || die 2 "$1: does not say where the maps are: give it the line pin DIR"
	readlink -m -- "$folder"
}

interface_there() { # IF
	ip link show dev "$1" >/dev/null 2>&1
}

# Is there nothing in the answer of `link show` that xlb was not allowed to look at?
# shellcheck disable=SC2154 # of common.sh
links_known() { # LINKS
	printf '%s\n' "$1" | jq -r '.[] | select(.unknown)
		| "\(.dev): CAP_SYS_ADMIN is missing, to tell whether xlb runs there"' |
		sed "s/^/$program: /" | grep . >&2 || return 0
	return 2
}

# Runs this interface xlb with the maps of $XLB_PIN?  2: xlb was not allowed to look.
interface_runs() { # IF
	interface_there "$1" || return 1
	links=$(xlb -j link show dev "$1") || return 2
	links_known "$links" || return 2
	printf '%s\n' "$links" | jq -e 'any(.pin == env.XLB_PIN)' >/dev/null || return 1
}

# Does xlb run there with maps that are pinned nowhere?
interface_unpinned() { # IF
	interface_there "$1" || return 1
	xlb -j link show dev "$1" | jq -e 'any(.id and .pin == null)' >/dev/null
}

# Up, but with its pins gone, as those in a file system that was unmounted: who runs has the
# maps, and by one that does all are had again.
pins_again() { # LINES
	[ ! -e "$XLB_PIN/xlb_config" ] || return 0
	while read -r word what; do
		if [ "$word" = interface ] && interface_unpinned "$what"; then
			cmd xlb load dev "$what"
			return
		fi
	done <<-END
		$1
	END
}

address_there() { # ADDRESS/PREFIX IF
	ip -j address show dev "$2" 2>/dev/null | jq -e --arg address "$1" '
		any(.[]?.addr_info[]?; "\(.local)/\(.prefixlen)" == $address)' >/dev/null
}

address_delete() { # ADDRESS/PREFIX IF
	! address_there "$1" "$2" || cmd ip address del "$1" dev "$2"
}

# The program goes; what xlb says of the maps then is not for who will remove them.
interface_leave() { # IF
	status=0
	interface_runs "$1" || status=$?
	[ $status = 0 ] || return $((status == 2 ? 2 : 0))
	said=$(cmd xlb unload dev "$1" 2>&1) || status=$?
	printf '%s\n' "$said" | sed '/: its maps stay: /d' >&2
	return $status
}

# Unless somebody else still uses them.
maps_remove() {
	links=$(xlb -j link show) || return 2
	links_known "$links" || return 2
	others=$(printf '%s\n' "$links" | jq -r 'map(select(.pin == env.XLB_PIN).dev) | join(" ")')
	if [ -n "$others" ]; then
		echo "$program: the maps in $XLB_PIN stay: xlb runs on $others" >&2
		return
	fi
	echo "+ rm $XLB_PIN/xlb_*" >&2
	if ! said=$(LC_ALL=C rm -f "$XLB_PIN"/xlb_* 2>&1); then
		said=$(printf '%s\n' "$said" | head -n 1)
		echo "$program: $XLB_PIN: cannot be removed: ${said##*: }" >&2
		return 2
	fi
	rmdir "$XLB_PIN" 2>/dev/null || :
}

# Undoes the lines of a record from the last to the first, as many as it can.
lines_undo() {
	undone=0
	reversed=$(awk '{ line[NR] = $0 } END { for (i = NR; i; i--) print line[i] }')
	while read -r word what _ dev; do
		case $word in
		address) address_delete "$what" "$dev" || undone=2 ;;
		interface) interface_leave "$what" || undone=2 ;;
		pin) maps_remove || undone=2 ;;
		esac
	done <<-END
		$reversed
	END
	return $undone
}
