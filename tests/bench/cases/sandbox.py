# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the time of a cold start goes: the sandbox of a query without one part at a time, and one part alone, by
StartTransientUnit. Time to the first byte, and what PID 1 worked."""

from kit import starts
from kit.figures import Comparison

SECCOMP = ("SystemCallFilter", "SystemCallArchitectures", "RestrictAddressFamilies", "RestrictNamespaces", "RestrictRealtime",
           "RestrictSUIDSGID", "LockPersonality", "ProtectClock", "ProtectKernelModules", "ProtectKernelLogs",
           "SystemCallErrorNumber", "ProtectHostname")
MOUNTS = ("PrivateDevices", "PrivateIPC", "PrivateTmp", "ProtectSystem", "ProtectHome", "ProtectControlGroups", "ProtectKernelTunables",
          "ProtectKernelLogs", "ProtectKernelModules", "ProtectHostname", "ProtectProc", "InaccessiblePaths", "TemporaryFileSystem",
          "ReadWritePaths", "PrivateNetwork")
GROUP = ("Delegate", "MemoryAccounting", "CPUAccounting", "IOAccounting", "TasksAccounting", "MemorySwapMax", "CPUWeight", "IOWeight",
         "MemoryMax", "MemoryLow", "TasksMax", "ManagedOOMPreference", "OOMPolicy")
PARTS = {
    "all system call filters": SECCOMP,
    "SystemCallFilter": ("SystemCallFilter", "SystemCallErrorNumber"),
    "SystemCallArchitectures": ("SystemCallArchitectures",),
    "RestrictAddressFamilies": ("RestrictAddressFamilies",),
    "RestrictNamespaces": ("RestrictNamespaces",),
    "RestrictSUIDSGID": ("RestrictSUIDSGID",),
    "RestrictRealtime, LockPersonality": ("RestrictRealtime", "LockPersonality"),
    "ProtectClock": ("ProtectClock",),
    "ProtectKernelModules": ("ProtectKernelModules",),
    "ProtectKernelLogs": ("ProtectKernelLogs",),
    "ProtectHostname": ("ProtectHostname",),
    "the whole mount namespace": MOUNTS,
    "PrivateDevices": ("PrivateDevices",),
    "PrivateIPC": ("PrivateIPC",),
    "PrivateTmp": ("PrivateTmp",),
    "ProtectSystem, ProtectHome": ("ProtectSystem", "ProtectHome", "ReadWritePaths"),
    "ProtectKernelTunables": ("ProtectKernelTunables",),
    "ProtectControlGroups": ("ProtectControlGroups",),
    "ProtectProc": ("ProtectProc",),
    "InaccessiblePaths": ("InaccessiblePaths",),
    "TemporaryFileSystem": ("TemporaryFileSystem",),
    "limits and accounting of the group": GROUP,
    "KeyringMode": ("KeyringMode",),
    "all of the sandbox": ("all",),
}


def run(bench):
    first = Comparison("sandbox.first", "a unit to its first byte, without", "ms", "nothing left out")
    pid1 = Comparison("sandbox.pid1", "the same, CPU time of PID 1", "ms", "nothing left out")
    ways = {"nothing left out": "-", **{name: ",".join(parts) for name, parts in PARTS.items()}}
    byte = starts.shortest()
    with starts.starters() as (_, root), starts.bench_slice():

        def one(n, way):
            worked = starts.cpu_nsec(1)
            span = root.ask("unit", ways[way], byte)
            starts.settle()
            if n > 0:
                first.add(way, span[0] / 1e6)
                pid1.add(way, (starts.cpu_nsec(1) - worked) / 1e6)

        starts.in_turn(ways, bench.rounds, one)
    bench.show(first, pid1)
