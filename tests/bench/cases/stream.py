# SPDX-License-Identifier: LGPL-2.1-or-later
"""A large result, from its first byte to its last: through penstockctl run, against the same program's own pipe, and against one with
a cat more, since penstockctl is one that stands between the two."""

import os

from kit import starts
from kit.figures import Comparison
from lib.harness import expect_equal
from lib.service import Running, configured, home

PIPE, LONGER, OURS = "cat to wc", "cat to cat to wc", "penstockctl run -- cat, to wc"
LIMIT = 600  # seconds, for one run

# Who waits for the first byte starts the clock, so that no start is in it. The reader counts, and no more.
READER = """set -o pipefail
export LC_ALL=C # a character is a byte
"$@" | {
        IFS= read -r -d '' -n 1 _
        from=$EPOCHREALTIME
        n=$(wc -c)
        echo $((n + 1)) $((${EPOCHREALTIME/[.,]/} - ${from/[.,]/}))
}"""


def run(bench):
    size = (16 if bench.quick else 256) << 20
    path = f"{home('alice')}/stream.data"
    with open(path, "wb") as f:
        for _ in range(size >> 20):
            f.write(os.urandom(1 << 20))  # no holes, which a reader is told of
    os.chmod(path, 0o644)
    ways = {PIPE: ("cat", path), LONGER: ("sh", "-c", 'cat "$0" | cat', path), OURS: ("penstockctl", "run", "--", "cat", path)}
    comparison = Comparison("stream", f"{size >> 20} MiB, from the first byte to the last", "ms", PIPE)

    def one(n, way):
        starts.settle()
        done = Running(["bash", "-c", READER, "bash", *ways[way]], user="alice").wait_and_forget(LIMIT)
        n_bytes, usec = map(int, done.expect(0).text.split())
        expect_equal(n_bytes, size, "the bytes that came")
        if n > 0:
            comparison.add(way, usec / 1e3, n)

    try:
        with configured(WarmUnits="0"):  # else each round waits until the spares have gone
            starts.in_turn(ways, bench.few, one)
    finally:
        os.unlink(path)
    bench.show(comparison)
