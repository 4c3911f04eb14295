# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# shellcheck disable=SC2016,SC2154 # jq has variables of its own; $work is xlb-doctor's
# What xlb-doctor checks of services, of the ways to their backends, and of the maps.

# Backends that are to get packets, each with its service's mode, its route and the
# interface of that; runs: does xlb see what comes in there?  A VLAN's frames are seen
# below it, those of a bridge or a bond at its ports.  place: "ours", the interface of the
# segment that an address is on, or null.
ways='
	def carriers($dev): . as $facts | $dev, (.links[] | (select(.master == $dev).ifname),
			(select(.ifname == $dev and (.linkinfo.info_kind | IN("vlan", "macvlan", "ipvlan"))).link
				| strings)
		| . as $below | $facts | carriers($below));
	def runs($dev): [.xlb[].dev] as $xlb | $dev != null and any(carriers($dev); IN($xlb[]));
	def segment: .link_type == "ether" and (.flags | index("NOARP") | not);
	def place($address): [.routes[] | select(.dst == $address)][0] as $route
		| if any(.links[].addr_info[]?; .local == $address) or $route.type == "local" then "ours"
		elif $route.type or $route.gateway or $route.via then null
		else [.links[] | select(.ifname == $route.dev and segment).ifname][0] end;
	def nats: .saved.config // {} | .nat4, .nat6 | strings | split(",")[];
	def live: .state != "down" and .health == "up";
	def ways: . as $facts | (.routes | INDEX(.dst)) as $routes
		| (.links | INDEX(.ifname)) as $links
		| .saved.services[]? | .mode as $mode | .backends[] | select(live)
		| . + {mode: $mode, route: $routes[.address]}
		| .dev = .route.dev | .link = (if .dev then $links[.dev] else null end)
		| .via = (.route.gateway // .route.via.host) | .runs = (.dev as $dev | $facts | runs($dev));
'

# Who serves: up, with a weight, and healthy, or all of them with fail open.
check_services() {
	ask '.saved.services[]? | .service as $service
		| [.backends[] | select(.state == "up" and .weight > 0)] as $wanted
		| select(any($wanted[]; .health == "up") or (.fail == "open" and ($wanted | length > 0)) | not)
		| [$service, ($wanted[0].backend // ""), (.backends[0].backend // ""),
			(if .backends[0].weight == 0 then " weight 1" else "" end)] | @csv' |
		tr -d '"' | while IFS=, read -r service sick first weight; do
			why="Its packets are dropped."
			if [ -n "$sick" ]; then
				why="$why The checker says that all are down."
				mend="xlb service change $service fail open"
			elif [ -n "$first" ]; then
				why="$why The operator's state is down or drain, or the weight 0, of all."
				mend="xlb backend change $first service $service state up$weight"
			else
				mend="xlb backend add ADDRESS service $service"
			fi
			finding error "$service: no backend takes new flows" "$why" "$mend"
		done
}

check_routes() {
	for address in $(ask "$ways [ways | select(.route == null).address] | unique[]"); do
		finding error "$address: no route to this backend" \
			"Packets for it are dropped, or go up to the kernel, which has none either." \
			"ip route add $address via ROUTER"
	done
}

# Does the kernel answer for it there all the same?
proxied() { # ADDRESS DEV
	{
		ip -j neigh show proxy dev "$2"
		ip -6 -j neigh show proxy dev "$2"
	} 2>/dev/null | jq -es --arg address "$1" 'any(add[]?; .dst == $address)' >/dev/null
}

host_prefix() { # ADDRESS
	case $1 in *:*) echo "$1/128" ;; *) echo "$1/32" ;; esac
}

check_addresses() {
	nats_missing
	vips_unanswered
	vips_unseen
}

# Sources of mode nat that are not this machine's; they are an error where backends of their
# segment have got packets, and nothing came back.
nats_missing() {
	ask "$ways"' . as $facts | [ways | select(.mode == "nat")] as $ways
		| nats | . as $address | contains(":") as $six | $facts | place($address) as $dev
		| select($dev != "ours" and any($ways[]; (.address | contains(":")) == $six))
		| [$ways[] | select(.dev == $dev and .via == null) | "\(.service) \(.backend)"] as $names
		| [.counters[] | select("\(.service) \(.backend)" | IN($names[]))]
		| (if any(.in_packets > 0) and all(.out_packets == 0) then "error" else "warning" end)
		| "\(.) \($address) \($dev // "")"' |
		while read -r severity address dev; do
			what="$address: mode nat gives it, and this machine has no such address"
			if [ -z "$dev" ]; then
				finding notice "$what" \
					"Replies come only from backends with a route to it that leads here." \
					"ip address add $(host_prefix "$address") dev IF"
			elif ! proxied "$address" "$dev"; then
				finding "$severity" "$what" \
					"On its segment nobody here answers for it, so that replies of backends there are lost." \
					"ip address add $(host_prefix "$address") dev $dev"
			fi
		done
}

