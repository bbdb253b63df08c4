# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# shellcheck disable=SC2154 # variables that tools/guest sets, named at the head
# The part of a test guest that does not depend on the project: Debian's tree, its image, kernel and initramfs.
# Made once for a suite, with and without engines and Cockpit. Needs common.sh, install.sh; expects tools_dir, cache, suite, and
# engines and cockpit (0|1).
# Called with the cache's lock held.
#
#   $base/root         the tree; the project is built in it, under /usr/src/penstock
#   $base/root.ext4    its image, as it was before that
#   $base/kernel, $base/initramfs

base_image_size=8G # sparse; what a job can write is this less the tree

# Prints the packages of a suite; of npm with the word npm.
base_packages() { # [npm]
        local kinds="all\|$suite"

        if [ "$engines" = 1 ]; then kinds+='\|engines'; fi
        if [ "$cockpit" = 1 ]; then kinds+='\|cockpit'; fi
        if [ "${1:-}" = npm ]; then kinds=npm; fi
        sed -n -e "s/^\($kinds\)://p" "$tools_dir/guest.d/packages" | tr -s ' ' '\n' | sed '/^$/d'
}

# Sets $base; makes it unless it is there.
base_ensure() {
        local key

        key=$({
                echo "$suite $base_image_size $engines $cockpit"
                base_packages
                base_packages npm
                cat "$tools_dir/guest.d/setup-base" "$tools_dir/guest.d/init" "$tools_dir/lib/guest-base.sh"
        } | short_hash)
        base=$cache/base-$suite-$key
        if [ ! -e "$base" ]; then
                base_remove_old
                say "making Debian $suite for the test guest (once; a minute or two)"
                timed "Debian tree" base_make_tree
                if [ "$engines" = 1 ]; then timed "npm's packages" base_add_npm; fi
                timed "kernel" base_make_kernel
                timed "initramfs" base_make_initramfs
                timed "base image" base_make_image
                mv "$base.new" "$base"
        fi
        touch "$base" # base_remove_old goes by this
}

# Half-made trees (we hold the lock, so nobody is at work on them), and those that were not used for two weeks.
base_remove_old() {
        find "$cache" -mindepth 1 -maxdepth 1 -name 'base-*' \( -name '*.new' -o -mtime +14 \) \
                -exec rm -rf --one-file-system {} +
}

base_make_tree() {
        mkdir "$base.new"
        # No mirror is named: mmdebstrap knows where Debian is, or the host's apt configuration says so.
        own_mounts mmdebstrap --quiet --variant=minbase --include="$(base_packages | paste -s -d, -)" \
                --skip=cleanup/apt/lists \
                --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
                --dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
                --customize-hook="$tools_dir/guest.d/setup-base" \
                "$suite" "$base.new/root" >&2
        # after the hook, mmdebstrap empties it; a fixed one means that no boot is a first boot
        echo 70656e73746f636b6775657374303031 >"$base.new/root/etc/machine-id"
        compgen -G "$base.new/root/var/lib/apt/lists/*_Packages" >/dev/null ||
                fail "apt's package lists are missing in the tree"
}

# Where an administrator of the guest would have them. The host's npm brings them, since the tree has no network.
base_add_npm() {
        local packages log

        command -v npm >/dev/null || need_packages npm
        mapfile -t packages < <(base_packages npm)
        log=$(mktemp)
        if ! npm install --no-fund --no-audit --global --prefix "$base.new/root/usr/local" "${packages[@]}" >"$log" 2>&1; then
                tail -n 30 "$log" >&2
                rm -f "$log"
                fail "npm could not install ${packages[*]}"
        fi
        rm -f "$log"
}

# busybox, our init, and the modules that the root file system needs, in the order of their dependencies.
base_make_initramfs() {
        local root=$base.new/root dir=$base.new/initramfs.d version module file

        version=$(ls "$root/usr/lib/modules")
        mkdir -p "$dir/bin" "$dir/modules"
        cp "$root/usr/bin/busybox" "$dir/bin/"
        cp "$tools_dir/guest.d/init" "$dir/init"
        for module in virtio_pci virtio_blk virtio_console ext4; do
                chroot "$root" modprobe -S "$version" --show-depends "$module"
        done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' | while read -r file; do
                module=${file##*/}
                module=${module%%.*}.ko
                case $file in
                *.xz) xz -dc "$root$file" ;;
                *.zst) zstd -dcq "$root$file" ;;
                *) cat "$root$file" ;;
                esac >"$dir/modules/$module"
                echo "$module"
        done >"$dir/modules/order"
        pack_initramfs "$dir" >"$base.new/initramfs"
        rm -r "$dir"
}

# The kernel without its own unpacking, which costs a second under emulation; QEMU can start that (PVH).
# Trixie's is packed with zstd. What is packed otherwise is taken as it is (bookworm's LZ4 costs little).
base_make_kernel() {
        local packed=$base.new/root/boot/vmlinuz kernel=$base.new/kernel offset

        offset=$(LC_ALL=C grep -obUaP -m 1 '\x28\xb5\x2f\xfd' "$packed" | head -n 1 | cut -d: -f1) || : # it may have none
        # what follows the packed part makes zstd fail, so its status says nothing
        tail -c +$((${offset:-0} + 1)) "$packed" | zstd -dcq >"$kernel" 2>/dev/null || :
        if [ "$(head -c 4 "$kernel")" != $'\x7fELF' ]; then cp "$packed" "$kernel"; fi
}

# Archives can follow each other in one initramfs, but each must be padded to 4 bytes (cpio pads to 512).
pack_initramfs() {
        (cd "$1" && find . -mindepth 1 | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0)
}

base_make_image() {
        mkdir -p "$base.new/root/usr/src/penstock" # where the project's disk is mounted
        make_image "$base.new/root" "$base.new/root.ext4" $base_image_size
}

# make_image DIRECTORY FILE SIZE
make_image() {
        # kept open by nobody and thrown away on a crash, so: no journal, no reserve
        mke2fs -q -t ext4 -O ^has_journal -m 0 -E root_owner=0:0 -d "$1" "$2" "$3" >/dev/null
}
