# SPDX-License-Identifier: LGPL-2.1-or-later
"""The governor against every way of taking memory, and against what else the machine does meanwhile."""

import contextlib
import os
import random
import re
import statistics
import time

from lib import cgroups, harness, hogs
from lib.cgroups import MIB, SLICE
from lib.harness import EACH, Failure, expect, expect_equal, expect_in, note, test, wait_for
from lib.hogs import Hog, bare_groups, race
from lib.loads import PYTHON, SQLITE_JOIN, SQLITE_SORT
from lib.raises import latencies
from lib.service import as_user, configured, ctl, ctl_json, home, submit, system, wait_for_state
from lib.traced import traced

SIZE = 160  # MiB that a growing query takes: two raises from 64M


def kills():
    return cgroups.table(SLICE, "memory.events").get("oom_kill", 0)


class Outcome:
    """What the service tells of a query that has ended."""

    def __init__(self, query_id):
        self.stats = ctl_json("stats", str(query_id), user="root")
        self.delays = [entry["latency_usec"] for entry in self.stats["raise_log"]]
        self.peak_mib = self.stats["memory_peak_bytes"] // MIB

    def expect_grown(self, size_mib):
        expect_equal((self.stats["error"], self.stats["verdict"]), (None, ""), "the error and the verdict")
        expect(self.stats["raises"] >= 1, f"it was raised: {self.stats}")
        # Some ways count what they write, and the kernel rounds: a tenth is left for that.
        expect(size_mib * 0.9 <= self.peak_mib, f"a peak of {self.peak_mib}M for {size_mib}M that were taken")

    def __str__(self):
        causes = " ".join(entry["cause"] for entry in self.stats["raise_log"])
        return f"{self.stats['raises']} raises ({causes}), peak {self.peak_mib}M, controller's delay {spread(self.delays)}"


def spread(values):
    if not values:
        return "-"
    return f"median {statistics.median(values):.0f} usec, most {max(values)}"


class HogGrows:
    """hog as a query, which is to end well below its maximum."""

    def __init__(self, *words):
        self.q = Hog(*words)

    def go(self):
        self.q.go()

    def end(self):
        done = self.q.wait(300)
        outcome = Outcome(self.q.id)
        done.expect(0)
        outcome.expect_grown(self.q.words[1])
        return outcome


class LanguageGrows:
    def __init__(self, name, text, answer, size_mib):
        self.name, self.text, self.answer, self.size_mib = name, text, answer, size_mib

    def go(self):
        self.id = submit("--language", self.name, self.text)

    def end(self):
        wait_for_state(self.id, "finished", "errored", "canceled", limit=300)
        outcome = Outcome(self.id)
        outcome.expect_grown(self.size_mib)
        expect_in(self.answer, ctl("results", str(self.id)).expect(0).text, "the results")
        ctl("done", str(self.id)).expect(0)
        return outcome


@contextlib.contextmanager
def unbounded_pipes():
    """Without the kernel's own bound of 16,384 pages of pipes for each user."""
    path = "/proc/sys/fs/pipe-user-pages-soft"
    before = cgroups.read(path)
    with open(path, "w", encoding="ascii") as f:
        f.write("0")
    try:
        yield
    finally:
        with open(path, "w", encoding="ascii") as f:
            f.write(before)


WAYS = {
    "1 thread": lambda: HogGrows("threads", SIZE, 1),
    "4 threads": lambda: HogGrows("threads", SIZE, 4),
    "16 threads": lambda: HogGrows("threads", SIZE, 16),
    "64 threads": lambda: HogGrows("threads", SIZE, 64),
    "32 processes": lambda: HogGrows("processes", SIZE, 32),
    "MAP_POPULATE": lambda: HogGrows("populate", SIZE),
    "mlock": lambda: HogGrows("mlock", SIZE),
    "anonymous shared memory": lambda: HogGrows("shared", SIZE),
    "System V shared memory": lambda: HogGrows("sysv", SIZE),
    "POSIX shared memory": lambda: HogGrows("posix", SIZE),
    "a file in its /dev/shm": lambda: HogGrows("file", SIZE, 1, "/dev/shm/hog"),
    "pipes": lambda: HogGrows("pipes", SIZE),
    "sockets": lambda: HogGrows("sockets", SIZE),
    "page tables": lambda: HogGrows("tables", SIZE),
    "taken and given back twice": lambda: HogGrows("release", SIZE, 2),
    "a Python list of small objects": lambda: LanguageGrows("python", PYTHON, "2500000\n", 200),
    "a sort of SQLite's": lambda: LanguageGrows("sqlite", SQLITE_SORT, "47999|1600\n", 100),
    "a join of SQLite's": lambda: LanguageGrows("sqlite", SQLITE_JOIN, "25000\n", 100),
}


def ways_beside(load):
    """All; in the short form those that the seed draws for LOAD, so that the loads together have each way once."""
    if harness.is_long:
        return list(WAYS)
    drawn = random.Random(harness.seed)
    return [way for way in WAYS if drawn.choice(list(hogs.LOADS)) == load]


