#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# A stand-in for what penstockctl runs penstockd for: prints how it was called, and an object where one is asked for.
case "$*" in
"--show-config --json")
        printf '{"QueueSize": {"value": "64", "origin": "default", "number": 64},\n'
        printf ' "dependencies": {"sales": {"requestable": true}, "audit": {"requestable": false}}}\n'
        ;;
*) printf 'penstockd %s\n' "$*" ;;
esac
exit 3
