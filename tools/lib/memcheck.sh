# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables shared with tools/test, named at the head
# Unit and simulation tests with valgrind's memcheck: memory without a value, which no sanitizer of gcc's sees, and leaks. Needs
# common.sh, steps.sh, host-build.sh; expects work, long, timeouts; run in the project's root, after build_all.

memcheck_packages=(valgrind libc6-dbg)
memcheck_slower=20

# gcc's build: the debug information of clang's is of a form that valgrind 3.19, Debian 12's, cannot read.
memcheck_all() {
        local timeouts=$((timeouts * memcheck_slower))

        if [ -z "$long" ] || [ ! -e "$work/build-gcc/build.ninja" ]; then return 0; fi
        build_test valgrind "$work/build-gcc" --wrapper "$PWD/tools/lib/memcheck" --suite unit --suite sim
}
