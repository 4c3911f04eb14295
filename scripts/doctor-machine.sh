# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# shellcheck disable=SC2016,SC2154 # jq has variables of its own; xlb-doctor sets the others
# What xlb-doctor checks of the machine and of the interfaces that run xlb.

check_kernel() {
	release=$(uname -r)
	major=${release%%.*}
	minor=${release#*.}
	minor=${minor%%[!0-9]*}
	[ $((major * 1000 + minor)) -lt 5010 ] || return 0
	finding error "the kernel is Linux $release" \
		"The packet program needs 5.10 or later." \
		"apt-get install linux-image-$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')"
}

check_bpffs() {
	# BPF_FS_MAGIC of linux/magic.h.
	[ "$(stat -f -c %t /sys/fs/bpf 2>/dev/null)" != cafe4a11 ] || return 0
	finding error "no bpf file system on /sys/fs/bpf" \
		"Maps are pinned there; ip netns exec and ip -n hide it, nsenter --net does not." \
		"mount -t bpf bpf /sys/fs/bpf"
}

# The helper's own sentence, which has the way out.
check_maps() {
	[ -n "$maps_error" ] || return 0
	# Who runs with these maps, or with some that have no pin.
	running=$(ask '[.xlb[] | select(.mode) | select(.pin == null
		or (.pin as $pin | $error | contains(" in \($pin)"))).dev][0] // empty' \
		--arg error "$maps_error")
	case $maps_error in
	*' in both '*)
		first=${maps_error#* in both }
		mend="export XLB_PIN=${first%% and *}"
		;;
	"no maps of xlb in "*) mend="xlb -pin ${XLB_PIN-DIR} load dev IF" ;;
	"no maps"* | *"xlb load dev IF moves "* | *"xlb load dev IF completes "*)
		mend="xlb load dev ${running:-IF}"
		;;
	*" is missing in "*)
		missing=${maps_error#* is missing in }
		mend="rm ${missing%%:*}/xlb_*; xlb load dev IF"
		[ -z "$running" ] || mend="xlb load dev $running"
		;;
	*) mend="xlb unload dev IF; rm ${XLB_PIN-/sys/fs/bpf/xlb}/xlb_*; xlb load dev IF" ;;
	esac
	finding error "$maps_error" "Maps are what services and backends are in." "$mend"
}

check_interfaces() {
	[ -n "$(ask '.xlb[].dev')" ] ||
		finding error "xlb runs on no interface of this network namespace" \
			"Only what comes in by an interface with xlb is balanced." "xlb load dev IF"
	for dev in $(ask '.xlb[] | select(.pin == null).dev'); do
		finding error "$dev: the maps of its xlb are pinned nowhere" \
			"It balances what it did when their pins went, and no command reaches them until they are pinned again." \
			"xlb load dev $dev"
	done
	for dev in $(ask '[.xlb[].dev] as $xlb | .links[] | select(.ifname | IN($xlb[]))
		| select(.flags | index("UP") | not).ifname'); do
		finding error "$dev: is down" "Nothing comes in by it." "ip link set dev $dev up"
	done
}

check_jit() {
	for dev in $(ask '[.xlb[].id] as $xlb | .links[]
		| select(.xdp.prog.id | IN($xlb[])) | select(.xdp.prog.jited != 1).ifname'); do
		finding warning "$dev: its program is interpreted" \
			"Compiled for the processor it takes a fraction of the time." \
			"sysctl -w net.core.bpf_jit_enable=1 && xlb load dev $dev"
	done
}

# lo has no other mode.
check_generic() {
	ask '(.links | INDEX(.ifname)) as $links | .xlb[] | select(.mode == "generic" and .dev != "lo")
		| "\(.dev) \($links[.dev].linkinfo.info_kind // "device")"' |
		while read -r dev kind; do
			why="The kernel makes each packet ready for the stack before xlb sees it."
			case $kind in
			bridge | dummy | ipvlan | macvlan | vlan | vxlan)
				why="$why A $kind has no native mode, what it stands on may have one."
				;;
			*) why="$why If native mode is refused, that says why it cannot be." ;;
			esac
			finding notice "$dev: xlb runs in generic mode" "$why" \
				"xlb unload dev $dev && xlb load dev $dev mode native"
		done
}

ethtool_there() {
	command -v ethtool >/dev/null || {
		finding notice "offloads have not been looked at" "There is no ethtool here." \
			"apt-get install ethtool"
		return 1
	}
}

# Those of some features that are on, a line each.
features_on() { # DEV "FEATURE..." [ip netns exec NETNS]
	device=$1
	wanted=$2
	shift 2
	"$@" ethtool -k "$device" 2>/dev/null | awk -F: -v wanted="$wanted" '
		BEGIN { split(wanted, names, " "); for (i in names) known[names[i]] }
		{ gsub(/[[:space:]]/, "", $1) }
		$1 in known && $2 ~ /^ on/ { print $1 }'
}

