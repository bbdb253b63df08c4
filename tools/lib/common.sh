# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# What every tool here shares: messages, and stages that can be timed, stopped and explained.
# Set before or after sourcing: VERBOSE (0|1), FAIL_STATUS (exit status of fail()).

VERBOSE=${VERBOSE:-0}
FAIL_STATUS=${FAIL_STATUS:-1}

say() {
        printf '%s: %s\n' "${0##*/}" "$*" >&2
}

verbose() {
        if [ "$VERBOSE" = 1 ]; then say "$@"; fi
}

fail() {
        say "$@"
        exit "$FAIL_STATUS"
}

# Milliseconds since the epoch, without a fork.
now_ms() {
        local t=${EPOCHREALTIME/[.,]/}

        printf -v "$1" '%s' "${t%???}"
}

# timed LABEL COMMAND…: with --verbose, says how long COMMAND took. Its status is passed on. COMMAND is not behind "||", where bash
# forgets set -e in all that a function does: a tree of which half was made would pass for a whole one.
timed() {
        local label=$1 begin end r

        shift
        now_ms begin
        "$@"
        r=$?
        now_ms end
        if [ "$VERBOSE" = 1 ]; then
                printf '%s: %6d ms  %s\n' "${0##*/}" $((end - begin)) "$label" >&2
        fi
        return $r
}

# Keys of caches: the first 16 digits of SHA-256 over standard input.
short_hash() {
        sha256sum | cut -c1-16
}
