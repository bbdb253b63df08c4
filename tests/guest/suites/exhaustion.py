# SPDX-License-Identifier: LGPL-2.1-or-later
"""When the budget can't pay all at once: who waits goes on later, and nobody dies who need not."""

import contextlib
import time

from lib import attached, cgroups, harness, traced
from lib.cgroups import MIB
from lib.grower import STARTED, Growers, read_words
from lib.harness import expect, expect_equal, note, test, wait_for
from lib.service import reload_daemon, status, wait_for_state, write_drop_in

COUNT = 8
BUDGET = 512 * MIB
NEED = BUDGET * 6 // 10 // MIB + 1  # MiB that each touches
KEYS = {
    "MaxMemoryBytes": BUDGET, "InitialMemoryBytesQuotaPerQuery": "16M", "MemoryBytesQuotaPerQuery": "320M",
    "ConcurrencyQuota": COUNT,
}
# A query that crawls at its limit is stalled all the time, far longer than its growth takes else.
CRAWL = 0.5


def check_times(seen, growing_usec):
    """GROWING_USEC is how long it takes one of them to grow, the time of all divided among them."""
    times = {k: seen[k] // 1000 for k in ("execute_usec", "frozen_usec", "stall_usec")}
    note(f"query {seen['id']}: in ms {times}; {seen['raises']} raises; {seen['verdict'] or 'finished'}")
    expect(0 <= seen["frozen_usec"] < seen["execute_usec"], f"frozen time is a part of the run: {seen}")
    expect(seen["stall_usec"] < CRAWL * growing_usec, f"it did not crawl (all took {growing_usec:.0f} us each): {seen}")


def kills():
    return cgroups.table(cgroups.SLICE, "memory.events")["oom_kill"]


@test("eight queries that each need 60 % of the budget all finish, one after the other: no victim, no kernel kill, no crawl", slow=True)
def one_after_the_other():
    for _ in range(harness.repeats(1, 20)):
        with traced.traced(**KEYS), Growers() as growers:
            before = kills()
            queries = [growers.start(NEED) for _ in range(COUNT)]
            for q in queries:
                read_words(q, STARTED)
            begin = time.monotonic()
            growers.open()
            for q in queries:
                expect_equal(q.read_all(), f"{NEED}\n".encode(), f"the output of query {q.id}")
            growing_usec = (time.monotonic() - begin) * 1e6 / COUNT
            waited = 0
            for q in queries:
                wait_for_state(q.id, "finished", "errored")
                seen = q.describe()
                expect_equal((seen["state"], seen["error"]), ("finished", None), f"how query {q.id} ended")
                check_times(seen, growing_usec)
                waited += seen["frozen_usec"] > 0
            # Two do not fit, so at least all but one were stopped for a while.
            expect(waited >= COUNT - 1, f"queries that were frozen: {waited}")
            expect_equal(kills(), before, "processes that the kernel killed in penstock.slice")
            wait_for(lambda: status()["used_memory_bytes"] == COUNT * 16 * MIB, "the pool is whole")
            traced.Replay()
            expect_equal(Ledger().victims, [], "victims in the record")


class Ledger:
    """What the record says that each query held when the first victim was chosen, and who was."""

    def __init__(self):
        self.config, self.leases, self.victims, self.at_deadlock = {}, {}, [], None
        for line in traced.lines():
            self._read(line.split(" message=")[0].split())

    def _read(self, words):
        values = dict(w.split("=") for w in words if "=" in w)
        if words[0] == "c":
            self.config.update({k: int(v) for k, v in values.items()})
        elif words[0] == "a" and words[1] in ("execute", "set-limits"):
            self.leases[int(words[2])] = int(values["limits.max_bytes"])
        elif words[0] == "e" and words[2] == "lowered" and "limits.r" not in values:
            self.leases[int(words[3])] = int(values["limits.max_bytes"])
        elif words[0] == "e" and words[2] in ("ended", "unit-gone"):
            self.leases.pop(int(words[3]), None)
        elif words[:2] == ["a", "note"] and values["note"] == NOTE_VICTIM:
            if self.at_deadlock is None:
                self.at_deadlock = dict(self.leases)
            self.victims.append(int(words[2]))

    def needed(self, maximum):
        """How many must end, the youngest first, until the oldest can have MAXIMUM: what no computation may undercut."""
        slot = self.config["InitialMemoryBytesQuotaPerQuery"]
        reserved = self.config["ConcurrencyQuota"] * slot
        alive = sorted(self.at_deadlock)
        for n in range(len(alive)):
            others = sum(max(0, self.at_deadlock[q] - slot) for q in alive[1 : len(alive) - n])
            if reserved + others + maximum - slot <= self.config["MaxMemoryBytes"]:
                return n, alive[len(alive) - n :]
        return len(alive) - 1, alive[1:]


NOTE_VICTIM = "4"  # of NoteType in core/engine.h


@test("when a smaller budget leaves nobody who can go on, no more end than the oldest needs to finish, the youngest first", slow=True)
def no_more_victims_than_needed():
    held, wanted, count = 200, NEED, 5
    keys = {**KEYS, "ConcurrencyQuota": count, "FreezeTimeoutSec": "2s"}
    with contextlib.ExitStack() as stack, traced.traced(**{**keys, "MaxMemoryBytes": 1400 * MIB}), Growers(2) as growers:
        stack.callback(attached.close_all)
        before = kills()
        queries = [growers.start(held, wanted) for _ in range(count)]
        for q in queries:
            read_words(q, STARTED)
        growers.open(0)
        for q in queries:
            read_words(q, f"{held}\n".encode() + STARTED)
        write_drop_in({"Trace": "64M", **keys, "MaxMemoryBytes": 880 * MIB})
        reload_daemon()
        begin = time.monotonic()
        growers.open(1)
        outputs = [q.read_all() for q in queries]
        took_usec = (time.monotonic() - begin) * 1e6
        ended = {}
        for q, output in zip(queries, outputs):
            wait_for_state(q.id, "finished", "errored")
            seen = ended[q.id] = q.describe()
            check_times(seen, took_usec)
            if seen["state"] == "finished":
                expect_equal(output, f"{wanted}\n".encode(), f"the output of query {q.id}")
                continue
            expect_equal((seen["error"]["name"], seen["verdict"]), ("MemoryBudgetExhausted", "budget"), f"how {q.id} ended")
            for word in ("MaxMemoryBytes", "320", "880"):
                harness.expect_in(word, seen["error"]["message"], "its message has the setting and the numbers")
            expect(seen["frozen_usec"] > 0, f"it was frozen before: {seen}")
        traced.Replay()
        ledger = Ledger()
        victims = [q for q, seen in ended.items() if seen["state"] == "errored"]
        expect(ledger.at_deadlock, "there was a deadlock")
        needed, youngest = ledger.needed(320 * MIB)
        note(f"held {ledger.at_deadlock}; {needed} must end: {youngest}; ended: {ledger.victims}")
        expect(0 < needed < count - 1, f"the figures can tell one victim too many: {needed}")
        expect_equal((sorted(ledger.victims), victims), (youngest, youngest), "the victims in the record, and those that ended")
        expect_equal(kills(), before, "processes that the kernel killed in penstock.slice")
