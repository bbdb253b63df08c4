# SPDX-License-Identifier: LGPL-2.1-or-later
"""From the wake-up of the loop to the raised limit, idle and with every CPU busy, against a bare poll and pwrite."""

from kit.figures import Comparison, Goal, figure_of
from lib import hogs
from lib.hogs import bare_groups
from lib.raises import latencies
from lib.traced import traced

BARE = "bare poll+pwrite"


def run(bench):
    for load in ("nothing", "every CPU busy"):
        with traced(), hogs.LOADS[load](), bare_groups():
            seen = [raised for _ in range(bench.few) for raised in latencies()]
        key = "idle" if load == "nothing" else "saturated"
        comparison = Comparison(f"raise.{key}", f"a raise, beside: {load}", "us", BARE)
        for sample, act, back, bare in seen:
            for way, value in ((BARE, bare), ("sampling", sample), ("from there to the write", act),
                               ("wake-up to the write", sample + act), ("reading back", back)):
                comparison.add(way, value)
        bench.show(comparison)
        if not seen:
            bench.say(f"beside {load}: no raise was seen")
        # raise by raise, as tests/guest/suites/governor.py judges it
        for name, text, part in (("act", "need known to the raised limit", lambda s, a: a),
                                 ("whole", "wake-up to the raised limit", lambda s, a: s + a)):
            value = figure_of([part(s, a) / bare for s, a, _, bare in seen])
            bench.judge(Goal(f"raise.{key}.{name}", f"{text}, of {BARE}, beside: {load}", value, most=2))
