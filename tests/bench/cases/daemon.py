# SPDX-License-Identifier: LGPL-2.1-or-later
"""What penstockd itself takes: memory and CPU by how many queries it knows, and its rest."""

import os
import time
from operator import itemgetter

from kit import starts
from kit.figures import Comparison, Goal, figure_of
from lib import cgroups
from lib.attached import connection
from lib.harness import Failure, wait_for
from lib.processes import cpu_nsec, pss_kib, switches
from lib.rawbus import Reader
from lib.service import DAEMON, configured, ctl, daemon_pid, system

KNOWN = (0, 100, 1000)
ENDED = 100


def submit_detached(argv):
    """By one connection of root's: the client is not what is measured. Returns the ID."""
    pairs = [("language", "s", "exec"), ("user", "s", "alice"), ("argv", "as", argv), ("detach", "b", True)]
    reply = connection().query(pairs)
    if reply.error:
        raise Failure(f"Query: {reply.error}: {reply.message()}")
    for fd in reply.fds:
        os.close(fd)
    return Reader(reply.body).number("Q")


def rest(pid, seconds):
    """(wake-ups, CPU time in microseconds) of that time."""
    woken, worked = switches(pid), cpu_nsec(pid)
    time.sleep(seconds)
    return switches(pid) - woken, (cpu_nsec(pid) - worked) / 1e3


def note_size(memory, pid, known):
    starts.settle()
    memory.add(f"{known} known", pss_kib(pid))


def waiting(bench, memory):
    """Queries that wait, held back by a pause. What one more costs is told for each stretch."""
    cost = Comparison("daemon.submit", "CPU time of penstockd for one more query that waits", "us", "the first 100")
    with configured(ConcurrencyQuota="1", QueueSize="1100", MaxQueriesPerUser="1100", WarmUnits="0"):
        system("systemctl", "restart", DAEMON)
        pid, known = daemon_pid(), 0
        ctl("pause", user="root").expect(0)
        note_size(memory, pid, 0)
        for count in KNOWN[1:]:
            while known < count:
                worked = cpu_nsec(pid)
                for _ in range(100):
                    submit_detached(["true"])
                known += 100
                cost.add("the first 100" if known == 100 else f"the last 100 of {known}", (cpu_nsec(pid) - worked) / 1e5)
            note_size(memory, pid, known)
        woken, worked = rest(pid, 10)
        bench.say(f"{known} wait: {woken} wake-ups and {worked:.0f} us of CPU in 10 s")
        ctl("shutdown", "--timeout", "0", user="root", limit=600)
        ctl("resume", user="root").expect(0)  # a pause is remembered across a restart
    system("systemctl", "restart", DAEMON)
    bench.show(cost)
    return cost.figure("the last 100 of 1000")


def ended(bench, memory):
    """Queries that ran, ended and were released: each has left its tombstone, with its profile. A thousand take too long here;
    tests/guest/suites/profile.py has them."""
    byte = starts.shortest()
    with starts.starters() as (alice, _), configured(ConcurrencyQuota="8", InitialMemoryBytesQuotaPerQuery="16M"):
        system("systemctl", "restart", DAEMON)
        pid = daemon_pid()
        note_size(memory, pid, 0)
        alice.ask("crowd", 4, ENDED // 4, "query", byte)
        note_size(memory, pid, ENDED)


def at_rest(bench):
    """Wake-ups by penstockd's own counts while queries sleep, in two spans, the quieter first, since a watchdog's ping, one in five
    minutes at most, may fall into one."""
    count, seconds = (10, 10) if bench.quick else (50, 60)
    keys = {"ConcurrencyQuota": str(count), "InitialMemoryBytesQuotaPerQuery": "16M", "MaxQueriesPerUser": "100", "WarmUnits": "0"}
    with configured(**keys):
        ids = [submit_detached(["sleep", "100000"]) for _ in range(count)]
        wait_for(lambda: all(cgroups.is_populated(cgroups.engine_group(i)) for i in ids), "all of them run", 900)
        pid = daemon_pid()
        # A signal of a unit of PID 1 is heard until half a minute after the last one.
        wait_for(lambda: rest(pid, 5)[0] == 0, "penstockd rests for five seconds", 300)
        spans = [rest(pid, seconds) for _ in range(2)]
        for query_id in ids:
            ctl("cancel", str(query_id), user="root").expect(0)
        wait_for(lambda: not cgroups.unit_groups(), "all units are gone", 900)
    for woken, worked in spans:
        bench.say(f"{count} at rest for {seconds} s: {woken} wake-ups, {worked:.0f} us of CPU")
    return sorted(spans), count, seconds


def run(bench):
    if not bench.quick:  # first: those that waited are remembered when they have ended, too
        memory = Comparison("daemon.ended", "memory (Pss) of penstockd, queries that have ended", "KiB", "0 known")
        ended(bench, memory)
        bench.show(memory)
    memory = Comparison("daemon.waiting", "memory (Pss) of penstockd, queries that wait", "KiB", "0 known")
    linear = waiting(bench, memory)
    bench.show(memory)
    most = max(max(memory.values(way)) for way in memory.rounds)
    spans, count, seconds = at_rest(bench)
    woken, worked = zip(*spans)
    quieter = itemgetter(0)
    bench.judge(
        Goal("daemon.memory", "MiB of memory with 1,000 queries that wait", figure_of([most / 1024]), most=8),
        Goal("daemon.per_event", "CPU for one more query with 1,000 known, of that with none", linear, most=1.5),
        Goal("daemon.rest", f"wake-ups in {seconds} s with {count} queries at rest", figure_of(woken, quieter), most=0),
        Goal("daemon.rest_cpu", "ms of CPU in that time", figure_of([usec / 1000 for usec in worked], quieter), most=1),
    )
