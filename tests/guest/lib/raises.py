# SPDX-License-Identifier: LGPL-2.1-or-later
"""How long a raise takes, part by part, against a program that does nothing else."""

import re

from lib import hogs
from lib.hogs import Hog
from lib.traced import lines


def raises_in_trace(query_id):
    """Of each raise, in microseconds: (from the wake-up to the sample, from there to the write, reading back)."""
    found, limit = [], None
    for line in lines():
        if re.match(rf"e \d+ limits {query_id} ", line):
            values = {k: int(v) for k, v in re.findall(r"limits\.(\w+)=(\d+)", line)}
            if limit is not None and values["max_bytes"] > limit:
                sample = values.get("sample_usec", 0)
                found.append((sample, values["latency_usec"] - sample, values.get("read_back_usec", 0)))
            limit = values["max_bytes"]
    return found


def latencies():
    """(sampling, to the write, reading back, bare) of each raise of a query, and of the same raise in a bare group at the
    same time, by a program that does nothing but poll() and pwrite()."""
    q = Hog("threads", 400, 1, options=["--memory-initial", "8M"])
    bare = hogs.start_race("threads", 400, 1, limit="8M", percent=12)
    q.go()
    q.wait().expect(0)
    (one,) = hogs.tries_of(bare.wait())
    return [(*raised, latency) for raised, latency in zip(raises_in_trace(q.id), one.latencies)]
