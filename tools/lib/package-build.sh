# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables shared with tools/package, named at the head
# Source package, packages, and what lintian says about them. Needs common.sh, guest-project.sh (project_archive),
# package-tree.sh; expects project_dir, suite, tree, tmp, out; sets version.

# What a release has to say beside what debian/changelog says: a package of Debian 12 is older than the same one of Debian 13, so
# that it is exchanged with the release.
package_release() { # prints SUFFIX NUMBER
        case $suite in
        bookworm) echo '~deb12+1 12' ;;
        trixie) echo '~deb13+1 13' ;;
        esac
}

# What lintian says, and does not count. No bug of Debian's asks for these packages; and Debian 12's lintian knows no Policy that
# came after it.
package_lintian_leaves=(initial-upload-closes-no-bugs newer-standards-version)

# package_log LABEL COMMAND…: the end of what it says is shown when it fails.
package_log() {
        local log=$tree/$1.log label=$1

        shift
        if ! timed "$label" package_to_log "$log" "$@"; then
                tail -n 80 "$log" >&2
                fail "$suite: $label failed (all of it: $log)"
        fi
}

package_to_log() { # FILE COMMAND…
        local log=$1

        shift
        "$@" >"$log" 2>&1
}

# The project without debian/ as the original tarball, and beside it the directory in which its packages are built.
package_source() {
        local suffix release upstream date

        read -r suffix release < <(package_release)
        version=$(sed -n '1s/^[^(]*(\([^)]*\)).*/\1/p' "$project_dir/debian/changelog")
        upstream=${version%-*}
        version=$version$suffix
        date=$(sed -n '/^ -- /{s/.*>  //p;q}' "$project_dir/debian/changelog")

        build=penstock-$upstream
        mkdir "$tmp/$build"
        project_archive | tar -x -m -C "$tmp/$build"
        package_changelog "$suite" "Built for Debian $release."
        find "$tmp/$build" -exec touch -h -d "$date" {} +
        tar -c -C "$tmp" --sort=name --owner=0 --group=0 --numeric-owner --exclude="$build/debian" "$build" |
                xz >"$tmp/penstock_$upstream.orig.tar.xz"
        package_to_builder "$tmp/$build" "$tmp/penstock_$upstream.orig.tar.xz"
}

# An entry for $version above the others, of the same people, a minute later.
package_changelog() { # DISTRIBUTION TEXT
        local file=$tmp/$build/debian/changelog people date

        people=$(sed -n '/^ -- /{s/>  .*/>/p;q}' "$file")
        date=$(sed -n '/^ -- /{s/.*>  //p;q}' "$file")

        {
                printf 'penstock (%s) %s; urgency=medium\n\n  * %s\n\n' "$version" "$1" "$2"
                printf '%s  %s\n\n' "$people" "$(LC_ALL=C date -u -R -d "$date + 1 minute")"
                cat "$file"
        } >"$file.new"
        mv "$file.new" "$file"
}

package_to_builder() { # FILE…
        cp -a "$@" "$tree/root/build/"
        chroot "$tree/root" chown -R builder: /build
}

package_build() {
        package_source
        package_log "build" package_tree_run "/build/$build" dpkg-buildpackage --unsigned-source --unsigned-changes -sa
        package_log "lintian" package_tree_run /build lintian --profile debian --fail-on error,warning \
                --suppress-tags "$(IFS=,; echo "${package_lintian_leaves[*]}")" "penstock_${version}_$(dpkg --print-architecture).changes"
        cat "$tree/lintian.log"
        mkdir -p "$out"
        find "$tree/root/build" -maxdepth 1 -type f -name '*penstock*_*' -exec cp -t "$out" {} +
        say "$suite: packages of $version are in $out"
}

# The same once more under a higher version, into DIRECTORY: packed anew, compiled no second time.
package_build_next() { # DIRECTORY
        version=$version+next1
        package_changelog "$suite" "A later version, to which the test upgrades."
        package_to_builder "$tmp/$build/debian/changelog"
        mv "$tree/root/build/changelog" "$tree/root/build/$build/debian/changelog"
        package_log "later version" package_tree_run "/build/$build" \
                dpkg-buildpackage --unsigned-changes --build=binary --no-pre-clean
        cp "$tree"/root/build/*"_${version}_"*.deb "$1/"
}

# What a build makes goes with `clean`, and nothing else does.
package_clean() {
        package_log "clean" package_tree_run "/build/$build" debian/rules clean
        diff -r "$tmp/$build" "$tree/root/build/$build" >&2 || fail "$suite: a build leaves the source otherwise than it was"
}