# In the long form so many grow at one time; then the budget pays for all of them.
AT_ONCE = 4
KEYS = {"ConcurrencyQuota": AT_ONCE, "MaxMemoryBytes": "2200M"}


def grow_together(way, count):
    """COUNT queries grow at one time; gives the outcomes of those that ended as they wished, and what became of the others."""
    grown, lost = [], []
    tries = [WAYS[way]() for _ in range(count)]
    for one in tries:
        one.go()
    for one in tries:
        try:
            grown.append(one.end())
        except Failure as e:
            lost.append(f"{way}: {e}")
    return grown, lost


def promise_beside(load):
    @test(f"no way of taking memory gets a query killed below its maximum, beside: {load}", slow=EACH)
    def every_way_of_growing():
        delays, lost, before = [], [], kills()
        with configured(**KEYS), unbounded_pipes(), hogs.LOADS[load]():
            for way in ways_beside(load):
                grown = []
                for _ in range(harness.repeats(1, 4)):  # 16 of each way; with four loads in turn 64
                    ended, others = grow_together(way, harness.repeats(1, AT_ONCE))
                    grown += ended
                    lost += others
                mine = [delay for one in grown for delay in one.delays]
                delays += mine
                text = str(grown[0]) if len(grown) == 1 else f"{len(grown)} finished, delay {spread(mine)}"
                note(f"{load}: {way}: {text}")
        note(f"the controller's delay, of {len(delays)} raises: {spread(delays)}")
        expect_equal((lost, kills() - before), ([], 0), "the tries that were lost, and kills by the kernel")


for _load in hogs.LOADS:
    promise_beside(_load)


@contextlib.contextmanager
def file_of(size_mib):
    """A file of alice's that is on disk, and not in memory; gives its path."""
    path = f"{home('alice')}/governor.bin"

    def write():
        with open(path, "wb") as f:
            for _ in range(size_mib):
                f.write(bytes(MIB))
            f.flush()
            os.fsync(f.fileno())  # dirty pages are not dropped
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # else they stay charged to who wrote them

    as_user("alice", write)
    try:
        yield path
    finally:
        os.unlink(path)


def percent(part, whole):
    return f"{100 * part / whole:.2f} %"


def drop_caches():
    system("sh", "-c", "echo 1 >/proc/sys/vm/drop_caches")


def scan_in_bare_group(path, mib):
    """What reclaim alone costs the same reader: (wall time, stalled time) under a memory.max of the same size."""
    drop_caches()
    return hogs.told(hogs.start_race("read", 1, 1, path, limit=f"{mib}M", maximum=f"{mib}M").wait())


