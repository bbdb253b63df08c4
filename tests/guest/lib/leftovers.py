# SPDX-License-Identifier: LGPL-2.1-or-later
"""All that queries use, counted where its owner keeps it, so that what is left can be seen."""

import collections
import contextlib
import glob
import os
import re

from lib import cgroups
from lib.harness import Failure, expect_equal, wait_for
from lib.service import ctl, ctl_json, daemon_pid, list_queries, run, status, system

_seen = set()  # the penstockds that have run a query


def worker_of(query_id):
    """The PID of a query's worker; 0 when there is none."""
    return min(cgroups.pids(f"{cgroups.unit_group(query_id)}/worker"), default=0)


def descriptors(pid):
    """What penstockd has open, by kind: a path, or "socket", "pipe" and so on; those of queries without their number. Nothing when it
    is gone."""
    found, numbers = collections.Counter(), []
    with contextlib.suppress(FileNotFoundError):
        numbers = os.listdir(f"/proc/{pid}/fd")
    for fd in numbers:
        with contextlib.suppress(OSError):
            found[re.sub(r":\[\d+\]|\d+", "", os.readlink(f"/proc/{pid}/fd/{fd}"))] += 1
    return found


def children(pid):
    text = ""
    for task in glob.glob(f"/proc/{pid}/task/*/children"):
        text += cgroups.read(task) or ""
    return len(text.split())


def counts():
    """All that queries use, each by the files of its owner."""
    pid = daemon_pid()
    units = system("systemctl", "list-units", "--all", "--no-legend", "--plain", "penstock-q*").text
    return {
        "units": len(units.splitlines()),
        "groups": len(cgroups.all_groups_below(cgroups.SLICE)),
        "descriptors of penstockd": len(os.listdir(f"/proc/{pid}/fd")),
        "children of penstockd": children(pid),
        "transient unit files": len(glob.glob("/run/systemd/transient/penstock-q*")),
        "runtime drop-ins": len(glob.glob("/run/systemd/system*/penstock-q*")),
        "workers": system("pgrep", "-c", "penstock-worker", check=False).text.strip(),
        "private directories": len(glob.glob("/tmp/systemd-private-*penstock-q*") + glob.glob("/var/tmp/systemd-private-*penstock-q*")),
        "mounts": sum("penstock-q" in line for line in open("/proc/self/mounts", encoding="utf-8")),
        "stored descriptors": system("systemctl", "show", "--property=NFileDescriptorStore", "--value", "penstockd").text.strip(),
        "result files": len(os.listdir("/var/lib/penstock/results")) if os.path.isdir("/var/lib/penstock/results") else 0,
        "queries": len(ctl_json("list", user="root")),
        "used memory": status()["used_memory_bytes"],
    }


def release_all():
    """Queries that have ended stay listed until they are Done, also across a restart."""
    ids = [str(q["id"]) for q in list_queries()]
    if ids:
        ctl("done", *ids, user="root")


def counts_at_rest():
    """What to compare with: taken when nothing is known of any query before, and its unit is gone, too. What a penstockd makes once,
    with its first query, is made."""
    if daemon_pid() not in _seen:
        run("--", "true").expect(0)
        _seen.add(daemon_pid())
    release_all()
    wait_for(lambda: counts()["units"] == 0 and not cgroups.unit_groups(), "no unit is left of the query before")
    return counts()


def expect_counts(before, what, limit=120):
    """Wait until the counts are as BEFORE; returns them."""
    seen = {}

    def same():
        seen.clear()
        seen.update(counts())
        return seen == before

    try:
        wait_for(same, "the counts are as before", limit)
    except Failure:
        expect_equal(seen, before, what)
    return seen
