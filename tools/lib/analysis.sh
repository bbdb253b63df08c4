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
        -bugprone-macro-parentheses           # around what is a member, a type, a parameter list (25 places), no expression
        -bugprone-implicit-widening-of-multiplication-result # of constants (14 places), for which the compiler has -Woverflow
        -bugprone-not-null-terminated-result  # takes a comparison of beginnings for a copy that lacks its end
        -performance-no-int-to-ptr            # terminfo's (char *) -1, and an address that the kernel gives as a number
        -clang-analyzer-valist.Uninitialized  # takes a va_list for one without va_start() from the second file it reads on (6 places)
        -clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling # Annex K is not in the C library
        -clang-analyzer-security.insecureAPI.strcpy                           # … and lengths were taken before
        -clang-analyzer-unix.Malloc # knows neither the cleanup attribute nor flags that say who frees; ASan does
        -clang-analyzer-core.uninitialized.Assign # these four: errno, see above
        -clang-analyzer-core.uninitialized.UndefReturn
        -clang-analyzer-core.NullDereference
        -clang-analyzer-core.NonNullParamChecker
)

# As clang's build was compiled. It has passed when clang-tidy did, had no word on anything, and has read each file: one that did
# not come to run has nothing to say either.
analysis_tidy() {
        local checks log=$work/logs/tidy plain=$work/logs/tidy-plain r=0 n_read n_files

        checks=$(IFS=, && printf '%s' "${tidy_checks[*]}")
        run-clang-tidy -p "$work/build-clang" -quiet -j "$(nproc)" -checks="$checks" "$PWD/src/.*" >"$log" 2>&1 || r=$?
        sed 's/\x1b\[[0-9;]*m//g' "$log" >"$plain"
        n_read=$(grep -oE "clang-tidy.* $PWD/src/[^ ]+\.c\$" "$plain" | sort -u | wc -l)
        n_files=$(find src -name '*.c' | wc -l)
        if [ "$r" != 0 ] || [ "$n_read" != "$n_files" ]; then
                tail -n 40 "$plain"
                say "clang-tidy: status $r; it has read $n_read of $n_files files"
                r=1
        fi
        if grep -E '(warning|error):' "$plain"; then r=1; fi
        return "$r"
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
