# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# shellcheck disable=SC2154 # variables shared with tools/test, named at the head
# What is installed depends on nothing but the source: not on where it was built, nor when. Needs common.sh, steps.sh,
# host-build.sh; expects work, long; run in the project's root, after build_all.

# In the short form it is looked for what would tell: the names of the directories, and today's date in the manual. With
# --long all of it is built a second time, elsewhere.
reproducible_all() {
        local first=$work/stage-gcc

        [ -e "$work/build-gcc/build.ninja" ] || return 0
        step "reproducible: install" reproducible_install "$work/build-gcc" "$first" || return 0
        step "reproducible: no trace of where and when it was built" reproducible_no_trace "$first" || :
        if [ -n "$long" ]; then
                step "reproducible: a build elsewhere" reproducible_elsewhere "$work/some/where/else" || return 0
                step "reproducible: two builds, the same bytes" diff -r "$first" "$work/stage-elsewhere" || :
        fi
}

reproducible_install() { # BUILD STAGE
        DESTDIR=$2 meson install -C "$1" --no-rebuild --quiet
}

reproducible_no_trace() { # STAGE
        local today

        today=$(date -u +%F)
        if grep -rlF -e "$work/" -e "$PWD/src/" "$1"; then
                echo "these files tell where they were built"
                return 1
        fi
        # as scdoc writes it
        if grep -rlF -e "\"$today\"" "$1/usr/share/man"; then
                echo "these pages tell when they were built"
                return 1
        fi
}

# A copy of the source, at another depth, with its build directory outside; another zone, language and mask.
reproducible_elsewhere() { # DIRECTORY
        mkdir -p "$1/source"
        project_list | tar -c --null --no-recursion --verbatim-files-from -T - | tar -x -m -C "$1/source"
        mkdir -p "$1/source/tests/fuzz/corpus"
        (
                umask 077
                export TZ=Pacific/Kiritimati LC_ALL=C.UTF-8 CC=gcc
                meson setup "$1/b" "$1/source" -Dtests=disabled --werror && ninja -C "$1/b" &&
                        reproducible_install "$1/b" "$work/stage-elsewhere"
        )
}
