# SPDX-License-Identifier: LGPL-2.1-or-later
"""Submit to first byte, and to the end known, of the shortest query: cold and warm, against other ways to start a process."""

import pwd

from kit import starts
from kit.bundle import bundle
from kit.figures import Comparison, Goal
from lib import cgroups
from lib.service import configured

SPAWN, RUN = "fork+exec", "systemd-run --pipe --wait"
OURS = CLIENT, CTL = "Penstock, C client", "penstockctl run"
SANDBOX = "StartTransientUnit, same sandbox"
WARM_UNITS = 4


def ways_beside(bench, byte, directory):
    """(who, words) by the name of the way, without Penstock."""
    quiet = ("--quiet", "--collect")
    found = {
        SPAWN: ("alice", ("spawn", byte)),
        RUN: ("root", ("spawn", "systemd-run", *quiet, "--pipe", "--wait", byte)),
        "systemd-run --scope": ("root", ("spawn", "systemd-run", *quiet, "--scope", byte)),
        SANDBOX: ("root", ("unit", "-", byte)),
        "StartTransientUnit, no sandbox": ("root", ("unit", "all", byte)),
    }
    if starts.has("crun"):
        crun = ("--cgroup-manager", "systemd"), ("--cgroup-manager", "cgroupfs")
        for words in crun:
            found[f"crun, {words[1]}"] = ("root", ("spawn", "crun", *words, "run", "--bundle", directory, "penstock-bench"))
    else:
        bench.say("crun is not installed: left out")
    return found


def penstock_ways(byte):
    return dict(zip(OURS, (("alice", ("query", byte)), ("alice", ("spawn", "penstockctl", "run", "--", byte)))))


class Block:
    """The comparisons of one temperature."""

    def __init__(self, key):
        self.first = Comparison(f"{key}.first", f"{key}: to the first byte", "ms", SPAWN)
        self.whole = Comparison(f"{key}.whole", f"{key}: to the end known", "ms", SPAWN)
        self.pid1 = Comparison(f"{key}.pid1", f"{key}: CPU time of PID 1", "ms", RUN)

    def comparisons(self):
        return [self.first, self.whole, self.pid1]


def measure(block, who, ways, rounds, wanted):
    """WANTED(units before, units after) says whether a round of Penstock's counts. Returns how many did not."""
    missed = 0

    def one(n, way):
        nonlocal missed
        user, words = ways[way]
        before, worked = set(cgroups.unit_groups()), starts.cpu_nsec(1)
        first, whole, *_ = who[user].ask(*words)
        starts.settle()
        worked = starts.cpu_nsec(1) - worked
        if n == 0:
            return
        if way in OURS and not wanted(before, set(cgroups.unit_groups())):
            missed += 1
            return
        for comparison, nsec in zip(block.comparisons(), (first, whole, worked)):
            comparison.add(way, nsec / 1e6, n)

    starts.in_turn(ways, rounds, one)
    return missed


def was_warm(before, after):
    """A unit that was there has been used up."""
    return bool(before - after)


def measure_cold(bench, who, byte, directory):
    block = Block("cold")
    with configured(WarmUnits="0"):
        starts.settle()
        ways = {**ways_beside(bench, byte, directory), **penstock_ways(byte)}
        measure(block, who, ways, bench.rounds, lambda before, after: not before)
    return block


def measure_warm(bench, who, byte, directory):
    """None when no spare unit comes after the first query of each kind."""
    block = Block("warm")
    with configured(WarmUnits=str(WARM_UNITS)):
        ways = penstock_ways(byte)
        for user, words in ways.values():
            who[user].ask(*words)
        if not starts.wait_for_spare():
            bench.say("no unit is kept ready: nothing is warm here")
            return None
        beside = ways_beside(bench, byte, directory)
        # What of penstockctl's time is the start of the program itself.
        beside = {SPAWN: beside[SPAWN], RUN: beside[RUN], "ctl --version": ("alice", ("spawn", "penstockctl", "--version"))}
        missed = measure(block, who, {**beside, **ways}, bench.rounds, was_warm)
        if missed:
            bench.say(f"{missed} of {2 * bench.rounds} warm starts used no spare unit, and do not count")
    return block


def figure(comparison, way, to):
    return comparison and comparison.figure(way, to)


def goals(cold, warm):
    first, whole = warm and warm.first, warm and warm.whole
    faster = figure(first, RUN, CLIENT)
    ctl = figure(whole, RUN, CTL)
    why = "no spare unit came" if warm is None else "not measured"
    return [
        Goal("start.warm_of_spawn", f"warm, submit to first byte, of {SPAWN}",
             figure(first, CLIENT, SPAWN), most=1.3, why=why),
        Goal("start.run_of_warm", f"{RUN} to first byte, of warm", faster, least=6, why=why),
        Goal("start.run_of_ctl", f"{RUN} as a whole, of penstockctl run, warm", ctl, least=3, why=why),
        Goal("start.cold_of_transient", "cold, submit to first byte, of StartTransientUnit with the same sandbox",
             figure(cold.first, CLIENT, SANDBOX), most=1.2),
    ]


def run(bench):
    byte, alice = starts.shortest(), pwd.getpwnam("alice")
    with starts.starters() as (of_alice, of_root), starts.bench_slice(), bundle(byte, alice.pw_uid, alice.pw_gid) as directory:
        who = {"alice": of_alice, "root": of_root}
        cold = measure_cold(bench, who, byte, directory)
        warm = measure_warm(bench, who, byte, directory)
    for block in (cold, warm):
        if block:
            bench.show(*block.comparisons())
    bench.judge(*goals(cold, warm))
