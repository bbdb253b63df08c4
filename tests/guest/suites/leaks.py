# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is done leaves nothing behind."""

import glob
import os

from lib import cgroups, harness
from lib.harness import Failure, expect_equal, note, test, wait_for
from lib.service import Running, ctl_json, daemon_pid, run, status, system


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
        "queries": len(ctl_json("list", user="root")),
        "used memory": status()["used_memory_bytes"],
    }


def counts_at_rest():
    """What to compare with: taken when the unit of the query before is gone, too."""
    wait_for(lambda: counts()["units"] == 0 and not cgroups.unit_groups(), "no unit is left of the query before")
    return counts()


@test("200 short queries one after another leave no unit, group, descriptor, child, drop-in or directory behind")
def short_queries():
    n = harness.repeats(200, 2000)
    run("--", "true").expect(0)  # what is made once is made
    before = counts_at_rest()
    note(f"before: {before}")
    loop = "for ((i = 0; i < $1; i++)); do penstockctl run -- sh -c \"exit $((i % 4))\" 2>/dev/null; echo $?; done"
    done = Running(["bash", "-c", loop, "bash", str(n)]).wait(2 * n + 200).expect(0)
    expect_equal(done.text.split(), [str(i % 4) for i in range(n)], "the exit statuses")
    seen = {}

    def same():
        seen.clear()
        seen.update(counts())
        return seen == before

    try:
        wait_for(same, "the counts are as before")
    except Failure:
        expect_equal(seen, before, f"the counts after {n} queries")
    note(f"after {n}: {seen}")


@test("queries that are refused, canceled, timed out or killed for memory leave nothing behind either")
def rough_ends():
    run("--", "true").expect(0)
    before = counts_at_rest()
    for _ in range(harness.repeats(3, 50)):
        run("--language", "cobol", "x").expect(125)
        run("--language", "python", "(").expect(125)
        run("--memory-max", "32M", "--", "python3", "-c", "bytearray(200<<20)").expect(137)
        run("--timeout", "1", "--", "sleep", "1000").expect(124)
        run("--", "sh", "-c", "sleep 1000 & sleep 1000 & exit 0").expect(0)
    seen = {}

    def same():
        seen.clear()
        seen.update(counts())
        return seen == before

    try:
        wait_for(same, "the counts are as before")
    except Failure:
        expect_equal(seen, before, "the counts")
