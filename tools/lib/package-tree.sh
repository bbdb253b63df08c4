# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# shellcheck disable=SC2154 # variables that tools/package sets, named at the head
# The tree that packages are built in: Debian as its own build machines have it, with what debian/control asks for, and lintian.
# Made once for a suite and a list of packages. Who builds is a user without rights and without a network, so it stays clean.
# Needs common.sh; expects project_dir, cache, suite. Called with the lock of the suite's tree held.
#
#   $tree/root         the tree
#   $tree/root/build   the builder's home, emptied before and after

# Prints the packages; of alternatives the first. debhelper has names for what it can, which apt does not choose by.
package_tree_packages() {
        echo lintian
        sed -n '/^Build-Depends:/,/^$/{s/^Build-Depends://; /^[A-Z]/q; p}' "$project_dir/debian/control" | tr ',' '\n' |
                sed -e 's/[(<|].*//; s/:any//; s/[[:space:]]//g; s/^debhelper-compat$/debhelper/' -e '/^$/d; /^dh-sequence-/d'
}

# Sets $tree; makes it unless it is there.
package_tree_ensure() {
        local key

        key=$({
                echo "$suite"
                package_tree_packages
                declare -f package_tree_make
        } | short_hash)
        tree=$cache/package-$suite-$key
        if [ ! -e "$tree" ]; then
                find "$cache" -mindepth 1 -maxdepth 1 -name "package-$suite-*" \( -name '*.new' -o -mtime +14 \) \
                        -exec rm -rf --one-file-system {} +
                say "making Debian $suite for building packages (once; a minute or two)"
                timed "Debian tree" package_tree_make
                mv "$tree.new" "$tree"
        fi
        touch "$tree"
        package_tree_empty
}

package_tree_make() {
        mkdir "$tree.new"
        # No mirror is named: mmdebstrap knows where Debian is, or the host's apt configuration says so. What a power failure
        # leaves of the tree is thrown away, so dpkg need not wait for the disk.
        # shellcheck disable=SC2016 # for the hook's shell
        own_mounts mmdebstrap --quiet --variant=buildd --include="$(package_tree_packages | paste -s -d, -)" \
                --dpkgopt=force-unsafe-io \
                --customize-hook='chroot "$1" useradd --create-home --home-dir /build --user-group builder' \
                "$suite" "$tree.new/root" >&2
}

package_tree_empty() {
        find "$tree/root/build" -mindepth 1 -delete
}

# Runs a command as the builder, in a directory below /build. All that it starts ends with it; /tmp and the network are its own
# and empty. Where namespaces are not allowed (some containers), only the user is another.
package_tree_run() { # DIRECTORY COMMAND…
        # Who becomes another user forgets whose death would be his, so it is said again.
        # shellcheck disable=SC2016 # for the inner shell
        local inner='ip link set lo up && mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" &&
                mount -t tmpfs tmpfs "$0/dev/shm" && mount -t tmpfs tmpfs "$0/tmp" &&
                exec chroot "$0" setpriv --reuid builder --regid builder --init-groups --pdeathsig KILL "$@"'
        local namespaces=(--mount --net --ipc --pid --fork --kill-child)
        local run=(env -i "--chdir=$1" PATH=/usr/bin:/bin HOME=/build USER=builder LOGNAME=builder LANG=C.UTF-8
                "DEB_BUILD_OPTIONS=${DEB_BUILD_OPTIONS:-parallel=$(nproc)}" "${@:2}")

        if unshare "${namespaces[@]}" true 2>/dev/null; then
                unshare "${namespaces[@]}" sh -c "$inner" "$tree/root" "${run[@]}" </dev/null
        else
                chroot --userspec=builder "$tree/root" "${run[@]}" </dev/null
        fi
}
