#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What was recorded is decided the same again; what was changed is found.
# Usage: sim-replay.sh PENSTOCK_SIM
set -eu

sim=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
        echo "sim-replay: $*" >&2
        exit 1
}

# refused NAME WORD: the replay of $dir/NAME ends with 1 and says WORD.
refused() {
        status=0
        "$sim" replay "$dir/$1" >"$dir/said" 2>&1 || status=$?
        if [ "$status" != 1 ] || ! grep -q "$2" "$dir/said"; then
                cat "$dir/said" >&2
                fail "$1: status $status, wanted 1 and '$2'"
        fi
}

base=${PENSTOCK_SIM_SEED:-$(date +%s%N | cut -c1-16)}
echo "sim-replay: seeds 1 to 30, and 30 from $base"
# The first has a reload between a raise and its write, the second a write answered after the end of its query.
for seed in 600114 1795597288978867 $(seq 1 30) $(seq "$base" $((base + 29))); do
        "$sim" run --seed "$seed" --record "$dir/trace" >/dev/null
        "$sim" replay "$dir/trace" >"$dir/said" || fail "seed $seed: $(cat "$dir/said")"
done
grep -q 'the same again' "$dir/said" || fail "it says nothing"

"$sim" run --seed 1 --record "$dir/good" >/dev/null
"$sim" replay --json "$dir/good" >"$dir/json"
python3 - "$dir/json" "$(grep -c '^e ' "$dir/good")" "$(grep -c '^a ' "$dir/good")" <<'END' || fail "the object: $(cat "$dir/json")"
import json, sys
said = json.load(open(sys.argv[1]))
assert (said["events"], said["actions"]) == tuple(map(int, sys.argv[2:])), said
assert 0 < said["promised_peak_bytes"] <= said["budget_bytes"], said
END
n=$(wc -l <"$dir/good")
[ "$n" -gt 100 ] || fail "the record has $n lines"

sed '0,/^a execute/{/^a execute/d}' "$dir/good" >"$dir/one-action-less"
refused one-action-less 'the engine asks for'
sed '0,/^\(a start-unit .*\)/s//\1\n\1/' "$dir/good" >"$dir/one-action-more"
refused one-action-more 'the engine'
sed '0,/^\(a [a-z-]* [0-9]* limits.max_bytes=\)[0-9]*/s//\14096/' "$dir/good" >"$dir/another-limit"
refused another-limit 'limits.max_bytes=4096'
sed '0,/^\(e .* limits .*limits.max_bytes=\)[0-9]*/s//\11000000000000000/' "$dir/good" >"$dir/over-budget"
refused over-budget 'the budget is'
sed '/^start/d' "$dir/good" >"$dir/no-start"
refused no-start 'before the start'
sed '1d' "$dir/good" >"$dir/no-header"
refused no-header 'no header'
sed '1s/1$/2/' "$dir/good" >"$dir/other-version"
refused other-version 'not a line of a trace'
: >"$dir/empty"
refused empty 'no start'
head -c 4096 /dev/zero >"$dir/zeros"
refused zeros 'a NUL'
refused missing 'No such file'
refused . 'Is a directory'
# A line without an end takes no memory, and is no service that was killed in the middle of one.
{ cat "$dir/good" && head -c 100000 /dev/zero | tr '\0' x; } >"$dir/endless"
refused endless 'longer than any of a trace'

# Whoever made a file does not write to the terminal of who looks at it.
{ cat "$dir/good" && printf 'e 5 \033[31mred\302\233\377\n'; } >"$dir/colours"
refused colours 'e 5 .x1b.31mred.xc2.x9b.xff$'

# What is taken over is looked at first, as penstockd does: the engine trusts it. No such record has a state of 30.
adopt='e 5 adopt 7 spec.language=sim initial_bytes=4096 max_bytes=4096'
sed "/^start/q" "$dir/good" >"$dir/head"
{ cat "$dir/head" && echo "$adopt state=30"; } >"$dir/no-state"
refused no-state 'query 7 is known already, or cannot be'
{ cat "$dir/head" && echo "$adopt" && echo "$adopt"; } >"$dir/twice"
refused twice 'query 7 is known already, or cannot be'

# A service that was killed leaves half a line, and perhaps not all that its last step asked for.
head -c $(($(wc -c <"$dir/good") / 2)) "$dir/good" >"$dir/half"
"$sim" replay "$dir/half" >/dev/null || fail "half a trace is a trace"
echo "sim-replay: ok"
