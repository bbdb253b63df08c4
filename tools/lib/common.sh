# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# What every tool here shares: messages, and stages that can be timed, stopped and explained.
# Set before or after sourcing: VERBOSE (0|1), FAIL_STATUS (exit status of fail()).

VERBOSE=${VERBOSE:-0}
FAIL_STATUS=${FAIL_STATUS:-1}

# What tools read of other programs is in English; and who became root by a plain su has no sbin in his path.
export LC_ALL=C.UTF-8
unset LANGUAGE
PATH=${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/sbin:/sbin

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

number() { # OPTION VALUE
        [[ $2 =~ ^[1-9][0-9]{0,8}$ ]] || fail "$1 wants a number above 0, not '$2'"
}

# Ends a process group of ours: by a word first, so that it can tidy up; what is left of it after SEC seconds, by force.
end_group() { # PID SEC
        local end=$((SECONDS + $2))

        kill -TERM -- "-$1" 2>/dev/null || :
        while kill -0 -- "-$1" 2>/dev/null && [ $SECONDS -lt $end ]; do sleep 0.1; done
        kill -KILL -- "-$1" 2>/dev/null || :
}

# own_mounts COMMAND…: what it mounts goes with it, also when it is killed. Where that is not allowed (some containers), nothing is mounted.
own_mounts() {
        if unshare --mount true 2>/dev/null; then unshare --mount "$@"; else "$@"; fi
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

# Sets cache, where trees and images are kept, and makes it.
choose_cache() {
        local home=${HOME:-~} # a unit has none

        cache=$(realpath -m -- "${PENSTOCK_CACHE:-${XDG_CACHE_HOME:-$home/.cache}/penstock}")
        mkdir -p "$cache" || fail "set PENSTOCK_CACHE to where trees and images can be kept"
}

# Keys of caches: the first 16 digits of SHA-256 over standard input.
short_hash() {
        sha256sum | cut -c1-16
}