# Unless somebody else has it, a node that is active say.
vips_unanswered() {
	ask "$ways"' . as $facts | [.saved.services[]?.address] | unique[]
		| select(IN("0.0.0.0", "::") | not) | . as $vip
		| $facts | place($vip) | strings | select(. != "ours") | . as $dev
		| select(any($facts.neighbours[]; .dst == $vip and .lladdr) | not) | "\($vip) \($dev)"' |
		while read -r vip dev; do
			proxied "$vip" "$dev" ||
				finding warning "$vip: nobody here answers for this VIP, which is on the segment of $dev" \
					"Clients and routers there ask who has it. All is well where another node has it for now." \
					"ip address add $(host_prefix "$vip") dev $dev"
		done
}

vips_unseen() {
	ask "$ways"' . as $facts | select(.xlb | length > 0)
		| [.saved.services[]?.address] | unique[] | . as $vip
		| $facts.links[] | select(segment and any(.addr_info[]?; .local == $vip)).ifname
		| . as $dev | $facts | select(runs($dev) | not) | "\($vip) \($dev)"' |
		while read -r vip dev; do
			finding warning "$vip: is on $dev, where xlb is not" \
				"What clients send there goes to this machine itself, which is no server." \
				"xlb load dev $dev"
		done
}

# Of the next hop: the router's where there is one.
check_neighbours() {
	ask "$ways"' (.neighbours | INDEX("\(.dst) \(.dev)")) as $neighbours
		| [ways | select(.link.link_type == "ether")
			| select(.link.flags | index("NOARP") | not)
			| (.via // .address) as $next
			| {next: $next, dev, state: ($neighbours["\($next) \(.dev)"].state // ["NONE"])[0],
				backend, service}]
		| unique_by(.next, .dev)[] | select(.state | IN("FAILED", "INCOMPLETE", "NONE"))
		| "\(.next) \(.dev) \(.state) \(.backend) \(.service)"' |
		while read -r next dev state backend service; do
			case $state in
			NONE)
				finding notice "$next: the kernel keeps no neighbour at $dev" \
					"Packets take the slow way through the stack until it has one." \
					"xlb service warm"
				;;
			*)
				finding error "$next: does not answer at $dev" \
					"Nothing gets there: that host is down, or at another segment." \
					"xlb backend change $backend service $service state down"
				;;
			esac
		done
}

check_segment() {
	ask "$ways"' ways | select(.mode == "dr" and .via)
		| "\(.backend) \(.service) \(.via)"' |
		while read -r backend service via; do
			finding error "$backend: behind a router (via $via)" \
				"Mode dr changes MAC addresses alone, and the router knows no such VIP there." \
				"xlb service change $service mode ipip"
		done
}

check_replies() {
	for dev in $(ask "$ways"' [ways | select(.mode == "dnat" or .mode == "nat")
		| select(.dev and (.runs | not)).dev] | unique[]'); do
		finding error "$dev: backends are there, but xlb is not" \
			"Replies that xlb does not see reach clients from the wrong address." \
			"xlb load dev $dev"
	done
}

# A few packets may be all that has come yet; and not all that speak UDP want an answer.
check_answers() {
	ask '[.saved.services[]? | select(.mode == "dnat").service] as $services
		| .counters[] | select(.service | IN($services[]) and endswith("/tcp"))
		| select(.in_packets >= 100 and .out_packets == 0)
		| "\(.backend) \(.service) \(.in_packets) \(if .address | contains(":") then 6 else 4 end)"' |
		while read -r backend service packets family; do
			finding error "$backend: $packets packets went there, none came back" \
				"Its replies must come by here: its route to the clients leads elsewhere, or it does not answer. Where it can be given no such route, mode nat brings them back." \
				"xlb config set nat$family ADDRESS && xlb service change $service mode nat"
		done
}

