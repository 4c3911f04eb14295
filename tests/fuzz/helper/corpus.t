#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What fuzzing has found, replayed: each input of corpus/ under ASan and UBSan, and under
# what is to hold for it.  ASan reports also what leaks.

cd "$(dirname "$0")" || exit

count=0
failed=0
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

for text in corpus/*.txt; do
	target=$(basename "$text" .txt)
	count=$((count + 1))
	./corpus.py unpack "$text" "$work/$target"
	if "./$target.replay" "$work/$target"/* >"$work/said" 2>&1; then
		echo "ok $count - $target: $(wc -l <"$text") inputs"
	else
		failed=1
		echo "not ok $count - $target: an input fails, that of the last number which is named"
		tail -n 60 "$work/said" | sed 's/^/# /'
	fi
done
echo "1..$count"
exit $failed
