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
    # A round takes minutes, and a shared host is twice as fast in one of them as in the next: so each way is divided by the whole
    # sandbox right before it.
    first = Comparison("sandbox.first", f"a unit, to its first byte, of {FULL} right before", "", None)
    own = Comparison("sandbox.own", "the same, CPU time of its process before it is executed", "", None)
    pid1 = Comparison("sandbox.pid1", "the same, CPU time of PID 1", "", None)
    whole = Comparison("sandbox.whole", FULL, "ms", "to the first byte")
    ways, cpu = all_ways(), program("bench-cpu", starts.ROOM)

    def started(root, way):
        """(to the first byte, CPU time of its process, CPU time of PID 1), in milliseconds."""
        worked = starts.cpu_nsec(1)
        span = root.ask("unit", ways[way], cpu)
        starts.settle()
        return span[0] / 1e6, span[3] / 1e6, (starts.cpu_nsec(1) - worked) / 1e6

    with starts.starters() as (_, root), starts.bench_slice():
        started(root, FULL)
        for _ in range(bench.few):
            for way in ways:
                before = started(root, FULL)
                after = started(root, way)
                for name, value in zip(("to the first byte", "CPU time of its process", "CPU time of PID 1"), before):
                    whole.add(name, value)
                for comparison, a, b in zip((first, own, pid1), after, before):
                    comparison.add(way, a / b)
    bench.show(whole, first, own, pid1)
