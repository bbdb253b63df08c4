# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel's own view of queries: the files of their groups, read from outside the service."""

import errno
import glob
import os
import threading
import time

ROOT = "/sys/fs/cgroup"
SLICE = f"{ROOT}/penstock.slice"
MIB = 1 << 20
INFINITY = 1 << 63  # what "max" counts as


def read(path):
    """The text of a file, or None when it, its group or its process is gone."""
    try:
        with open(path, encoding="ascii") as f:
            return f.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as e:
        if e.errno in (errno.ENODEV, errno.ESRCH):  # the group, or the process, went while the file was open
            return None
        raise


def limit(group, name="memory.max"):
    """A limit in bytes, INFINITY for "max", or None when the group is gone."""
    text = read(f"{group}/{name}")
    if not text:
        return None
    return INFINITY if text.strip() == "max" else int(text)


def table(group, name):
    """A file of "key value" lines as a dictionary; empty when the group is gone."""
    return {k: int(v) for k, v in (line.split() for line in (read(f"{group}/{name}") or "").splitlines())}


def pids(group):
    return [int(p) for p in (read(f"{group}/cgroup.procs") or "").split()]


def is_populated(group):
    return table(group, "cgroup.events").get("populated", 0) == 1


def unit_groups():
    """The groups of all units of queries."""
    return sorted(glob.glob(f"{SLICE}/penstock-q*.service"))


def unit_group(query_id):
    return f"{SLICE}/penstock-q{query_id}.service"


def engine_group(query_id):
    return f"{unit_group(query_id)}/engine"


def all_groups_below(group):
    return [path for path, _dirs, _files in os.walk(group)][1:]


def scan():
    """engine/memory.max of each populated engine group. A group is born with "max" before its limit is written, so
    only populated ones count."""
    found = {}
    for group in glob.glob(f"{SLICE}/penstock-q*.service/engine"):
        if is_populated(group):
            value = limit(group)
            if value is not None:
                found[group] = value
    return found


class Observer(threading.Thread):
    """Sums the limits in force, over and over. The files cannot be read at one instant, so a scan counts only when the
    one right after it saw the same groups with the same values."""

    def __init__(self, budget_bytes):
        super().__init__(daemon=True)
        self.budget_bytes = budget_bytes
        self.scans = self.pairs = self.states = 0
        self.sum_max = self.count_max = 0
        self.over = []  # the first scans whose sum passed the budget
        self.failure = None
        self._ending = threading.Event()

    def run(self):
        try:
            self._watch()
        except Exception as e:  # told to who waits for it
            self.failure = e

    def _watch(self):
        before, counted = scan(), None
        while not self._ending.is_set():
            now = scan()
            self.scans += 1
            if now and now == before:
                self.pairs += 1
                self.states += now != counted
                counted = now
                total = sum(now.values())
                self.sum_max = max(self.sum_max, total)
                self.count_max = max(self.count_max, len(now))
                if total > self.budget_bytes and len(self.over) < 5:
                    self.over.append(now)
            before = now
            time.sleep(0.001)  # let others run; nothing is decided by it

    def finish(self):
        self._ending.set()
        self.join()
        if self.failure:
            raise self.failure
        return self

    def __str__(self):
        return (
            f"{self.scans} scans, {self.pairs} with an equal one before and queries running, {self.states} states; "
            f"at most {self.count_max} at once; "
            f"largest sum {self.sum_max / MIB:.0f}M of a budget of {self.budget_bytes / MIB:.0f}M; {len(self.over)} over it"
        )


class Sampler(threading.Thread):
    """Notes each pair (memory.max, memory.high) that one group was seen with, in their order."""

    def __init__(self, group):
        super().__init__(daemon=True)
        self.group = group
        self.seen = []
        self._ending = threading.Event()

    def run(self):
        while not self._ending.is_set():
            pair = (limit(self.group), limit(self.group, "memory.high"))
            again = limit(self.group)
            if again is None:
                return
            # Two files cannot be read at once, so a pair counts only when the first had not changed meanwhile.
            if pair[0] == again and pair[1] is not None and (not self.seen or self.seen[-1] != pair):
                self.seen.append(pair)
            time.sleep(0.001)

    def finish(self):
        self._ending.set()
        self.join()
        return self.seen

    def maxima(self):
        """The values of memory.max, without repetitions."""
        values = []
        for value, _high in self.seen:
            if not values or values[-1] != value:
                values.append(value)
        return values
