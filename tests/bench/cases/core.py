# SPDX-License-Identifier: LGPL-2.1-or-later
"""The core alone: what a step of the engine costs by how many queries are known, and how the simulator scales."""

import os
import random
import re
import resource
import subprocess
import tempfile

from kit.figures import Comparison, Goal, figure_of
from lib.hogs import BUILDS, program

SIZES = (10_000, 100_000, 1_000_000)
PLAN = ("--memory", "16G", "--set", "ConcurrencyQuota=16", "--set", "InitialMemoryBytesQuotaPerQuery=64M")


def steps(bench):
    looks = Comparison("core.look", "the governor's decision on one sample", "us", "50 known")
    turns = Comparison("core.turn", "one ends, the next is admitted and executes", "us", "50 known")
    for _ in range(max(1, bench.few // 2)):
        # Its status is its own judgement of the same ratios.
        text = subprocess.run([program("bench-core", "tests/bench")], stdout=subprocess.PIPE, check=False, encoding="utf-8").stdout
        for known, look, turn in re.findall(r"^ *(\d+) +(\d+) +(\d+)$", text, re.M):
            looks.add(f"{known} known", int(look) / 1000)
            turns.add(f"{known} known", int(turn) / 1000)
    bench.show(looks, turns)
    most = list(looks.rounds)[-1]
    bench.say(f"with {most}: {1e6 / looks.median(most):,.0f} decisions of the governor and {1e6 / turns.median(most):,.0f} "
              "admissions a second")
    bench.judge(Goal("core.look", "a decision with 100,000 known, of one with 50", looks.figure(most), most=8),
                Goal("core.turn", "an admission with 100,000 known, of one with 50", turns.figure(most), most=8))


def simulator():
    for build in BUILDS:
        if os.path.exists(f"{build}/src/sim/penstock-sim"):
            return f"{build}/src/sim/penstock-sim"
    return "/usr/bin/penstock-sim"


def write_load(path, count):
    """Queries that come as fast as sixteen can be served, most small, some not."""
    rng = random.Random(1)
    now = 0.0
    with open(path, "w", encoding="ascii") as f:
        f.write("arrival,duration,peak\n")
        for _ in range(count):
            now += rng.expovariate(16 / 2.2)
            f.write(f"{now:.3f},{rng.expovariate(1 / 2):.3f},{int(rng.lognormvariate(17, 1)) + 4096}\n")


def cpu_of(argv):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def plans(bench):
    each = Comparison("core.plan", "penstock-sim plan, CPU time", "us a query", f"{SIZES[0]:,} queries")
    whole = []
    with tempfile.TemporaryDirectory(prefix="bench.") as directory:
        sizes = SIZES[:2] if bench.quick else SIZES
        for size in sizes:
            write_load(f"{directory}/{size}.csv", size)
        for _ in range(max(1, bench.few // 2)):
            for size in sizes:
                took = cpu_of([simulator(), "plan", *PLAN, f"{directory}/{size}.csv"])
                each.add(f"{size:,} queries", 1e6 * took / size)
                if size == SIZES[-1]:
                    whole.append(took)
    bench.show(each)
    bench.judge(Goal("core.plan", "seconds of CPU to plan a million queries", figure_of(whole, min), most=10,
                     why="not in the quick form"))


def run(bench):
    steps(bench)
    plans(bench)
