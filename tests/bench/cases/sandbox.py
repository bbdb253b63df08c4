# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the time of a cold start goes: the sandbox of a query without one part at a time, and each part alone, by
StartTransientUnit. Time to the first byte, and CPU time: of PID 1, and of the unit's process before it is executed."""

from kit import starts
from kit.figures import Comparison
from lib.hogs import program

FILTERS = ("RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "LockPersonality", "ProtectClock", "SystemCallArchitectures")
KERNEL = ("ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs")
PARTS = {
    "SystemCallFilter": ("SystemCallFilter", "SystemCallErrorNumber"),
    "RestrictAddressFamilies": ("RestrictAddressFamilies",),
    "the six small filters": FILTERS,
    "ProtectKernel*": KERNEL,
    "ProtectHostname": ("ProtectHostname",),
    "PrivateDevices": ("PrivateDevices",),
    "PrivateIPC": ("PrivateIPC",),
    "PrivateTmp": ("PrivateTmp",),
    "ProtectSystem, ProtectHome": ("ProtectSystem", "ProtectHome", "ReadWritePaths"),
    "ProtectControlGroups": ("ProtectControlGroups",),
    "ProtectProc": ("ProtectProc",),
    "InaccessiblePaths": ("InaccessiblePaths",),
    "TemporaryFileSystem": ("TemporaryFileSystem",),
    "limits and accounting of the group": (
        "Delegate", "MemoryAccounting", "CPUAccounting", "IOAccounting", "TasksAccounting", "MemorySwapMax", "CPUWeight", "IOWeight",
        "MemoryMax", "MemoryLow", "TasksMax", "ManagedOOMPreference", "OOMPolicy"),
}  # fmt: skip
SECCOMP = (*PARTS["SystemCallFilter"], "RestrictAddressFamilies", *FILTERS, *KERNEL, "ProtectHostname")
MOUNTS = tuple(p for name in list(PARTS)[3:-1] for p in PARTS[name])
FULL, BARE = "the whole sandbox", "none of it"


def all_ways():
    """What start_unit() in tests/bench/start_unit.c is to leave out."""
    ways = {FULL: "-", BARE: "all"}
    whole = {"all system call filters": SECCOMP, "all that mounts": MOUNTS}
    for name, parts in {**whole, **PARTS}.items():
        ways[f"without {name}"] = ",".join(parts)
    for name, parts in {**whole, **PARTS}.items():
        ways[f"{name} alone"] = "+" + ",".join(parts)
    return ways


def run(bench):
    first = Comparison("sandbox.first", "a unit, to its first byte", "ms", FULL)
    pid1 = Comparison("sandbox.pid1", "the same, CPU time of PID 1", "ms", FULL)
    own = Comparison("sandbox.own", "the same, CPU time of its process before it is executed", "ms", FULL)
    ways, cpu = all_ways(), program("bench-cpu", starts.ROOM)
    with starts.starters() as (_, root), starts.bench_slice():

        def one(n, way):
            worked = starts.cpu_nsec(1)
            span = root.ask("unit", ways[way], cpu)
            starts.settle()
            if n > 0:
                first.add(way, span[0] / 1e6)
                pid1.add(way, (starts.cpu_nsec(1) - worked) / 1e6)
                own.add(way, span[3] / 1e6)

        starts.in_turn(ways, bench.rounds, one)
    bench.show(first, pid1, own)
