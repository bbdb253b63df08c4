#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# penstock-sim plan: loads whose outcome can be told without it.
set -euo pipefail

sim=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
        printf '%s\n' "$*" >&2
        exit 1
}

plan() { # the values of a plan's columns: COLUMN… -- ARGUMENT…; the load is standard input
        local -a names=()

        while [ "$1" != -- ]; do
                names+=("$1")
                shift
        done
        shift
        "$sim" plan --memory 4G "$@" - >"$dir/out" 2>"$dir/err" || fail "plan $* ended with $?: $(cat "$dir/err")"
        awk -F, -v want="${names[*]}" '
                NR == 1 { n = split(want, w, " "); for (i = 1; i <= NF; i++) at[$i] = i; next }
                /^#/ { print; next }
                { for (i = 1; i <= n; i++) printf "%s%s", $at[w[i]], i < n ? " " : "\n" }' "$dir/out"
}

expect() { # WHAT EXPECTED SEEN
        [ "$2" = "$3" ] || fail "$1: expected '$2', not '$3'"
}

four=$'peak,name,arrival,duration\n10M,a,0,10\n10M,b,0,10\n\n10M,c,0,10\n10M,d,0,10\n'

# One after the other, or two at a time; the best is named.
seen=$(plan finished makespan_sec wait_median_sec wait_longest_sec per_minute -- --set ConcurrencyQuota=1,2 <<<"$four")
expect "four in turn" $'4 40.000 10.000 30.000 6.000\n4 20.000 0.000 10.000 12.000\n# best: ConcurrencyQuota=2' "$seen"

# What changes nothing makes none the best.
seen=$(plan finished -- --set WarmUnits=0,8 <<<"$four")
expect "a key that plays no part" $'4\n4\n# best: all the same' "$seen"
seen=$(plan finished -- --set ConcurrencyQuota=1,2 --set WarmUnits=0,8 <<<"$four")
expect "a key that plays no part beside another" \
        $'4\n4\n4\n4\n# best: ConcurrencyQuota=2 WarmUnits=0\n# best: ConcurrencyQuota=2 WarmUnits=8' "$seen"

# All combinations, the last key first.
seen=$(plan ConcurrencyQuota QueueSize finished refused -- --set ConcurrencyQuota=1,2 --set QueueSize=0,1 <<<"$four")
expect "combinations" $'1 0 1 3\n1 1 2 2\n2 0 2 2\n2 1 3 1\n# best: ConcurrencyQuota=2 QueueSize=1' "$seen"

# Raised as it grows, never beyond its maximum, and ended there.
seen=$(plan finished at_maximum by_budget makespan_sec raises held_most_bytes -- --set InitialMemoryBytesQuotaPerQuery=64M \
        --set MemoryBytesQuotaPerQuery=256M --set MaxMemoryBytes=1G --set ConcurrencyQuota=1 <<<$'arrival,duration,peak\n0,10,512M\n')
expect "over its maximum" "0 1 0 $(awk 'BEGIN { printf "%.3f", 5 * 255 / 511 }') 2 268435456" "$seen"

# 75 MiB in the mean while it grows (from 1 to 149 MiB in 5 s), and then 149: over 10 s (75 + 149) / 2.
seen=$(plan finished used_mean_bytes -- --set MaxMemoryBytes=1G <<<$'arrival,duration,peak\n5,10,149M\n')
expect "its use" "1 $((112 * 1048576))" "$seen"
seen=$(plan used_mean_bytes -- --growth 0 --set MaxMemoryBytes=1G <<<$'arrival,duration,peak\n5,10,149M\n')
expect "its use, all at once" "$((149 * 1048576))" "$seen"

# All at once they meet memory.high first, as the kernel has it, and are raised; what is frozen uses no more than it holds.
seen=$(plan finished by_budget -- --memory 64G --growth 0 --set MaxMemoryBytes=8G <<<$'arrival,duration,peak\n0,10,100M\n0,10,65M\n0,10,63M\n')
expect "all at once, with memory to spare" "3 0" "$seen"

# Eight that each need more than half of the pool: one after the other, frozen in between, and none is lost.
eight=$'arrival,duration,peak\n'
for _ in 0 1 2 3 4 5 6 7; do eight+="0,20,600M"$'\n'; done
seen=$(plan finished by_budget refused -- --set ConcurrencyQuota=8 --set InitialMemoryBytesQuotaPerQuery=8M \
        --set MemoryBytesQuotaPerQuery=640M --set MaxMemoryBytes=1G <<<"$eight")
expect "eight that each need 60 % of the budget" "8 0 0" "$seen"
read -r finished used held < <(plan finished used_mean_bytes held_mean_bytes -- --growth 0 --set ConcurrencyQuota=8 \
        --set InitialMemoryBytesQuotaPerQuery=8M --set MemoryBytesQuotaPerQuery=640M --set MaxMemoryBytes=1G <<<"$eight")
