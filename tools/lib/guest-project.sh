# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# shellcheck disable=SC2154 # variables that tools/guest sets, named at the head
# The part of a test guest that is the project: built in the base tree by chroot, packed into a small disk image
# that the initramfs lays over the base. So a change costs one incremental build and no copy of the whole root.
# Needs common.sh and guest-base.sh; expects tools_dir, project_dir, meson_args, base. Called with the cache's lock held.
#
#   $base/root/usr/src/penstock   source/, build/ (kept between runs), stage/ (what meson install made)
#   $base/variant-*               the same for other options of meson, until they are asked for again
#   $base/project-KEY.ext4        its image

# The project's files, NUL-separated: what git tracks or would track, as it is in the working tree.
project_files() {
        local git=(git -c "safe.directory=$project_dir" -C "$project_dir")

        # the project's own repository, not one that it was unpacked in
        if [ "$("${git[@]}" rev-parse --show-toplevel 2>/dev/null)" = "$project_dir" ]; then
                "${git[@]}" ls-files -z --cached --others --exclude-standard
        else
                (cd "$project_dir" && find . -path './.*' -prune -o -path './build*' -prune -o \( -type f -o -type l \) -printf '%P\0')
        fi | (
                cd "$project_dir" || exit
                while IFS= read -r -d '' f; do
                        # tracked, but deleted in the working tree: not part of it
                        if [ -e "$f" ] || [ -L "$f" ]; then printf '%s\0' "$f"; fi
                done
        ) | LC_ALL=C sort -z -u
}

# One archive that depends on nothing but the files' names, contents and x bits.
project_archive() {
        project_files | tar -c -C "$project_dir" --null --no-recursion --verbatim-files-from -T - \
                --mtime=@0 --owner=0 --group=0 --numeric-owner --mode='u=rwX,go=rX'
}

# Sets $project_image; makes it unless it is there.
project_ensure() {
        local archive=$base/source.tar work=$base/root/usr/src/penstock key

        project_archive >"$archive"
        key=$({
                echo "$meson_args"
                cat "$tools_dir/lib/guest-project.sh" "$tools_dir/guest.d/build-project" "$archive"
        } | short_hash)
        project_image=$base/project-$key.ext4
        if [ ! -e "$project_image" ]; then
                project_select_variant
                timed "source" project_sync
                timed "build" project_build
                timed "project image" make_image "$work" "$project_image.new" 1G
                mv "$project_image.new" "$project_image"
                # old images, but not one that a guest is about to open
                find "$base" -maxdepth 1 -name 'project-*.ext4' -mmin +120 -delete
        fi
        touch "$project_image"
        rm -f "$archive"
}

# Paths in a build directory are absolute, so the one for these options must be where the guest will have it.
project_select_variant() {
        local variant

        variant=$(echo "$meson_args" | short_hash)
        if [ -e "$work/.variant" ] && [ "$(<"$work/.variant")" != "$variant" ]; then
                mv "$work" "$base/variant-$(<"$work/.variant")"
        fi
        if [ ! -e "$work/.variant" ] && [ -d "$base/variant-$variant" ]; then
                rm -rf "$work"
                mv "$base/variant-$variant" "$work"
        fi
        mkdir -p "$work"
        echo "$variant" >"$work/.variant"
}

# Brings source/ up to date with $archive. A file that did not change keeps its time, one that did is new, whatever
# its time is in the working tree (that may be another checkout, or an older version): so ninja builds what it must.
project_sync() {
        local old=$work/source new=$work/source.new

        mkdir -p "$old"
        rm -rf "$new"
        mkdir "$new"
        tar -x -m -C "$new" -f "$archive"
        comm -12 <(project_sums "$old") <(project_sums "$new") | cut -c67- >"$base/unchanged"
        (cd "$old" && xargs -r -d '\n' cp --preserve=timestamps --parents -t "$new") <"$base/unchanged"
        rm -rf "$old"
        mv "$new" "$old"
}

# sha256sum marks names it had to escape with a backslash; those always count as changed.
project_sums() {
        (cd "$1" && find . -type f -print0 | xargs -0 -r sha256sum | sed '/^\\/d' | LC_ALL=C sort)
}

project_build() {
        local args

        read -r -a args <<<"$meson_args"
        cp "$tools_dir/guest.d/build-project" "$work/"
        if ! in_tree /usr/src/penstock/build-project "${args[@]}" >"$base/build.log" 2>&1; then
                tail -n 60 "$base/build.log" >&2
                fail "the project does not build in the guest's tree (all of it: $base/build.log)"
        fi
}

# Runs a command by chroot in the base tree. The mounts are in a namespace of their own and go with it; where that
# is not allowed (some containers), compilers and meson do without.
in_tree() {
        # shellcheck disable=SC2016 # for the inner shell
        local inner='mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" "$@"'
        local run=(env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "$@")

        if unshare --mount true 2>/dev/null; then
                unshare --mount sh -c "$inner" "$base/root" "${run[@]}" </dev/null
        else
                chroot "$base/root" "${run[@]}" </dev/null
        fi
}
