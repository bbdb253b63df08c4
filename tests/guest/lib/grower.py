# SPDX-License-Identifier: LGPL-2.1-or-later
"""Queries that touch memory as fast as they can, all from one instant on, and what a storm of them must never do."""

import fcntl
import os
import re
import subprocess
import tempfile

from lib import attached, cgroups, harness
from lib.attached import Attached
from lib.cgroups import MIB
from lib.harness import expect, expect_equal, note, wait_for
from lib.service import status, system, wait_for_state
from lib.traced import Replay, traced

HERE = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
STARTED = b"waits\n"


class Growers:
    """Queries of grow.c. Gates are shut at first; each opens once, for all who wait at it and who come later."""

    def __init__(self, gates=1):
        self.directory = tempfile.mkdtemp(prefix="grow.", dir="/var/lib")
        os.chmod(self.directory, 0o755)
        self.program = f"{self.directory}/grow"
        system("gcc", "-O1", "-o", self.program, f"{HERE}/grow.c")
        self.gates = [open(f"{self.directory}/gate{i}", "w", encoding="ascii") for i in range(gates)]
        for gate in self.gates:
            fcntl.flock(gate, fcntl.LOCK_EX)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        attached.close_all()
        for gate in self.gates:
            gate.close()
        system("rm", "-r", self.directory)

    def start(self, *sizes, pairs=()):
        """A query that grows to each of SIZES (MiB) when the gate of that number opens."""
        argv = [self.program]
        for gate, size in zip(self.gates, sizes):
            argv += [gate.name, str(size)]
        query = Attached(argv, *pairs)
        query.sizes = sizes
        return query

    def open(self, gate=0):
        fcntl.flock(self.gates[gate], fcntl.LOCK_UN)


def read_words(query, words):
    """Wait until a query has said WORDS, which is all that it says until it is let go on."""
    seen = b""
    while len(seen) < len(words) and (part := os.read(query.results, len(words) - len(seen))):
        seen += part
    expect_equal(seen, words, f"what query {query.id} says")


class Observer:
    """tests/guest/observe, a program of its own that reads nothing but the kernel's files."""

    def __init__(self, budget):
        self.process = subprocess.Popen(
            [f"{HERE}/observe", str(budget)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )
        self.said = self.process.stdout.readline()
        expect(self.said.startswith("observer: watches"), f"the observer has seen them at rest: {self.said}")

    def finish(self):
        """Its last words, as (states that counted, most groups at once); fails if a sum passed the budget."""
        text = self.process.communicate()[0]
        note(text)
        expect_equal(self.process.returncode, 0, f"the observer's status ({text})")
        found = re.search(r"running, (\d+) states; at most (\d+) at once; largest sum .*; 0 over it$", text.strip())
        expect(found, f"the observer saw no sum over the budget: {text}")
        return tuple(int(n) for n in found.groups())


def storm(count, budget):
    """COUNT queries grow at once and want more than BUDGET together. Seen from outside and in the service's own record,
    their limits never pass it; they wait for each other, and each gets its answer."""
    sizes = [harness.rng.randrange(4, 50) for _ in range(count)]
    expect(sum(max(8, s) for s in sizes) > budget // MIB, f"together they want more than there is: {sum(sizes)}M")
    keys = {
        "ConcurrencyQuota": count, "InitialMemoryBytesQuotaPerQuery": "8M", "MemoryBytesQuotaPerQuery": "64M",
        "MaxMemoryBytes": budget, "MaxQueriesPerUser": 2 * count, "ReserveMemoryBytes": "1M", "AllowOvercommit": "yes",
    }
    with Growers() as growers, traced(**keys):
        queries = [growers.start(s) for s in sizes]
        for q in queries:
            read_words(q, STARTED)
        expect_equal(status()["executing"], count, "they execute at once")
        before = slice_events()
        observer = Observer(budget)
        growers.open()
        outputs = [q.read_all() for q in queries]
        raises = _judge(queries, outputs)
        states, most = observer.finish()
        expect_equal(most, count, "the most that were seen at once")
        expect(states > 1, f"they were seen at rest, and while they grew: {states}")
        expect_equal(slice_events()["max"], before["max"], "`max` events of penstock.slice itself")
        wait_for(lambda: not cgroups.unit_groups(), "all units are gone")
        wait_for(lambda: status()["used_memory_bytes"] == count * 8 * MIB, "the pool is whole")
        attached.close_all()
        # What the observer can't see between two scans, the service's own ordered record of its writes has.
        replay = Replay()
        expect_equal(replay.budget_bytes, budget, "the budget in the record")
        expect(0 < replay.raises <= raises, f"the record has their {raises} raises: {replay.text}")


def slice_events():
    return cgroups.table(cgroups.SLICE, "memory.events.local")


def _judge(queries, outputs):
    """All ended well, and some had to wait. Returns their raises."""
    raises = frozen = 0
    for q, output in zip(queries, outputs):
        wait_for_state(q.id, "finished", "errored")
        seen = q.done()
        expect_equal((seen["verdict"], output), ("", f"{q.sizes[0]}\n".encode()), f"verdict and output of query {q.id}")
        raises += seen["raises"]
        frozen += seen["frozen_usec"] > 0
    note(f"{frozen} of {len(queries)} waited frozen; {raises} raises")
    expect(frozen > 0, "the pool could not pay all at once")
    return raises