expect "eight that need it at once" 8 "$finished"
[ "$used" -le "$held" ] || fail "eight that need it at once used $used and held $held"
seen=$(plan finished by_budget -- --set ConcurrencyQuota=8 --set InitialMemoryBytesQuotaPerQuery=8M \
        --set MemoryBytesQuotaPerQuery=640M --set MaxMemoryBytes=1G --set ExhaustionPolicy=fail <<<"$eight")
[ "${seen%% *}" -lt 8 ] || fail "with ExhaustionPolicy=fail all ended well: $seen"

# As JSON: an array of what the lines of the CSV say, whatever a value has in it.
"$sim" plan --memory 4G --set MetricLabelKeys=a,b --set ConcurrencyQuota=1,2 --json - <<<"$four" >"$dir/json"
"$sim" plan --memory 4G --set MetricLabelKeys=a,b --set ConcurrencyQuota=1,2 - <<<"$four" >"$dir/csv"
python3 - "$dir/csv" "$dir/json" <<'END' || fail "the array does not say what the lines say: $(cat "$dir/json")"
import csv, json, sys
rows = list(csv.DictReader(line for line in open(sys.argv[1]) if not line.startswith("#")))
plans = json.load(open(sys.argv[2]))
assert len(rows) == len(plans) == 4, plans
for row, plan in zip(rows, plans):
    plan.update(plan.pop("settings"))
    assert {k: float(v) if k != "MetricLabelKeys" else v for k, v in row.items()} \
        == {k: float(v) if k != "MetricLabelKeys" else v for k, v in plan.items()}, (row, plan)
END
# The same one five times: each is raised to 512M in three steps, or only the first is. One that is another is raised, too.
five=$'query,arrival,duration,peak\n'
for _ in 1 2 3 4 5; do five+="a b,0,10,300M"$'\n'; done
seen=$(plan finished raises -- --set ConcurrencyQuota=1 --set MaxMemoryBytes=1G --set InitialQuota=fixed,learned <<<"$five")
expect "what was learned" $'5 15\n5 3' "$(head -n 2 <<<"$seen")"
seen=$(plan raises -- --set ConcurrencyQuota=1 --set MaxMemoryBytes=1G --set InitialQuota=learned <<<"${five}c,0,10,300M"$'\n,0,10,300M')
expect "what others learned" 9 "$seen"

refuses() { # STATUS WORDS INPUT ARGUMENT…
        local status=$1 words=$2 input=$3 r=0

        shift 3
        "$sim" plan "$@" >"$dir/out" 2>&1 <<<"$input" || r=$?
        expect "the status of plan $*" "$status" "$r"
        grep -qF -- "$words" "$dir/out" || fail "plan $* does not say '$words': $(cat "$dir/out")"
}

refuses 1 'line 1: no column is named "peak"' 'arrival,duration' -
refuses 1 'line 2: peak "much" is no size' $'arrival,duration,peak\n0,1,much' -
refuses 1 'line 3: duration "-1" is no number of seconds' $'arrival,duration,peak\n0,1,1M\n0,-1,1M' -
refuses 1 'line 2: peak "\x1b[31mred" is no size' $'arrival,duration,peak\n0,1,\e[31mred' -
refuses 1 'line 2: a field is quoted ("\x1b[31mred)' $'arrival,duration,peak\n"\e[31mred,1,1M' -
refuses 1 'line 2: arrival "nan" is no number' $'arrival,duration,peak\nnan,1,1M' -
refuses 1 'line 2: it has not as many fields' $'arrival,duration,peak\n0,1' -
refuses 1 'line 2: it has not as many fields' $'arrival,duration,peak,query\n0,1,1M' -
refuses 1 'line 3: it has more fields' $'arrival,duration,peak,query\n0,1,1M,a b\n0,1,1M,select x, a' -
refuses 1 'line 2: it has more fields' $'arrival,duration,peak\n0,1,1M,' -
refuses 1 'line 3: a field is quoted ("select x)' $'arrival,duration,peak,query\n0,1,1M,a b\n0,1,1M,"select x, a"' -
refuses 1 'line 1: a field is quoted ("arrival")' $'"arrival",duration,peak\n0,1,1M' -
refuses 1 'there is no query' $'arrival,duration,peak' -
refuses 1 'No such file' '' "$dir/nothing"
refuses 1 '[Controller] has no key "Nonsense"' "$four" --set Nonsense=1 -
refuses 1 'ConcurrencyQuota=many' "$four" --set ConcurrencyQuota=many -
refuses 2 'penstock-sim plan' "$four" --set ConcurrencyQuota -
refuses 2 'penstock-sim plan' "$four" --growth 101 -
refuses 2 'penstock-sim plan' "$four" --memory 0 -
refuses 2 'penstock-sim plan' "$four" --memory infinity -
refuses 2 'penstock-sim plan' "$four"

# Nothing is played before all can be.
for options in '--set ConcurrencyQuota=1,many' '--set ConcurrencyQuota=1,many --json'; do
        # shellcheck disable=SC2086 # words
        if "$sim" plan $options - <<<"$four" >"$dir/out" 2>"$dir/err"; then fail "plan $options ended with 0"; fi
        expect "what plan $options prints beside the error" "" "$(cat "$dir/out")"
done
