# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# shellcheck disable=SC2154 # variables that tools/package sets, named at the head
# The packages in a guest that has no Penstock: the suite `packages`. Needs common.sh, guest-project.sh (project_archive),
# package-build.sh; expects tools_dir, suite, out, tmp, version.

package_test_memory=3072
package_test_limit=3600

# What the guest is shown: the packages, later ones, and the source, for its tests and examples.
package_test_prepare() {
        mkdir -p "$tmp/share/packages" "$tmp/share/next" "$tmp/share/source"
        find "$out" -maxdepth 1 -name "*_${version}_*.deb" ! -name '*-dbgsym_*' -exec cp -t "$tmp/share/packages" {} +
        package_build_next "$tmp/share/next"
        rm -f "$tmp"/share/next/*-dbgsym_*
        project_archive | tar -x -m -C "$tmp/share/source" debian docs tests
}

package_test() {
        "$tools_dir/guest" --suite "$suite" --bare --cockpit --memory "$package_test_memory" --timeout "$package_test_limit" \
                --share "$tmp/share" -- /share/source/tests/guest/run packages
}
