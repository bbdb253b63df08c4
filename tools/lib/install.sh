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
        if ! { apt_quiet update && apt_quiet install --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
                tail -n 30 "$log" >&2
                rm -f "$log"
                fail "could not install ${missing[*]}"
        fi
        rm -f "$log"
}

# Another apt may be at work on this host, so wait for its lock.
apt_quiet() {
        DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 "$@" </dev/null
}
