# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables shared with tools/test, named at the head
# What reads the code. Needs common.sh, steps.sh; expects work, long, and clang's build; run in the project's root. What is suppressed stands with its reason in
# tests/lint/cppcheck.txt and here.

analysis_packages=(cppcheck clang-tidy)

analysis_all() {
        step "analysis: cppcheck" analysis_cppcheck || :
        step "analysis: gcc -fanalyzer" analysis_gcc || :
        if [ -n "$long" ]; then step "analysis: clang-tidy" analysis_tidy || :; fi
}

# Each that is left out, with the reason. What clang's analyzer takes for possible in a failed call is that errno is 0, so
# that "-errno" may be no error: where it then finds garbage or NULL it is wrong each time (8 places, each looked at).
tidy_checks=(
        '-*' 'bugprone-*' 'clang-analyzer-*' 'performance-*' 'portability-*'
        -bugprone-easily-swappable-parameters # two numbers in a row
        -bugprone-reserved-identifier         # _THING_MAX ends an enum here, as it does in systemd
        -bugprone-branch-clone                # a chain of conditions, each with an errno of its own, that end alike
        -bugprone-sizeof-expression           # an array of pointers has elements of a pointer's size
        -clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling # Annex K is not in the C library
        -clang-analyzer-security.insecureAPI.strcpy                           # … and lengths were taken before
        -clang-analyzer-unix.Malloc # knows neither the cleanup attribute nor flags that say who frees; ASan does
        -clang-analyzer-core.uninitialized.Assign # these four: errno, see above
        -clang-analyzer-core.uninitialized.UndefReturn
        -clang-analyzer-core.NullDereference
        -clang-analyzer-core.NonNullParamChecker
)

analysis_tidy() { # as clang's build was compiled
        local IFS=,

        run-clang-tidy -p "$work/build-clang" -quiet -j "$(nproc)" -checks="${tidy_checks[*]}" "$PWD/src/.*" >"$work/logs/tidy" 2>&1 ||
                :
        sed 's/\x1b\[[0-9;]*m//g' "$work/logs/tidy" | { ! grep -E '(warning|error):'; }
}

analysis_cppcheck() {
        cppcheck --quiet --enable=warning,performance,portability --std=c11 -j "$(nproc)" --error-exitcode=1 \
                --template='{file}:{line}: {id}: {message}' --suppressions-list=tests/lint/cppcheck.txt \
                -Isrc -Iinclude -D_GNU_SOURCE -DHAVE_INIH_RUNTIME_OPTIONS=1 -DPENSTOCK_VERSION='""' src
}

# The core alone: outside it gcc takes sd-bus and its references for leaks. In it, what is stored in an array that realloc()
# gave is one to it; LeakSanitizer looks for leaks.
analysis_gcc() {
        printf '%s\0' src/core/*.c | xargs -0 -n 1 -P "$(nproc)" \
                gcc -fanalyzer -Werror -Wno-analyzer-malloc-leak -O2 -std=gnu11 -D_GNU_SOURCE -Isrc -o /dev/null -c
}