# What devices stand on that run xlb in generic mode: the kernel merges no packets for those,
# but for these.
lower_devices() {
	ask '.links as $links | .xlb[] | select(.mode == "generic").dev as $dev
		| ($links[] | select(.ifname == $dev and .linkinfo.info_kind != "veth")
			| .link, .linkinfo.info_data.link?) as $lower
		| $links[] | select(.master == $dev or .ifname == $lower)
		| "\($dev) \(.ifname)"' | sort -u
}

check_lro() {
	ethtool_there || return 0
	lower_devices | while read -r dev lower; do
		[ -z "$(features_on "$lower" generic-receive-offload)" ] ||
			finding warning "$lower: merges packets before $dev, which is above, sees them" \
				"In generic mode their checksums come out wrong, or they fit no way out." \
				"ethtool -K $lower gro off"
	done
	for dev in $(ask '.xlb[].dev'); do
		for feature in $(features_on "$dev" "large-receive-offload rx-gro-hw"); do
			finding warning "$dev: $feature is on" \
				"The device makes large packets of several, which fit no way out." \
				"ethtool -K $dev $feature off"
		done
	done
}

# The other end of a veth: its name, or NETNS/NAME, or nothing if it cannot be seen here.
veth_peer() { # DEV
	ask '.links[] | select(.ifname == $dev)
		| "\(.link // "-") \(.link_index // "-") \(.link_netnsid // "-")"' --arg dev "$1" | {
		read -r name index id
		netns=
		if [ "$name" = - ]; then
			netns=$(ip -j netns list-id 2>/dev/null | jq -r --arg id "$id" \
				'.[] | select("\(.nsid)" == $id).name // empty')
			[ -n "$netns" ] || return 0
			name=$(ip -n "$netns" -j link show | jq -r --arg index "$index" \
				'.[] | select("\(.ifindex)" == $index).ifname')
		fi
		echo "${netns:+$netns/}$name"
	}
}

# The line to type for the other end, as far as that is known.
peer_ethtool() { # { PEER | "" } FEATURE STATE
	case $1 in
	*/*) echo "ip netns exec ${1%/*} ethtool -K ${1#*/} $2 $3" ;;
	*) echo "ethtool -K ${1:-PEER} $2 $3" ;;
	esac
}

# What comes from it was made by others, and it leaves that as it is.
peer_forwards() { # PEER
	case $1 in
	*/*) ip -n "${1%/*}" -j -d link show dev "${1#*/}" ;;
	*) ip -j -d link show dev "$1" ;;
	esac | jq -e '.[0].linkinfo.info_slave_kind | IN("bridge", "openvswitch")' >/dev/null
}

check_checksum() {
	ethtool_there || return 0
	for dev in $(ask '[.xlb[].dev] as $xlb | .links[]
		| select(.linkinfo.info_kind == "veth" and (.ifname | IN($xlb[]))).ifname'); do
		peer=$(veth_peer "$dev")
		case $peer in
		*/*) on=$(features_on "${peer#*/}" tx-checksum-ip-generic ip netns exec "${peer%/*}") ;;
		?*) on=$(features_on "$peer" tx-checksum-ip-generic) ;;
		*)
			finding notice "$dev: what its peer does cannot be seen from here" \
				"If that leaves checksums to the device, xlb sends wrong ones." \
				"$(peer_ethtool "" tx off)"
			continue
			;;
		esac
		[ -n "$on" ] || continue
		severity=error
		why="XDP sees half-made ones, which no later hop repairs."
		if peer_forwards "$peer"; then
			severity=warning
			why="It is a port of a bridge: of hosts there that do so, too, XDP sees half-made ones, which no later hop repairs."
		fi
		finding $severity "$dev: its peer leaves checksums to the device" "$why" \
			"$(peer_ethtool "$peer" tx off)"
	done
}

# What xlb itself warns of.
check_settings() {
	ask '.warnings[] | [.dev, .kind, .what, .mend] | @tsv' |
		while IFS="$tab" read -r dev kind what mend; do
			severity=error
			case $kind in
			forwarding) why="The kernel gives xlb no way to backends, nor does it forward for it." ;;
			own_source) why="What xlb leaves to the kernel, for one to resolve a neighbour, is lost." ;;
			replies)
				severity=warning
				why="So is what xlb leaves to the kernel on the way to a client."
				;;
			*)
				why="All that xlb sends by it is lost in silence: the receiver has no NAPI."
				mend=$(peer_ethtool "$(veth_peer "$dev")" gro on)
				;;
			esac
			finding $severity "$dev: $what" "$why" "$mend"
		done
}

# decap.o is the project's own, for backends.
check_programs() {
	ask '[.xlb[].id] as $xlb | .links[] | select(.xdp) | .ifname as $dev | .xdp.attached[]?
		| select(.prog.id | IN($xlb[]) | not) | select(.prog.name | tostring | startswith("decap_") | not)
		| "\($dev) \(.mode) \(.prog.id) \(.prog.name // "?")"' |
		while read -r dev mode id name; do
			case $mode in 1) how=xdpdrv ;; 2) how=xdpgeneric ;; *) how=xdpoffload ;; esac
			finding notice "$dev: program $id ($name) is attached, which is not xlb's" \
				"xlb does not see what comes in by it, and xlb load would refuse it." \
				"ip link set dev $dev $how off"
		done
}
