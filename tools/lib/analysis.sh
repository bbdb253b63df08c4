# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034 # variables shared with tools/test, named at the head
# What reads the code. Needs common.sh, steps.sh; run in the project's root. What is suppressed stands with its reason in
# tests/lint/cppcheck.txt and here.

analysis_packages=(cppcheck)

analysis_all() {
        step "analysis: cppcheck" analysis_cppcheck || :
        step "analysis: gcc -fanalyzer" analysis_gcc || :
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
