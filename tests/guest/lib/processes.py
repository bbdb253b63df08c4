# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the kernel tells of a process: its sleeps, its memory, its time on a CPU."""

import glob
import re

from lib import cgroups


def switches(pid):
    """Voluntary context switches of all threads: each is a sleep that a wake-up ended."""
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/status"):
        total += int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", cgroups.read(path), re.M)[1])
    return total


def pss_kib(pid):
    """The memory of a process, shared pages by their share."""
    return int(re.search(r"^Pss:\s+(\d+) kB", cgroups.read(f"/proc/{pid}/smaps_rollup"), re.M)[1])


def cpu_nsec(pid):
    """The time that all its threads had on a CPU, to the nanosecond; what ended is not in it."""
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        total += int((cgroups.read(path) or "0").split()[0])
    return total


def sleeps_for_good(group):
    """Does one of a group sleep where no signal wakes it?"""
    return any(") D " in (cgroups.read(f"/proc/{pid}/stat") or "") for pid in cgroups.pids(group))
