# SPDX-License-Identifier: LGPL-2.1-or-later
"""What PID 1 does, and what an administrator does through it, while a query grows: ledger, kernel and systemctl agree
afterwards."""

import contextlib

from lib import cgroups
from lib.cgroups import MIB, SLICE
from lib.harness import expect, expect_equal, note, test, wait_for
from lib.service import Gated, Running, configured, ctl_json, system, unit_property

# Each line that it reads makes it grow by 100M; an empty one ends it.
STEPS = """
kept = []
while True:
    kept.append(bytearray(100 << 20)); print('has', len(kept), flush=True)
    if sys.stdin.readline() != 'more\\n': break
print('kept', sum(len(k) for k in kept) >> 20)
"""


class Steps(Gated):
    """A query that has grown by one step, and grows by another whenever it is told to."""

    def __init__(self, *options):
        super().__init__(STEPS, *options)
        self.count = 1
        self.unit = f"penstock-q{self.id}.service"
        self.go()
        self.wait_for_step()

    def more(self):
        self.count += 1
        self.run.say(b"more\n")

    def wait_for_step(self):
        self.wait_for_output(b"has %d\n" % self.count)

    def finish(self):
        self.run.say(b"end\n")
        expect_equal(self.wait().expect(0).text.splitlines()[-1], f"kept {100 * self.count}", "the answer")


def quota(q):
    return ctl_json("show", str(q.id))["memory_quota_bytes"]


def expect_agreement(q):
    """The ledger and the kernel on the quota; systemctl and the kernel on the unit and the slice above it."""
    expect_equal(cgroups.limit(q.group), quota(q), "engine/memory.max, and the quota that show tells")
    for unit, group in ((q.unit, cgroups.unit_group(q.id)), ("penstock.slice", SLICE)):
        expect_equal(cgroups.limit(group), int(unit_property(unit, "MemoryMax")), f"memory.max, and MemoryMax of {unit}")
        expect(cgroups.limit(group) >= cgroups.limit(q.group), f"memory.max of {unit} is not below that of engine/")


@test("daemon-reload, daemon-reexec, and set-property on unit and slice, while a query grows, put no old limit back", slow=True)
def in_the_middle_of_growth():
    q = Steps()
    sampler = cgroups.Sampler(q.group)
    sampler.start()
    for command in (
        ("daemon-reload",),
        ("set-property", "--runtime", q.unit, "CPUWeight=50"),
        ("set-property", "--runtime", "penstock.slice", "CPUWeight=200"),
        ("daemon-reexec",),
    ):
        doing = Running(["systemctl", *command], user="root", cwd="/")
        q.more()
        q.wait_for_step()
        doing.wait().expect(0)
        expect_agreement(q)
    q.more()
    q.wait_for_step()
    sampler.finish()
    system("systemctl", "daemon-reload")
    expect_agreement(q)
    note(f"memory.max was seen as {[v // MIB for v in sampler.maxima()]}")
    expect_equal(sampler.maxima(), sorted(sampler.maxima()), "memory.max, which only rose")
    expect(quota(q) >= q.count * 100 * MIB, f"the quota is {quota(q)}")
    q.finish()


@contextlib.contextmanager
def capped(unit, size):
    """An administrator's limit for a while; afterwards the one that was there is set again."""
    before = unit_property(unit, "MemoryMax")
    system("systemctl", "set-property", "--runtime", unit, f"MemoryMax={size}")
    try:
        yield
    finally:
        # The unit may have ended.
        system("systemctl", "set-property", "--runtime", unit, f"MemoryMax={before}", check=False)


@test("an administrator's MemoryMax on a query's unit is its maximum while it stands: what it holds falls, and grows again after",
      slow=True)
def cap_on_the_unit():
    q = Steps()
    q.more()
    q.wait_for_step()
    cap = 240 * MIB
    expect(quota(q) > cap, f"it holds more than the limit that comes: {quota(q)}")
    with capped(q.unit, cap):
        wait_for(lambda: quota(q) <= cap and quota(q) == cgroups.limit(q.group), f"the quota is within the limit ({quota(q)})")
        expect_agreement(q)
        system("systemctl", "daemon-reload")
        expect_agreement(q)
        expect_equal(cgroups.limit(cgroups.unit_group(q.id)), cap, "memory.max of the unit is still the administrator's")
    for _ in range(2):
        q.more()
        q.wait_for_step()
    expect_agreement(q)
    q.finish()


@test("a query that grows past an administrator's MemoryMax on its unit is ended, and the verdict says whose limit it was", slow=True)
def over_the_cap_of_the_unit():
    neighbour, q = Steps(), Steps()
    sampler = cgroups.Sampler(q.group)
    sampler.start()
    with capped(q.unit, 160 * MIB):
        q.more()
        q.wait().expect(137, "MemoryBudgetExhausted", ["MemoryMax"])
    sampler.finish()
    expect(max(sampler.maxima()) <= 160 * MIB, f"it was never given more: {sampler.maxima()}")
    expect_equal(ctl_json("stats", str(q.id))["verdict"], "slice", "the verdict")
    neighbour.more()
    neighbour.wait_for_step()
    neighbour.finish()


@test("an administrator's MemoryMax on penstock.slice is a smaller budget while it stands: who needs more waits, and goes on after",
      slow=True)
def cap_on_the_slice():
    with configured(MaxMemoryBytes="800M", ConcurrencyQuota=2, MemoryBytesQuotaPerQuery="600M"):
        wait_for(lambda: cgroups.limit(SLICE) == int(unit_property("penstock.slice", "MemoryMax")), "the slice has its limit")
        slack = cgroups.limit(SLICE) - 800 * MIB
        q, other = Steps(), Steps()
        q.more()
        q.wait_for_step()
        held = quota(q) + quota(other)
        note(f"{held // MIB}M are held; slack {slack // MIB}M")
        cap = held + slack
        with capped("penstock.slice", cap):
            wait_for(lambda: ctl_json("status")["unused_memory_bytes"] == 0, "nothing is left of the smaller budget")
            start = quota(other)
            for _ in range(2):
                other.more()
            other.count -= 1
            wait_for(lambda: cgroups.table(other.group, "cgroup.events").get("frozen") == 1, "who needs more waits")
            expect_equal((quota(other), cgroups.limit(other.group)), (start, start), "its quota meanwhile")
            expect_equal(cgroups.limit(SLICE), cap, "memory.max of the slice is still the administrator's")
            expect_agreement(q)
            expect_agreement(other)
        other.wait_for_step()
        other.count += 1
        other.wait_for_step()
        expect_agreement(other)
        q.finish()
        other.finish()
