# SPDX-License-Identifier: GPL-2.0-only
# What the tables of xlb-stat and xlb-top share.

def left($width): . + " " * ($width - length);
def right($width): " " * ($width - length) + .;
def tenths: . * 10 | round / 10;

# A number in four digits and a letter at most.
def short:
	. as $n
	| [["", 1], ["k", 1e3], ["M", 1e6], ["G", 1e9], ["T", 1e12], ["P", 1e15], ["E", 1e18]]
	| map(select($n < .[1] * 9999.5))[0]
	| ($n / .[1] | if . < 100 then tenths else round end | tostring) + .[0];

# What a counter has gained; one that is less than before began anew.
def grown($before): if . < $before then . else . - $before end;

# How a backend stands, in a word.
def standing:
	if .health == "down" then "failed" elif .warm < 100 then "warming" else .state end;
