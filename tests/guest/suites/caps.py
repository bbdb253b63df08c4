# SPDX-License-Identifier: LGPL-2.1-or-later
"""An administrator's `systemctl set-property` in the middle of growth: a lower limit is a cap until it is lifted; ledger,
kernel and systemctl agree afterwards."""

import contextlib

from lib import cgroups
from lib.cgroups import SLICE
from lib.harness import expect, expect_equal, note, test, wait_for
from lib.service import MIB, Gated, configured, ctl_json, reload_daemon, run, status, system, unit_property

STEPS = """
kept = []
for line in sys.stdin:
    kept.append(bytearray(int(line) << 20)); print("holds", sum(map(len, kept)) >> 20, flush=True)
"""


def set_property(unit, *properties):
    system("systemctl", "set-property", "--runtime", unit, *properties)


def grow(q, mib, to):
    q.run.say(f"{mib}\n".encode())
    q.wait_for_output(f"holds {to}\n".encode())


def expect_agreement(q):
    """Waits, since the profile of a query that grows is ahead of what show was told."""
    wait_for(
        lambda: cgroups.limit(q.group) == ctl_json("show", str(q.id))["memory_quota_bytes"],
        "the kernel's engine/memory.max is the quota that show tells",
    )


def end(q):
    q.run.process.stdin.close()
    q.wait().expect(0)


@test("MemoryMax= set on a growing query's unit caps it until it is lifted; then it grows on")
def cap_of_unit():
    q = Gated(STEPS)
    q.go()
    unit = f"penstock-q{q.id}.service"
    before = cgroups.limit(cgroups.unit_group(q.id))
    grow(q, 50, 50)
    set_property(unit, "MemoryMax=200M")
    grow(q, 100, 150)
    wait_for(lambda: cgroups.limit(q.group) > 150 * MIB, "it was raised under the cap")
    limit = cgroups.limit(q.group)
    expect(limit < 200 * MIB, f"memory.max {limit} leaves room for the worker below the unit's")
    expect_agreement(q)
    expect_equal(cgroups.limit(cgroups.unit_group(q.id)), 200 * MIB, "the unit's limit, which is the administrator's")
    set_property(unit, f"MemoryMax={before}")
    grow(q, 250, 400)
    expect_agreement(q)
    end(q)


@test("a query that needs more than its capped unit ends below the cap, and is told of the unit's limit")
def over_cap_of_unit():
    q = Gated("b=bytearray(400<<20)")
    set_property(f"penstock-q{q.id}.service", "MemoryMax=200M")
    sampler = cgroups.Sampler(q.group)
    sampler.start()
    q.go()
    q.wait().expect(137, "MemoryBudgetExhausted", ["limit of its unit", "administrator"])
    sampler.finish()
    expect(max(sampler.maxima()) < 200 * MIB, f"memory.max was never above the cap: {sampler.maxima()}")
    expect_equal(ctl_json("stats", str(q.id))["verdict"], "slice", "the verdict")


@test("MemoryMax= set on penstock.slice makes the budget smaller, also across a reload, until it is lifted", slow=True)
def cap_of_slice():
    with configured(ExhaustionPolicy="fail"):
        ours, unused = cgroups.limit(SLICE), status()["unused_memory_bytes"]
        events = cgroups.table(SLICE, "memory.events.local")
        q = Gated(STEPS)
        q.go()
        grow(q, 50, 50)
        used = unused - status()["unused_memory_bytes"]
        lower = ours - unused + 400 * MIB  # 400M of the budget are left
        set_property("penstock.slice", f"MemoryMax={lower}")
        wait_for(lambda: abs(status()["unused_memory_bytes"] + used - 400 * MIB) < MIB, "the budget is what the slice lets it be")
        reload_daemon()
        expect_equal(cgroups.limit(SLICE) // MIB, lower // MIB, "the slice's limit after a reload: the administrator's")
        run("--", "python3", "-c", "bytearray(600 << 20)").expect(137, "MemoryBudgetExhausted")
        expect_equal(cgroups.table(SLICE, "memory.events.local"), events, "events of the slice's own limit")
        set_property("penstock.slice", "MemoryMax=infinity")
        wait_for(lambda: status()["unused_memory_bytes"] + used == unused, "the budget is whole again")
        wait_for(lambda: cgroups.limit(SLICE) == ours, "the slice has its own limit again")
        run("--", "python3", "-c", "bytearray(600 << 20)").expect(0)
        end(q)


@test("set-property CPUWeight= on unit and slice while a query grows changes no limit, and all agree afterwards", slow=True)
def other_properties():
    ours = cgroups.limit(SLICE)
    q = Gated(STEPS)
    q.go()
    unit = f"penstock-q{q.id}.service"
    of_unit = cgroups.limit(cgroups.unit_group(q.id))
    for step in range(1, 7):
        set_property(unit, f"CPUWeight={100 + step}")
        set_property("penstock.slice", f"CPUWeight={100 + step}")
        grow(q, 60, 60 * step)
    expect_agreement(q)
    for name, group, wanted in ((unit, cgroups.unit_group(q.id), of_unit), ("penstock.slice", SLICE, ours)):
        expect_equal(cgroups.limit(group), wanted, f"memory.max of {name}")
        told = int(unit_property(name, "MemoryMax"))
        expect_equal(told - told % 4096, wanted, f"what systemctl shows of {name}")
    stats = ctl_json("stats", str(q.id))
    note(f"{stats['raises']} raises")
    end(q)
    with contextlib.suppress(FileNotFoundError):
        set_property("penstock.slice", "CPUWeight=")
