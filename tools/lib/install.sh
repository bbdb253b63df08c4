# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Installing Debian packages that a tool needs. Needs common.sh.

# need_packages PACKAGE…: install those that are missing, with one line on stderr; silent if all are there.
# Calls fail() when that is not possible. The package lists are only fetched when something is missing.
need_packages() {
        local p log missing=()

        for p in "$@"; do
                # "ii" only: a removed package with its configuration left behind is missing too
                [[ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null)" == ii* ]] || missing+=("$p")
        done
        [ ${#missing[@]} -gt 0 ] || return 0

        command -v apt-get >/dev/null || fail "these Debian packages are needed: ${missing[*]}"
        [ "$(id -u)" = 0 ] || fail "run 'apt-get install ${missing[*]}' as root first"

        say "installing ${missing[*]}"
        log=$(mktemp)
        if ! { apt_patient "$log" update && apt_patient "$log" install --no-install-recommends "${missing[@]}"; }; then
                tail -n 30 "$log" >&2
                rm -f "$log"
                fail "could not install ${missing[*]}"
        fi
        rm -f "$log"
}

# Another apt may be at work on this host, as it is after each boot, so wait for its locks. apt itself waits for that of dpkg alone. In a
# session of its own, since who ends what needs the packages must not end dpkg in the middle of them.
apt_patient() { # LOG WORD…
        local log=$1 end=$((SECONDS + 300))

        shift
        until DEBIAN_FRONTEND=noninteractive setsid --wait apt-get -qq -y -o DPkg::Lock::Timeout=300 "$@" </dev/null >"$log" 2>&1; do
                grep -q 'Could not get lock' "$log" && [ $SECONDS -lt $end ] || return 1
                sleep 3
        done
}
