# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# What the xlb-* scripts share: xlb itself, errors, host names, several commands
# as one.  They set `here` to their folder before they read this.

# Beside an installed script, or in the build tree.
# shellcheck disable=SC2154
PATH=$PATH:$here:$here/../loader
program=${0##*/}
origin= # FILE:LINE: of what is being read, or nothing

# die STATUS MESSAGE: as xlb, 1 is a bad command line, 2 refused.  One line, whatever words
# hold (some echo(1) would make more of a backslash).
die() {
	status=$1
	shift
	printf '%s\n' "$(printf %s "$program: $origin$*" | tr '[:cntrl:]' '?')" >&2
	exit "$status"
}

command -v xlb >/dev/null || die 2 "xlb: not in PATH, and not beside this script"

# The options that all have; any other is an error.
options_common() { # WORD
	case $1 in
	-h | --help | help) usage ;;
	-V | --version) xlb -V | sed "s/^xlb/$program/" ;;
	*) die 1 "$1: unknown option, see $program -h" ;;
	esac
	exit 0
}

# The addresses of a HOST of the grammar, one a line, as xlb wants them: IPv6 in
# brackets.  FAMILY is 4, 6 or any; only names have a choice.
host_addresses() { # HOST FAMILY
	case $1 in
	\[*\] | \*) printf '%s\n' "$1" ;;
	*[!0-9.]*) name_addresses "$1" "$2" ;;
	*) printf '%s\n' "$1" ;;
	esac
}

name_addresses() { # NAME FAMILY
	# Scoped (%) addresses mean nothing to a balancer.
	addresses=$(getent ahosts "$1" | awk -v family="$2" '
		seen[$1]++ || /%/ { next }
		/:/ && family != 4 { print "[" $1 "]" }
		!/:/ && family != 6 { print $1 }')
	[ -n "$addresses" ] || {
		case $2 in any) kind= ;; *) kind="IPv$2 " ;; esac
		die 2 "$1: no ${kind}address found for this name"
	}
	echo "$addresses"
}

# Dies unless a word is a number of seconds that may be waited for.
seconds_check() { # NAME WORD
	case $2 in
	'' | 0* | *[!0-9]* | ??????*) ;;
	*) [ "$2" -gt 86400 ] || return 0 ;;
	esac
	die 1 "$1 $2: not a number of seconds from 1 to 86400"
}

# Splits HOST:REST into $host and $rest, the latter with its colon or empty.
host_split() {
	case $1 in
	\[*\]*)
		host=${1%%]*}]
		rest=${1#"$host"}
		;;
	*)
		host=${1%%:*}
		rest=${1#"$host"}
		;;
	esac
}

# Commands for one run of xlb -batch, and the origin of each, both a line each.
batch=
origins=
newline='
'

# Each is one word for xlb -batch as well.
words_check() { # WORD...
	for word in "$@"; do
		case $word in
		*[[:space:][:cntrl:]#]* | '') die 1 "'$word': a word without blanks and # is expected" ;;
		esac
	done
}

# Dies for what cannot begin with a HOST, before a name server is asked.
subject_check() { # VERB WORD
	words_check "$2"
	case $2 in
	-*)
		# Help is no line of a file.
		[ -n "$origin" ] || options_common "$2"
		die 1 "$2: neither a HOST nor a keyword"
		;;
	\[*) ;;
	*:*:*) die 1 "$1 $2: an IPv6 address stands in [ ]" ;;
	esac
}

queue() { # WORD...
	words_check "$@"
	origins=$origins$origin$newline
	batch=$batch$*$newline
}

# What xlb said last: a warning that still holds is not said again.
warned=

# Runs what is queued.  xlb's errors become this script's, with the origin of the
# line that they name and without the WORDS that the user has not typed.
batch_run() { # WORDS [OPTION]...
	words=$1
	shift
	status=0
	exec 3>&1
	errors=$(printf '%s' "$batch" | xlb "$@" -batch - 2>&1 >&3) || status=$?
	exec 3>&-
	# Thousands of origins have no room in a variable of the environment.
	[ -z "$errors" ] || {
		printf %s "$origins" | sed 's/^/o/'
		printf %s "$warned" | sed 's/^/s/'
		printf '%s\n' "$errors" | sed 's/^/e/'
	} |
		awk -v program="$program" -v words="$words" '
			/^o/ { origin[++origins] = substr($0, 2); next }
			/^s/ { warned[substr($0, 2)]; next }
			/^exlb: warning: / && substr($0, 2) in warned { next }
			{
				sub(/^e(xlb: )?/, "")
				if (match($0, /^-:[0-9]+: /)) {
					line = substr($0, 3, RLENGTH - 4)
					$0 = substr($0, RLENGTH + 1)
					sub("^" words " ", "")
					$0 = origin[line] $0
				}
				print program ": " $0
			}' >&2
	warned=${errors:+$errors$newline}
	return $status
}

# Puts a text in the place of a file, in one step: who reads it finds the old or the new
# one.  Nothing is written through a link that somebody has planted, neither where the new
# file begins (noclobber) nor in the place of the old one.
file_replace() { # FILE TEXT
	new=$(mktemp -u -- "$1.XXXXXX") || return
	if (
		set -C
		umask 022
		printf %s "$2" >"$new"
	); then
		! mv -fT -- "$new" "$1" || return 0
	fi
	rm -f -- "$new"
	return 1
}

# What has been counted, for tables: [backends, stats].
counters_show() { # [service SERVICE]
	[ "${1-service}" = service ] || die 1 "$1: unknown keyword, not one of: service"
	batch=
	origins=
	queue backend show "$@"
	queue stats show "$@"
	batch_run "backend show:" -j -s
}
