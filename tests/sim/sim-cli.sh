#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# A seed is one story, whoever plays it and when; another seed is another; a wrong call is refused with 2.
# Usage: sim-cli.sh PENSTOCK_SIM
set -eu

sim=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
        echo "sim-cli: $*" >&2
        exit 1
}

"$sim" run --seed 7 --trace >"$dir/a"
"$sim" run --seed 7 --trace >"$dir/b"
"$sim" run --seed 8 --trace >"$dir/c"
cmp -s "$dir/a" "$dir/b" || fail "the same seed told two stories"
! cmp -s "$dir/a" "$dir/c" || fail "two seeds told the same story"
grep -q 'admitted q1' "$dir/a" || fail "the trace shows no request"
"$sim" run --count 0 >/dev/null || fail "nothing to play is no failure"
"$sim" run --seed 7 --only 3,9 --trace >"$dir/d"
[ "$(grep -c 'admitted q' "$dir/d")" = 2 ] || fail "two of the queries are no two"
# A story that needs no query to break a promise is told with that, too.
"$sim" run --seed 7 --only '' --trace >"$dir/d" || fail "none of the queries is no failure"
! grep -q 'admitted q' "$dir/d" || fail "none of the queries is one"
"$sim" run --queries 0 >/dev/null || fail "an empty story is no failure"

# As JSON: the same figures.
"$sim" run --seed 7 --count 2 >"$dir/text"
"$sim" run --seed 7 --count 2 --json >"$dir/json"
python3 - "$dir/text" "$dir/json" <<'END' || fail "the object of run does not say what its text says"
import json, re, sys
text, said = open(sys.argv[1]).read(), json.load(open(sys.argv[2]))
names = {" submitted": "submitted", " refused": "refused", " raises": "raises", " engine steps": "steps",
         " events": "events", " restarts": "restarts"}
assert (said["seed"], said["count"]) == (7, 2), said
for words, name in names.items():
    assert said[name] == int(re.search(rf"(\d+){words}", text)[1]), (name, said, text)
END

# What cannot be written is told.
printf 'arrival,duration,peak\n0,1,1000000\n' >"$dir/load"
"$sim" run --seed 7 --record "$dir/record" >/dev/null
for args in --help run "run --json" "run --trace" "plan $dir/load" "plan --json $dir/load" "plan --help" \
        "replay $dir/record" "run --record /dev/full"; do
        status=0
        # shellcheck disable=SC2086 # split on purpose
        "$sim" $args >/dev/full 2>"$dir/err" || status=$?
        [ "$status" -eq 1 ] || fail "'$args' on a full disk ended with $status"
        grep -q 'No space left on device' "$dir/err" || fail "'$args' on a full disk said: $(cat "$dir/err")"
done
status=0
"$sim" run --record /dev/full >/dev/null 2>"$dir/err" || status=$?
[ "$status" -eq 1 ] || fail "a record on a full disk ended with $status"

# What was closed stays closed: a record does not get its number, and what is printed there.
"$sim" run --seed 7 --record "$dir/wanted" >/dev/null
for fd in 0 1 2; do
        status=0
        case $fd in
        0) "$sim" run --seed 7 --trace --record "$dir/record" <&- >/dev/null 2>&1 || status=$? ;;
        1) "$sim" run --seed 7 --trace --record "$dir/record" >&- 2>/dev/null || status=$? ;;
        2) "$sim" run --seed 7 --trace --record "$dir/record" >/dev/null 2>&- || status=$? ;;
        esac
        [ "$status" = "$((fd == 1))" ] || fail "without its descriptor $fd it ended with $status"
        cmp -s "$dir/record" "$dir/wanted" || fail "without its descriptor $fd another record was written"
done

for args in "" "walk" "replay" "replay a b" "run --count 2 --record x" "run --seed" "run --seed -1" "run --seed x" "run --queries 1001" "run --count 1.5" "run more" "run --only 41" "run --only 0" \
        "run --json --trace" "replay --seed 1 $dir/record" "replay --trace $dir/record" "replay --record $dir/x $dir/record" \
        "replay --only 1 $dir/record" "replay --count 1 $dir/record" "replay --queries 1 $dir/record"; do
        status=0
        # shellcheck disable=SC2086 # split on purpose
        "$sim" $args >/dev/null 2>&1 || status=$?
        [ "$status" -eq 2 ] || fail "'$args' ended with $status"
done
echo "sim-cli: ok"
