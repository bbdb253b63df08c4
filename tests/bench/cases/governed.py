# SPDX-License-Identifier: LGPL-2.1-or-later
"""A load that grows to a few hundred MiB, from its exec to its end: as a query that is raised step by step, and in a scope that
has the same maximum from the start."""

from kit import starts
from kit.figures import Comparison, Goal
from lib.hogs import program
from lib.loads import PYTHON, sqlite_sort
from lib.service import configured, language, run as run_query, system

LIMIT = 600  # seconds, for one run
# Over the shipped language exec.
HUGE = """[Language]
Description=Any program, with huge pages
QueryFrom=none
Arguments=yes
TransparentHugePages=yes

[Sandbox]
WorkingDirectory=read-write
Home=read-only
Network=yes
"""
SCOPE = ("systemd-run", "--quiet", "--collect", "--scope", "--uid=alice", "--gid=alice", "--slice=bench.slice",
         "--property=MemoryMax=1G", "--property=MemorySwapMax=0")
LOADS = {
    "Python": ("python3", "-c", PYTHON),
    "SQLite": ("sqlite3", "-bail", "-batch", ":memory:", sqlite_sort(24000)),
}


def measured(done):
    """Seconds, and how many of them it had no processor: what it waited for memory, for the disk, for others."""
    wall, cpu = map(int, done.expect(0).text.split())
    return wall / 1e9, (wall - cpu) / 1e9


def run_with_huge_pages(*words):
    with language("exec", HUGE):
        return run_query(*words, limit=LIMIT)


def run(bench):
    timed = program("bench-timed", starts.ROOM)
    # The same pages on both sides: a query has no huge ones unless its language says so.
    ways = {
        "ungoverned": lambda argv: system(*SCOPE, timed, *argv, limit=LIMIT),
        "ungoverned, small pages": lambda argv: system(*SCOPE, timed, "--small-pages", *argv, limit=LIMIT),
        # What its sandbox costs, and no raise.
        "a query with all from the start": lambda argv: run_query("--memory-initial", "900M", "--", timed, *argv, limit=LIMIT),
        "governed": lambda argv: run_query("--", timed, *argv, limit=LIMIT),
        "governed, huge pages": lambda argv: run_with_huge_pages("--", timed, *argv),
    }
    # No spare units: one is made when one is used, which would take a processor beside the load. `rate` has what they cost.
    with configured(MaxMemoryBytes="1200M", WarmUnits="0"), starts.bench_slice():
        for name, argv in LOADS.items():
            key = f"governed.{name.lower()}"
            comparison = Comparison(key, f"{name}, from exec to end", "s", "ungoverned")
            waited = Comparison(f"{key}.waited", f"{name}, without a processor", "s", "")

            def one(n, way):
                starts.settle()
                took, idle = measured(ways[way](argv))
                if n > 0:
                    comparison.add(way, took, n)
                    waited.add(way, idle, n)

            starts.in_turn(ways, bench.rounds, one)
            bench.show(comparison)
            bench.show(waited)
            small = comparison.figure("governed", "ungoverned, small pages")
            huge = comparison.figure("governed, huge pages")
            bench.judge(
                Goal(key, f"{name}: governed run, of the ungoverned one", comparison.figure("governed"), most=1.05),
                Goal(f"{key}.small", f"{name}: the same, both with small pages", small, most=1.05),
                Goal(f"{key}.huge", f"{name}: the same, both with huge pages", huge, most=1.05),
            )