# Sends: a connection to the VIP of each backend of the modes in which it needs one.
check_vip() {
	ask "$ways"' ways | select(.mode | IN("dr", "ipip", "gue"))
		| select(.service | endswith("/tcp") and (endswith(":*/tcp") | not)
			and (startswith("*") or startswith("[*]") | not))
		| "\(.service) \((.service | startswith("[")) == (.address | contains(":")))"' |
		sort -u >"$work/vips"
	while read -r service same; do
		[ "$same" = true ] || finding notice "$service: not asked whether its backends have the VIP" \
			"They are of the other family: which address of ours they answer is not known here." \
			"echo probe $service tcp via vip source ADDRESS | xlb-probe -once /dev/stdin"
	done <"$work/vips"
	awk '$2 == "true" { print "probe", $1, "tcp via vip timeout 1" }' "$work/vips" >"$work/probe"
	[ -s "$work/probe" ] || return 0
	xlb-probe -once "$work/probe" 2>"$work/error" >"$work/answers" ||
		finding notice "backends have not been asked for their VIPs" \
			"$(head -n 1 "$work/error")" "xlb-doctor vip"
	while read -r _ _ backend _ service _ health; do
		[ "$health" = down ] || continue
		finding error "$backend: does not answer as $service" \
			"It lacks the VIP, does not unpack, or nothing listens there." \
			"xlb backend change $backend service $service state down"
	done <"$work/answers"
}

# Clients come by interfaces with xlb that lead to no tunnel; else by Ethernet's 1500.
check_mtu() {
	ask "$ways"' . as $facts | [ways | select(.mode == "ipip" or .mode == "gue") | select(.link)
			| .room = ([.route.metrics[]?.mtu, .link.mtu] | map(numbers) | min)
			| .extra = (if .address | contains(":") then 40 else 20 end)
				+ (if .mode == "gue" then 12 else 0 end)] as $tunnels
		| ([.xlb[] | select(.dev != "lo").dev] - [$tunnels[].dev]) as $clients
		| ([.links[] | select(.ifname | IN($clients[])).mtu] | max // 1500) as $large
		| [$tunnels[] | select(.room - .extra < $large)]
		| group_by(.dev)[] | max_by(.extra)
		| "\(.dev) \(.room - .extra) \($large) \($large + .extra)"' |
		while read -r dev room large wanted; do
			finding warning "$dev: its tunnels hold packets of $room bytes, clients send $large" \
				"Larger ones are answered with ICMP errors; who does not heed those hangs. Where not all switches and backends take $wanted, limit the MSS: xlb-decap(8)." \
				"ip link set dev $dev mtu $wanted"
		done
}

# --- how full the maps are ---

# { keyword of xlb load: entries } of the maps here, or nothing where they can't be seen.
sizes() {
	folder=$(ask '[.xlb[].pin | strings][0] // empty')
	[ -n "$folder" ] || return 0
	for map in services4 backends slots flows4 acl4; do
		bpftool -j map show pinned "$folder/xlb_$map" 2>/dev/null
	done | jq -sc 'map(.max_entries) | select(length == 5)
		| {services: .[0], backends: .[1], slots: (.[2] * 16), flows: .[3], rules: .[4]}'
}

# Maps are sized when they are made, by the first load: all that are full at once.
resize() { # SIZES "KEYWORD..."
	folder=$(ask '[.xlb[].pin | strings][0]')
	larger=$(printf '%s\n' "$1" | jq -r --arg names "$2" \
		'reduce ($names | split(" ")[]) as $name (.; .[$name] *= 2)
		| .backends = ([.backends, 65534] | min)
		| to_entries[] | "\(.key) \(.value)"' | tr '\n' ' ')
	devs=$(ask '.xlb[].dev')
	printf 'xlb-save >saved.xlb'
	for dev in $devs; do
		printf ' && xlb unload dev %s' "$dev"
	done
	printf ' && rm %s/xlb_*' "$folder"
	for dev in $devs; do
		printf ' && xlb load dev %s %s' "$dev" "${larger% }"
	done
	printf ' && xlb-restore saved.xlb\n'
}

check_fill() {
	command -v bpftool >/dev/null || {
		finding notice "how full maps are has not been looked at" \
			"There is no bpftool here." "apt-get install bpftool"
		return
	}
	entries=$(sizes)
	[ -n "$entries" ] || return 0
	ask '[.saved.services[]?] as $services
		| {services: ([$services[].address | contains(":")] | group_by(.) | map(length) | max // 0),
			backends: ([$services[].backends[]] | length),
			slots: ([$services[].table | (. + 15) / 16 | floor * 16] | add // 0),
			flows: (.records.records // 0),
			rules: ([.saved.rules[]?.prefix, $services[].rules[]?.prefix]
				| group_by(contains(":")) | map(length) | max // 0)}
		| to_entries[] | select(.value * 10 >= $entries[.key] * 9)
		| "\(.key) \(.value) \($entries[.key])"' --argjson entries "$entries" >"$work/full"
	mend=
	[ ! -s "$work/full" ] || mend=$(resize "$entries" "$(cut -d ' ' -f 1 "$work/full" | paste -sd ' ')")
	while read -r name used room; do
		why="No more can be added than fit; resizing interrupts traffic."
		[ "$name" != flows ] ||
			why="The oldest records give way, and such flows may change their backend."
		finding warning "$name: $used of $room that the maps have room for" "$why" "$mend"
	done <"$work/full"
}
