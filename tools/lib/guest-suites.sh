# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables shared with tools/test, named at the head
# The guest suites of tests/guest, on one or more Debian releases. Needs common.sh, steps.sh; expects tools_dir, work,
# suites, long, slow_parts, here, guest_words; uses guest_pids.

guest_memory=3072
guest_limit=4700 # seconds for all suites in one guest
guest_limit_long=14400
guest_limit_hours=86400 # for a suite that has a guest of its own: soak, and the eight parts of injected with 9000 s each
cockpit_packages=(chromium) # it looks at the page from the host

# Downloading and unpacking Debian takes a while and leaves the processors idle in between, so it goes on beside the
# builds on the host.
guests_prepare() {
        local suite

        set -m
        for suite in "${suites[@]}"; do
                tools/guest --suite "$suite" --engines --build-only
        done >"$work/logs/guests-prepare" 2>&1 </dev/null &
        prepare_pid=$!
        set +m
        guest_pids=("$prepare_pid")
}

# In the short form a part of the slow tests runs, each in one of the guests, by the luck of a seed; with --all each of them does;
# in --long, and when a suite is asked for, all do in each guest.
guests_share() {
        local i seed which="one in $slow_parts of the slow tests runs"

        guest_part=()
        if [ -n "$long" ] || [ "$here" = 1 ] || [ ${#guest_words[@]} -gt 0 ] || [ ${#suites[@]} -lt 2 ]; then return; fi
        seed=${PENSTOCK_TEST_SEED:-$((RANDOM * 32768 + RANDOM))}
        for i in "${!suites[@]}"; do
                guest_part[i]="--seed $seed --part $i/${#suites[@]} --one-in $slow_parts"
        done
        # One guest has the guard in its penstockd, the other penstockd as it is shipped.
        i=$((seed % ${#suites[@]}))
        guest_part[i]+=" --loop-guard"
        if [ "$slow_parts" = 1 ]; then which="each slow test runs"; fi
        say "$which, in one of the guests, by seed $seed (PENSTOCK_TEST_SEED); the loop is guarded on ${suites[i]}"
}

guests_run() {
        local i suite begin

        if [ "$here" = 1 ]; then
                guest_suite here
                return
        fi
        now_ms begin
        # If it failed, each guest tries again and says itself what is wrong.
        wait "$prepare_pid" || :
        progress '' "waited for the guests' trees and builds" "$begin"
        guest_pids=()
        guests_share
        set -m # a process group each, so that cleanup() ends all of it
        for i in "${!suites[@]}"; do
                suite=${suites[i]}
                guest_suite "$suite" "${guest_part[i]:-}" </dev/null &
                guest_pids+=($!)
        done
        set +m
        for i in "${!suites[@]}"; do
                wait "${guest_pids[i]}" || tally fail "${suites[i]}: what the guest said was counted"
        done
        guest_pids=()
        if [ ${#guest_words[@]} -gt 0 ]; then return; fi
        # In the background, or a signal would wait for what takes hours.
        set -m
        guests_after </dev/null &
        guest_pids=($!)
        set +m
        wait "${guest_pids[0]}" || tally fail "what later guests said was counted"
        guest_pids=()
}

# One after the other, when the first ones have ended.
guests_after() {
        guests_without_psi
        if [ -n "$long" ]; then
                guests_cockpit
                guests_sanitized
                guests_packages
                guests_alone injected
                guests_alone soak
        fi
}

# A host that boots with psi=0 (or whose kernel has no pressure stall information) is another for the governor, and nothing
# else: one guest more, for what it judges by. The newest release alone, unless all is wanted.
guests_without_psi() {
        local suite

        guest_words=(growth --match 'grows by doubling|whatever its way')
        for suite in "${suites[@]}"; do
                PENSTOCK_KERNEL_ARGS="psi=0 ${PENSTOCK_KERNEL_ARGS:-}" guest_suite "$suite" '' "$suite-psi=0"
                if [ -z "$long" ]; then break; fi
        done
        guest_words=()
}

# The page for Cockpit. The two releases have another bridge each: Debian 12's is a C program, Debian 13's is Python.
guests_cockpit() {
        local suite name begin r log

        for suite in "${suites[@]}"; do
                name=$suite-cockpit log=$work/logs/guest-$suite-cockpit
                now_ms begin
                r=0
                tests/cockpit/run --suite "$suite" 2>&1 </dev/null | tee "$log" | guest_show_lines "$name" || r=${PIPESTATUS[0]}
                guest_judge "$name" "$log" "$r" "$begin"
        done
}

# All that is installed there built with ASan and UBSan. tests/guest/lib/sanitized.py says which suites are left out, and why. Each
# query takes four times as long, so it is the short form, all of it on each release.
guests_sanitized() {
        local suite long='' guest_limit=$guest_limit_long

        for suite in "${suites[@]}"; do
                PENSTOCK_MESON_ARGS="${PENSTOCK_MESON_ARGS:-} -Db_sanitize=address,undefined -Db_lundef=false" \
                        guest_suite "$suite" '' "$suite-sanitized"
        done
}

# Debian packages, built and tried on plain Debian.
guests_packages() {
        local suite

        for suite in "${suites[@]}"; do
                guest_watch "$suite-packages" tools/package --suite "$suite" --out "$work/packages" --test
        done
}

# Hours in one guest: nothing else is to run beside it, or it would take the others' time.
guests_alone() { # SUITE-OF-TESTS
        local suite guest_words=("$1") guest_limit_long=$guest_limit_hours

        for suite in "${suites[@]}"; do guest_suite "$suite" '' "$suite-$1"; done
}

# One guest, or this host, from boot to its last line.
guest_suite() { # SUITE|here [WORDS [NAME]]
        local suite=$1 name=${3:-$1} limit=$guest_limit command part

        read -r -a part <<<"${2:-}"
        if [ -n "$long" ]; then limit=$guest_limit_long; fi
        if [ "$suite" = here ]; then
                command=(tests/guest/run)
        else
                command=(tools/guest --suite "$suite" --engines --memory "$guest_memory" --timeout "$limit"
                        --keep-console "$work/logs/console-$name" -- /usr/src/penstock/source/tests/guest/run)
        fi
        guest_watch "$name" "${command[@]}" ${long:+--long} "${part[@]}" "${guest_words[@]}"
}

# Shows what a command says about suites in a guest, and counts it.
guest_watch() { # NAME COMMAND…
        local name=$1 begin r=0 log

        shift
        log=$work/logs/guest-$name
        now_ms begin
        # Under set -e and pipefail a failing guest would end this shell before it is judged.
        "$@" 2>&1 </dev/null | tee "$log" | guest_show_lines "$name" || r=${PIPESTATUS[0]}
        guest_judge "$name" "$log" "$r" "$begin"
}

# A line on the terminal for each test, as it ends.
guest_show_lines() { # SUITE
        local line now

        while IFS= read -r line; do
                now_ms now
                case $line in
                'ok - '*'# SKIP'*) printf '[%4d s] skip %s %s\n' $(((now - steps_start) / 1000)) "$1" "${line#ok - }" ;;
                'ok - '*) printf '[%4d s] ok   %s %s\n' $(((now - steps_start) / 1000)) "$1" "${line#ok - }" ;;
                'not ok - '*) printf '[%4d s] FAIL %s %s\n' $(((now - steps_start) / 1000)) "$1" "${line#not ok - }" ;;
                esac
        done
}

# Counts what a guest said. One that did not come to its end is a failure of its own, whatever it said before.
guest_judge() { # SUITE LOG STATUS FROM_MS
        local suite=$1 log=$2 r=$3 line

        while IFS= read -r line; do
                case $line in
                'ok - '*'# SKIP'*)
                        line=${line#ok - }
                        tally skip "$suite: ${line%% # SKIP*}: ${line##*# SKIP }"
                        ;;
                'ok - '*) tally pass "$suite: ${line#ok - }" ;;
                'not ok - '*) tally fail "$suite: ${line#not ok - }" ;;
                esac
        done <"$log"
        if ! grep -q '^# all suites ended' "$log"; then
                tally fail "$suite: the suites came to their end"
                progress FAIL "$suite: status $r before the suites had ended" "$4"
                show_log "$log" "$r"
        elif [ "$r" = 0 ]; then
                progress ok "$suite: guest suites" "$4"
        else
                progress FAIL "$suite: guest suites" "$4"
                # What belongs to each failure, with what was noted before it, and the seed
                awk '/^# seed / {print}
                        /^ok - / {on = n = 0; next}
                        /^not ok - / {on = 1; for (i = n > 20 ? n - 20 : 0; i < n; i++) print before[i]; n = 0}
                        on {print; next}
                        {before[n++] = $0}' "$log" | sed "s/^/         | /"
                if ! grep -q '^not ok' "$log"; then tally fail "$suite: the runner's status is $r"; fi
        fi
}
