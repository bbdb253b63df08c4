# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the time of a cold start goes: from submit to first byte, step by step, by the clocks of client, penstockd and PID 1,
which are one clock."""

import re
import threading

from kit import starts
from kit.figures import Comparison
from lib import cgroups
from lib.harness import wait_for
from lib.service import system
from lib.traced import lines, traced

STAYS = ("sh", "-c", "echo x; exec sleep 1")  # so that its unit can be asked
STEPS = (
    "the call is the engine's",
    "PID 1 has made the unit and forks for it",
    "the worker is executed in its sandbox",
    "penstockd has made the groups",
    "the first byte is read",
)
WHOLE = "submit to first byte"


def events(query_id):
    """When penstockd was told of each kind of event of this query, in microseconds."""
    found = {}
    request = None
    for line in lines():
        words = line.split()
        if words[:1] == ["e"] and words[2] == "request":
            request = int(words[1])
        elif words[:1] == ["e"] and words[3:4] == [str(query_id)]:
            found.setdefault(words[2], int(words[1]))
    found["request"] = request
    return found


def unit_times(query_id):
    names = ("ExecMainStartTimestampMonotonic", "ActiveEnterTimestampMonotonic")
    text = system("systemctl", "show", f"penstock-q{query_id}.service", *(f"--property={n}" for n in names)).text
    return [int(re.search(rf"^{n}=(\d+)", text, re.M)[1]) for n in names]


def one_query(alice):
    """The moments, in microseconds."""
    answer = []
    thread = threading.Thread(target=lambda: answer.extend(alice.ask("query", *STAYS)))
    thread.start()
    (group,) = wait_for(lambda: [g for g in cgroups.unit_groups() if cgroups.is_populated(f"{g}/engine")], "it runs")
    times = unit_times(int(re.search(r"-q(\d+)\.service", group)[1]))
    thread.join()
    first, _, begin, query_id = answer
    seen = events(query_id)
    return [begin / 1e3, seen["request"], *times, seen["unit-ready"], (begin + first) / 1e3]


def run(bench):
    comparison = Comparison("timeline", "a cold start, step by step", "ms", WHOLE)
    with starts.starters() as (alice, _), traced(WarmUnits="0"):
        for n in range(bench.rounds + 1):
            starts.settle()
            moments = one_query(alice)
            if n == 0:
                continue
            comparison.add(WHOLE, (moments[-1] - moments[0]) / 1e3)
            for step, before, after in zip(STEPS, moments, moments[1:]):
                comparison.add(step, (after - before) / 1e3)
    bench.show(comparison)
