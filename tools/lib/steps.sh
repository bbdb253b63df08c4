# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables shared with tools/test, named at the head
# Steps of a test run: each prints one line with its time, and its log when it failed. Needs common.sh; expects work, a
# directory. Steps may run in parallel.
#
#   $work/tally        a line for each test: "pass NAME", "fail NAME" or "skip NAME: REASON"
#   $work/logs/NAME    what a step printed

steps_begin() {
        mkdir -p "$work/logs"
        : >"$work/tally"
        now_ms steps_start
}

# tally pass|fail|skip NAME. One short line is written at once, so parallel steps don't mix.
tally() {
        printf '%s %s\n' "$1" "$2" >>"$work/tally"
}

count() { # pass|fail|skip
        grep -c "^$1 " "$work/tally" 2>/dev/null || [ -e "$work/tally" ] || echo 0
}

# progress MARK NAME FROM_MS: a line on the terminal. All output is standard output, so that its order is kept.
progress() {
        local now

        now_ms now
        printf '[%4d s] %-4s %s (%d.%d s)\n' $(((now - steps_start) / 1000)) "$1" "$2" \
                $(((now - $3) / 1000)) $(((now - $3) % 1000 / 100))
}

# step NAME COMMAND…: one test. Its status is passed on, so that what depends on it can be left out.
step() {
        local name=$1 begin r=0 log

        shift
        log=$work/logs/${name//[ \/]/-}
        now_ms begin
        "$@" >"$log" 2>&1 </dev/null || r=$?
        if [ $r = 0 ]; then
                tally pass "$name"
                progress ok "$name" "$begin"
        else
                tally fail "$name"
                progress FAIL "$name" "$begin"
                show_log "$log" "$r"
        fi
        return $r
}

show_log() { # FILE STATUS
        printf '         status %s; the end of its log:\n' "$2"
        tail -n 80 "$1" | sed 's/^/         | /'
}

skip() { # NAME REASON
        tally skip "$1: $2"
        printf '%8s skip %s: %s\n' '' "$1" "$2"
}

# Nothing may follow: others read the last line. A FAILURE more is one that could not be written down, as on a full disk.
steps_end() { # [FAILURE]
        local failed died=${1:-}

        failed=$(count fail)
        if [ -n "$died" ]; then failed=$((failed + 1)); fi
        if [ "$failed" -gt 0 ]; then
                printf 'failed:\n'
                sed -n 's/^fail /  /p' "$work/tally"
                if [ -n "$died" ]; then printf '  %s\n' "$died"; fi
        fi
        if [ "$(count skip)" -gt 0 ]; then
                printf 'skipped:\n'
                sed -n 's/^skip /  /p' "$work/tally"
        fi
        printf '%d passed, %d failed, %d skipped\n' "$(count pass)" "$failed" "$(count skip)"
        [ "$failed" = 0 ]
}
