#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What penstockd prints and cannot write is a failure that is told. Usage: test-penstockd-prints.sh PENSTOCKD
set -u

penstockd=$1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
printf '[Controller]\nQueueSize=7\n' >"$dir/conf"
failed=0

for words in --version --help "--check-config $dir/conf" "--check-config --json $dir/conf" \
        "--config $dir/conf --show-config" "--config $dir/conf --show-config --json"; do
        # shellcheck disable=SC2086 # split on purpose
        "$penstockd" $words >"$dir/out" 2>"$dir/err" || { echo "FAILED: $words ended with $?"; failed=1; }
        [ -s "$dir/out" ] || { echo "FAILED: $words printed nothing"; failed=1; }
        # shellcheck disable=SC2086
        "$penstockd" $words >/dev/full 2>"$dir/err"
        status=$?
        if [ $status -ne 1 ] || ! grep -q '^penstockd: .*: No space left on device$' "$dir/err"; then
                echo "FAILED: $words on a full disk ended with $status, and said: $(cat "$dir/err")"
                failed=1
        fi
done
exit $failed
