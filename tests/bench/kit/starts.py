# SPDX-License-Identifier: LGPL-2.1-or-later
"""bench-start, which measures, and what has to be quiet before it does."""

import contextlib
import os
import subprocess
import time

from lib import cgroups
from lib.harness import Failure, wait_for
from lib.hogs import program
from lib.processes import cpu_nsec
from lib.service import daemon_pid, environment, home, identity, list_queries, system

ROOM = "tests/bench"
SLICE = "bench.slice"
QUIET_SEC, QUIET_NSEC = 0.3, 3000000  # all is done when less than that was worked in that time
SPARE_SEC = 45  # until a spare unit must be there


def shortest():
    return program("bench-byte", ROOM)


class Starter:
    """One that stays connected, as USER."""

    def __init__(self, user):
        self.process = subprocess.Popen([program("bench-start", ROOM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        cwd=home(user), env=environment(user), encoding="utf-8", **identity(user))

    def ask(self, *words):
        """Its answer as numbers, of nanoseconds."""
        self.process.stdin.write("\t".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer or answer.startswith("error"):
            raise Failure(f"{' '.join(map(str, words))[:200]}: {answer.strip() or 'bench-start ended'}")
        return [int(word) for word in answer.split()]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


@contextlib.contextmanager
def starters():
    """(alice's, root's)"""
    made = [Starter("alice"), Starter("root")]
    try:
        yield made
    finally:
        for one in made:
            one.close()


def work_nsec():
    """CPU time of PID 1, of penstockd, and of all units that are made or run: most of a unit's cost is its own process's."""
    units = sum(cgroups.table(f"{cgroups.ROOT}/{name}", "cpu.stat").get("usage_usec", 0) for name in ("penstock.slice", SLICE))
    return cpu_nsec(1) + cpu_nsec(daemon_pid()) + 1000 * units


def settle(limit=90):
    """Wait until none of these has anything to do: what one start leaves to be done is not in the time of the next."""
    end = time.monotonic() + limit
    last = work_nsec()
    while time.monotonic() < end:
        time.sleep(QUIET_SEC)
        now = work_nsec()
        if abs(now - last) < QUIET_NSEC:
            return
        last = now
    raise Failure(f"PID 1, penstockd and the units are not quiet after {limit} s")


def idle_units():
    """Units of queries that belong to no query that is listed: spares."""
    listed = {cgroups.unit_group(q["id"]) for q in list_queries()}
    return {group for group in cgroups.unit_groups() if group not in listed}


def wait_for_spare():
    """Whether one came."""
    with contextlib.suppress(Failure):
        wait_for(idle_units, "a spare unit", SPARE_SEC)
        settle()
        return True
    return False


@contextlib.contextmanager
def bench_slice():
    """A slice for what is started beside Penstock. One that no unit is in would lose its group between two starts."""
    unit = "penstock-bench-holder.service"
    system("systemctl", "set-property", "--runtime", SLICE, "MemoryMax=2G", "TasksMax=4096")
    system("systemd-run", "--quiet", f"--unit={unit}", f"--slice={SLICE}", "sleep", "infinity")
    try:
        yield SLICE
    finally:
        system("systemctl", "stop", unit, SLICE)


def in_turn(ways, rounds, measure):
    """Call MEASURE(round, way) for each of WAYS in each round, round 0 being a warm-up that is to be dropped; who comes first
    changes."""
    ways = list(ways)
    for n in range(rounds + 1):
        for i in range(len(ways)):
            measure(n, ways[(n + i) % len(ways)])


def has(command):
    return any(os.access(f"{d}/{command}", os.X_OK) for d in ("/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin"))
