# SPDX-License-Identifier: GPL-2.0-only
# The screen of xlb-top.  It reads messages, and prints a screen for each that changes it:
#   {at, shown}     what xlb has counted after so many seconds, as [backends, stats]
#   {size}          rows and columns of the terminal
#   {key}           a key that has been pressed
# Given are $sort, $interval, $columns, $ascii and $plain: plain text, all rows.

include "table";

# Places in a list of counters or rates.
def counters: [.in_packets, .in_bytes, .out_packets, .out_bytes, .connections];

def snapshot:
	.shown as [$backends, $stats]
	| {
		at,
		drops: $stats.drops,
		services: $stats.services | map({service, backends: [.backends[].backend]}),
		known: [$backends[] | {key: "\(.service) \(.backend)",
			value: {counts: counters, standing: standing}}] | from_entries
	};

def sum: if length == 0 then [0, 0, 0, 0, 0] else transpose | map(add) end;

# What has come from one snapshot to the next, per second: of each backend, of services as
# the sum of their backends (which loses nothing when one of these goes), and of all.
def tick($before; $now):
	($now.at - $before.at) as $seconds
	| {from: $before.at, to: $now.at, drops: ($now.drops
		| with_entries(.value = (.key as $reason | .value
			| grown($before.drops[$reason] // 0) / $seconds))),
	   rates: ($now.known | with_entries(.value = ($before.known[.key].counts as $old
		| .value.counts | [range(5) as $i | .[$i] | grown($old[$i] // 0) / $seconds])))}
	| reduce $now.services[] as {$service, $backends} (.;
		.rates[$service] = ([.rates[$backends[] | "\($service) \(.)"]] | sum))
	| .rates[""] = ([.rates[$now.services[].service]] | sum);

# --- what the screen shows of rates, which may be null ---

def directed($direction; $in; $out):
	(if $direction != "out" then .[$in] else 0 end)
	+ (if $direction != "in" then .[$out] else 0 end);

def measure($kind; $direction):
	if . == null then null
	elif $kind == "connections" then .[4]
	elif $kind == "bits" then 8 * directed($direction; 1; 3)
	else directed($direction; 0; 2) end;

def number: if . == null then "-" else short end;

# Blocks of an eighth and more; what is left of a whole one is blank.
def bar($share; $width):
	if $ascii then "#" * ($share * $width | round) // ""
	else ($share * $width * 8 | round) as $eighths
		| ("█" * ($eighths / 8 | floor) // "")
		+ ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][$eighths % 8]
	end;

# The last minute, a character for so many seconds of it: the most of what falls into them.
def sparkline($name; $width):
	.sort as $sort | .direction as $direction
	| (if $sort == "name" then "packets" else $sort end) as $kind
	| [.ticks[] | {from, to, value: (.rates[$name] | measure($kind; $direction))}] as $ticks
	| ($ticks | map(.value // 0) | max) as $most
	| .now.at as $last
	| (if $ascii then "_.:-=+*#" else "▁▂▃▄▅▆▇█" end) as $levels
	| [range($width) as $cell
		| ($last - 60 + $cell * 60 / $width) as $start
		| [$ticks[] | select(.to > $start and .from < $start + 60 / $width).value | values]
		| if length == 0 then " "
		  elif $most == 0 then $levels[:1]
		  else (max / $most * 7 | ceil) as $level | $levels[$level:$level + 1] end]
	| add;

def sorted(name):
	.sort as $sort | .direction as $direction | .ticks[-1].rates as $rates
	| if $sort == "name" then name
	  else name | sort_by(-($rates[.key] | measure($sort; $direction) // 0)) end;

# Services and their backends in order: {key, name, standing, whole}, the last being what
# its bar is a part of.
def listed:
	. as $state
	| ($state | sorted([.now.services[] | {key: .service, backends}]))[]
	| . as {key: $service}
	| {key, name: $service, standing: "", whole: ""},
	  (if $state.brief then empty else
		.backends | map({key: "\($service) \(.)", name: "  \(.)", whole: $service}) as $rows
		| $state | sorted($rows)[]
		| .standing = $state.now.known[.key].standing
	  end);

# How wide the name, the bar and the last minute are: 33 columns are for the rest.
def widths($rows):
	([.cols, 64] | max) as $cols
	| ([[24, ($rows[].name | length)] | max, $cols - 33 - 6 - 10] | min) as $name
	| ($cols - 33 - $name) as $left
	| {name: $name, bar: ([6, ($left / 2 | floor)] | max | [., 20] | min)}
	| .spark = ([$left - .bar - 1, 60] | min);

def line($widths; $name; $standing; $numbers; $bar; $spark):
	($name[:$widths.name] | left($widths.name)) + ($standing | right(8))
	+ ($numbers | map(right(8)) | add) + " " + ($bar | left($widths.bar)) + " " + $spark;

def row($widths):
	. as {$state, row: {$key, $name, $standing, $whole}}
	| $state
	| .direction as $direction
	| .ticks[-1].rates as $rates
	| (if .sort == "name" then "packets" else .sort end) as $kind
	| ($rates[$whole] | measure($kind; $direction)) as $all
	| line($widths; $name; $standing;
		["packets", "bits", "connections" | . as $kind | $rates[$key] | measure($kind; $direction)
			| number];
		if ($all // 0) > 0 then bar(($rates[$key] | measure($kind; $direction)) / $all;
			$widths.bar) else "" end;
		$state | sparkline($key; $widths.spark));

# --- the screen: lines, each [TEXT, STYLE] with a number of ANSI's ---

def counted($word): if . == 1 then "1 \($word)" else "\(.) \($word)s" end;

def summary:
	.direction as $direction
	| .ticks[-1] as $tick
	| def rate($kind): $tick.rates[""] | measure($kind; $direction) | number;
	["xlb-top \(now | strflocaltime("%H:%M:%S"))  \(.now.services | length | counted("service")), "
		+ "\(.now.known | length | counted("backend")), every \($interval) s, by \(.sort)", 0],
	["all: \(rate("packets")) packets/s, \(rate("bits")) bits/s, \(rate("connections")) "
		+ "connections/s, \({both: "in and out", in: "in", out: "out"}[$direction])", 0],
	["dropped/s: " + ($tick.drops // {} | to_entries | map(select(.value > 0))
		| sort_by(-.value) | map("\(.key) \(.value | short)") | join(", ")
		| if . == "" then "none" else . end), 0];

def body($rows; $first; $room):
	. as $state
	| widths($rows) as $widths
	| [line($widths; ""; "state"; ["pkt/s", "bit/s", "conn/s"]; "share"; "last minute"), 7],
	  ($rows[$first:$first + $room][]
		| [({$state, row: .} | row($widths)), (if .whole == "" then 1 else 0 end)]);

# Rows that there is room for, beside three lines above, the heading and the hints.
def room: [.rows - 5, 1] | max;

def hints($more):
	"q quit  p b c n sort  d direction  s services only"
	+ if $more > 0 then "  j k scroll (\($more) more)" else "" end;

def text:
	[listed] as $rows
	| (summary, body($rows; 0; $rows | length) | .[0] | sub(" +$"; "") + "\n"), "\n";

# Goes over the former screen, and clears what is left of it.
def screen:
	[listed] as $rows
	| ([.first, ($rows | length) - room] | [min, 0] | max) as $first
	| .cols as $cols
	| [summary, body($rows; $first; room), (range(room - ($rows | length)) | ["", 0]),
		[hints(($rows | length) - room), 0]][:.rows]
	| "\u001b[H" + (map("\u001b[\(.[1])m\(.[0][:$cols])\u001b[m\u001b[K") | join("\n")) + "\u001b[J";

# --- what messages do ---

def scroll($by):
	([listed] | length) as $count
	| .first = ([[.first + $by, $count - room] | min, 0] | max);

def pressed($key):
	{p: "packets", b: "bits", c: "connections", n: "name"}[$key] as $sort
	| if $sort then .sort = $sort
	  elif $key == "d" then .direction = {both: "in", in: "out", out: "both"}[.direction]
	  elif $key == "s" then .brief = (.brief | not) | .first = 0
	  elif $key == "j" then scroll(1)
	  elif $key == "k" then scroll(-1)
	  elif $key == "f" then scroll(room)
	  elif $key == "r" then scroll(-room)
	  else . end;

def come($now):
	if .now then .ticks += [tick(.now; $now)] else . end
	| .now = $now
	| .ticks |= map(select(.to > $now.at - 60));

foreach inputs as $message (
	{ticks: [], sort: $sort, direction: "both", brief: false, first: 0, rows: 24, cols: $columns};
	if $message.size then .rows = $message.size[0] | .cols = $message.size[1]
	elif $message.key then (if .now then pressed($message.key) else . end)
	else come($message | snapshot) end;
	if $plain then select(.ticks != []) | text else select(.now) | screen end)
