# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables shared with tools/test, named at the head
# Building on the host with each compiler, and the tests that need no guest. Needs common.sh, steps.sh; expects work, long, slow_parts;
# run in the project's root.

build_packages=(meson ninja-build gcc clang pkgconf libc6-dev libsystemd-dev libcgroup-dev libinih-dev
        libjansson-dev libsmartcols-dev libncurses-dev libmicrohttpd-dev libcairo2-dev libsqlite3-dev nettle-dev libcmocka-dev libdbus-1-dev
        dbus tmux sqlite3 python3 scdoc git bash-completion zsh fish mandoc groff-base nodejs) # those from bash-completion on: completion, manual, the page for Cockpit

# What gcc makes of tests is tested with sanitizers, and what it makes of programs in the guests, too: in the short form these alone are
# built without, for what looks at them. Lint of the sources is the same in each build.
build_all() {
        local gcc_tests=disabled dir

        if [ -n "$long" ] || [ "$slow_parts" = 1 ]; then gcc_tests=enabled; fi
        if build_one gcc gcc --werror -Dtests=$gcc_tests && [ $gcc_tests = enabled ]; then build_test gcc "$dir"; fi
        if build_one clang clang --werror; then build_test clang "$dir"; fi
        if build_one "gcc ASan+UBSan" gcc --werror -Db_sanitize=address,undefined -Db_lundef=false; then
                build_test "gcc ASan+UBSan" "$dir" --no-suite lint
        fi
}

# build_one LABEL COMPILER MESON_OPTION…: sets $dir to where it was built.
build_one() {
        local label=$1 compiler=$2

        shift 2
        dir=$work/build-${label//[^a-zA-Z]/-}
        step "$label: build" build_compile "$dir" "$compiler" "$@"
}

build_compile() { # DIRECTORY COMPILER MESON_OPTION…
        local dir=$1 compiler=$2

        shift 2
        CC=$compiler meson setup "$dir" -Dtests=enabled "$@" && ninja -C "$dir" # of an option that is there twice, the last one counts
}

# Each test of meson's is one of ours. A test that died, or that meson could not start, fails there.
build_test() { # LABEL DIRECTORY [OPTION-OF-MESON-TEST…]
        local label=$1 dir=$2 begin r=0 name result log said failed=0

        shift 2
        log=$work/logs/test-${label//[^a-zA-Z]/-}
        rm -f "$dir"/meson-logs/testlog*
        now_ms begin
        UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
                meson test -C "$dir" --no-rebuild --print-errorlogs --timeout-multiplier "$timeouts" "$@" \
                >"$log" 2>&1 </dev/null || r=$?
        said=$(compgen -G "$dir/meson-logs/testlog*.json") || said= # a wrapper's name is in it
        if [ ! -s "$said" ]; then
                tally fail "$label: tests"
                progress FAIL "$label: tests" "$begin"
                show_log "$log" $r
                return
        fi
        while IFS=$'\t' read -r result name; do
                case $result in
                OK | EXPECTEDFAIL) tally pass "$label: $name" ;;
                SKIP) skip "$label: ${name%%$'\t'*}" "${name#*$'\t'}" ;;
                *)
                        tally fail "$label: $name ($result)"
                        failed=1
                        ;;
                esac
        done < <(build_results "$said")
        # It says who failed; if nobody did, it died itself, and tests after that were not run.
        if ! wait $!; then r=1; fi
        if [ $r != 0 ] && [ $failed = 0 ]; then tally fail "$label: meson test came to its end"; fi
        if [ $r = 0 ]; then
                progress ok "$label: $(grep -c . "$said") tests" "$begin"
        else
                progress FAIL "$label: tests" "$begin"
                build_failures "$said" >>"$log"
                show_log "$log" $r
        fi
}

# The end of what each failed test wrote, at the end of the log: meson prints it in between, where the log's end may not reach. What
# ASan ends with, the memory around, is left out for the stack before it. The last line of a log that was cut says nothing.
build_failures() { # TESTLOG
        python3 -c '
import json, sys
for line in open(sys.argv[1]):
    if not line.endswith("\n"):
        break
    test = json.loads(line)
    if test["result"] not in ("OK", "EXPECTEDFAIL", "SKIP"):
        print(test["name"] + ", " + test["result"] + ":")
        for stream in "stdout", "stderr":
            said = test.get(stream, "").split("\nShadow bytes around")[0].strip().splitlines()
            for line in said[-25:]:
                print("  " + line)' "$1"
}

# Prints result, name and, of a skipped test, its last words, which say why.
build_results() { # TESTLOG
        python3 -c '
import json, sys
for line in open(sys.argv[1]):
    test = json.loads(line)
    words = [test["result"], test["name"]]
    if test["result"] == "SKIP":
        said = (test.get("stderr", "") + test.get("stdout", "")).strip().splitlines()
        words.append(said[-1] if said else "it does not say why")
    print(*words, sep="\t")' "$1"
}
