# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the time of a start goes, cold and warm: from submit to first byte, step by step, by the clocks of client, penstockd and
PID 1, which are one clock."""

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
    first, _, begin, query_id, _ = answer
    seen = events(query_id)
    return [begin / 1e3, seen["request"], *times, seen["unit-ready"], (begin + first) / 1e3]


def cold(bench, alice):
    comparison = Comparison("timeline.cold", "a cold start, step by step", "ms", WHOLE)
    for n in range(bench.rounds + 1):
        starts.settle()
        moments = one_query(alice)
        if n == 0:
            continue
        comparison.add(WHOLE, (moments[-1] - moments[0]) / 1e3)
        for step, before, after in zip(STEPS, moments, moments[1:]):
            comparison.add(step, (after - before) / 1e3)
    return comparison


def warm(bench, alice):
    """Counted from submit, since the call is answered while the query begins."""
    comparison = Comparison("timeline.warm", "a warm start, since submit", "ms", "fork+exec")
    byte = starts.shortest()
    alice.ask("query", byte)
    if not starts.wait_for_spare():
        bench.say("no unit is kept ready: nothing is warm here")
        return comparison
    for n in range(bench.rounds + 1):
        starts.settle()
        spawned = alice.ask("spawn", byte)[0]
        before = set(cgroups.unit_groups())
        first, whole, begin, query_id, answered = alice.ask("query", byte)
        if n == 0 or cgroups.unit_group(query_id) not in before:
            continue
        told = events(query_id)
        for step, nsec in (("fork+exec", spawned), (STEPS[0], 1e3 * told["request"] - begin),
                           ("its unit is the query's", 1e3 * told["unit-ready"] - begin), ("the call is answered", answered),
                           (STEPS[-1], first), ("penstockd hears of its end", 1e3 * told["ended"] - begin), ("its end is known", whole)):
            comparison.add(step, nsec / 1e6)
    return comparison


def run(bench):
    with starts.starters() as (alice, _):
        with traced(WarmUnits="0"):
            bench.show(cold(bench, alice))
        with traced(WarmUnits="4"):
            bench.show(warm(bench, alice))