def scan_as_query(path, mib):
    drop_caches()
    q = Hog("read", 1, 1, path, options=["--memory-initial", f"{mib}M"])
    q.go()
    done = q.wait().expect(0)
    outcome = Outcome(q.id)
    expect_equal(hogs.passes(done)[0][0], 10 * mib * MIB // os.sysconf("SC_PAGE_SIZE"), "pages read")
    expect(outcome.stats["raises"] <= 1, f"raises: {outcome}")
    note(f"{10 * mib}M under {mib}M: {outcome}")
    return hogs.told(done)


@test("a scan is no need: a file of ten times the quota, read once, raises once at most, and waits for reclaim alone", slow=EACH)
def scan():
    quota = harness.repeats(16, 64)
    bare, mine = [], []
    with file_of(10 * quota) as path, bare_groups():
        for _ in range(harness.repeats(3, 10)):
            bare.append(scan_in_bare_group(path, quota))
            mine.append(scan_as_query(path, quota))
    parts = [[stalled / usec for usec, stalled in runs] for runs in (bare, mine)]
    note(f"wall and stalled time: of queries {mine}, in bare groups {bare}")
    least, middle = (statistics.median(part) for part in parts)
    note(f"stalled for {100 * middle:.2f} % of the run, {100 * least:.2f} % in a bare group (medians of {len(mine)})")
    # The goal is 2 % of the run. Where the disk is as fast as memory the kernel's own reclaim is more, so what is asked for
    # is that Penstock adds no wait of its own: one that is made to sleep in its headroom waits most of the time.
    expect(middle <= max(0.02, 2.5 * least), f"stalled parts of the run: {parts[1]}, in bare groups: {parts[0]}")


@test("a working set in the page cache is need: re-reading twice the quota grows the quota until nothing is read again", slow=EACH)
def working_set():
    quota = harness.repeats(32, 64)
    with file_of(2 * quota) as path:
        q = Hog("read", 1, 8, path, options=["--memory-initial", f"{quota}M"])
        q.go()
        done = q.wait().expect(0)
        outcome = Outcome(q.id)
        passes = hogs.passes(done)
        note(f"refaults of {passes[0][0]} pages, pass by pass: {[refaults for _, _, refaults in passes]}; {outcome}")
        expect_equal(len(passes), 8, "passes")
        expect(outcome.stats["raises"] >= 1, f"raises: {outcome}")
        expect(passes[-1][2] <= passes[-1][0] // 100, f"refaults in the last pass: {passes}")


@test("a growing query that the pool can pay is stalled for at most 5 % of its run", slow=EACH)
def stall_of_growth():
    for words in (("threads", 512, 1), ("threads", 512, 4)) if harness.is_long else (("threads", 512, 1),):
        parts = []
        for _ in range(harness.repeats(3, 10)):
            q = Hog(*words)
            q.go()
            usec, stalled = hogs.told(q.wait().expect(0))
            parts.append(stalled / usec)
            note(f"{words}: {usec / 1e6:.2f} s, stalled {percent(stalled, usec)}; {Outcome(q.id)}")
        middle = statistics.median(parts)
        note(f"{words}: stalled for {100 * middle:.2f} % of the run, median of {len(parts)}")
        expect(middle <= 0.05, f"stalled parts of the run: {parts}")


def ceiling_in_bare_group(mib, *options):
    """How long the allocation takes until the kernel ends it, under a memory.max that nobody raises."""
    tries = race(*options, "threads", 4 * mib, 1, limit=f"{mib}M", maximum=f"{mib}M", tries=3)
    expect(not any(one.survived for one in tries) and all(one.oom_kill >= 1 for one in tries), "the kernel ended each")
    return statistics.median(one.usec for one in tries)


@test("a query over its maximum is ended by the kernel's group kill, nearly as soon as under a bare limit, and hurts nobody", slow=EACH)
def ceiling():
    with bare_groups():
        # A query has no huge pages, unless its language says so.
        bare = ceiling_in_bare_group(256, "--small-pages")
        note(f"under a bare memory.max after {bare:.0f} usec, with huge pages after {ceiling_in_bare_group(256):.0f} usec")
    neighbour = Hog("--hold", "threads", 40, 1)
    neighbour.go()
    wait_for(lambda: b"done" in neighbour.run.out(), "the neighbour has its memory")
    pressure = f"{neighbour.group}/memory.pressure"
    took, before = [], cgroups.read(pressure)
    for _ in range(harness.repeats(1, 10)):
        q = Hog("threads", 1024, 1, options=["--memory-max", "256M"])
        q.go()
        took.append(usec_until_empty(q.group))
        q.wait().expect(137, "MemoryLimitExceeded", ["256M", "memory_max_bytes"])
        stats = Outcome(q.id).stats
        expect_equal((stats["error"]["name"], stats["verdict"]), ("MemoryLimitExceeded", "maximum"), "the error and the verdict")
        note(f"ended after {took[-1]} usec; {Outcome(q.id)}")
    expect(statistics.median(took) <= 3 * bare, f"it took {took} usec, and {bare} under a bare limit")
    expect_equal(total_stall(cgroups.read(pressure)), total_stall(before), "the stalled time of the neighbour")
    neighbour.run.say()
    neighbour.wait().expect(0)


def usec_until_empty(group):
    begin = time.monotonic()
    wait_for(lambda: not cgroups.is_populated(group), f"{group} is empty")
    return int(1e6 * (time.monotonic() - begin))


def total_stall(text):
    return [int(total) for total in re.findall(r"total=(\d+)", text)]


@test("penstockd reacts while 64 hogs in a sibling slice keep every CPU busy: queries grow, and none is killed", slow=EACH)
def sixty_four_hogs():
    before = kills()
    with hogs.busy(64):
        for way in ("1 thread", "16 threads", "MAP_POPULATE") if harness.is_long else ("16 threads",):
            for _ in range(harness.repeats(1, 10)):
                grown, lost = grow_together(way, 1)
                expect_equal(lost, [], "the tries that were lost")
                note(f"{way}: {grown[0]}")
    expect_equal(kills() - before, 0, "kills by the kernel")


LATENCY_RATIO = 2


# A measurement, of less than a millisecond: in the short form two guests share two cores, and the host's scheduler, which takes a
# guest's processor away for milliseconds, was what a median of six showed (1.8 and 5.7 in one run).
@test("once the need is known the raised limit is in force within twice the time of a bare poll and pwrite", long_only=True)
def latency():
    missed = []
    for load in ("nothing", "every CPU busy"):
        with traced(), hogs.LOADS[load](), bare_groups():
            seen = [raised for _ in range(harness.repeats(1, 5)) for raised in latencies()]
        expect(len(seen) >= 5, f"{load}: five raises and more: {seen}")
        for sample, act, back, bare in seen:
            note(f"{load}: sampling {sample:.0f}, to the write {act:.0f}, reading back {back:.0f} usec; bare {bare:.0f} usec")
        ratio = statistics.median(act / bare for _, act, _, bare in seen)
        whole = statistics.median((sample + act) / bare for sample, act, _, bare in seen)
        note(f"{load}: {ratio:.2f} times the bare program, and {whole:.2f} times with sampling (medians of {len(seen)} ratios)")
        if ratio > LATENCY_RATIO:
            missed.append(f"{load}: {ratio:.2f}")
    expect_equal(missed, [], f"ratios above {LATENCY_RATIO}")
