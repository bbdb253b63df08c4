# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the kernel allows: the race between growth and its killer, in bare groups and without penstockd. The headroom of
core/governor is set by what is measured here."""

import contextlib
import os
import statistics

from lib.harness import expect, expect_equal, note, test
from lib.hogs import bare_groups, race

SIZE = 110  # MiB under a first limit of 64M: the first window is the narrowest
WAYS = {
    "1 thread": ("threads", SIZE, 1),
    "4 threads": ("threads", SIZE, 4),
    "16 threads": ("threads", SIZE, 16),
    "16 threads, 4 KiB": ("--small-pages", "threads", SIZE, 16),
    "64 threads": ("threads", SIZE, 64),
    "64 threads, 4 KiB": ("--small-pages", "threads", SIZE, 64),
    "32 processes": ("processes", SIZE, 32),
    "MAP_POPULATE": ("populate", SIZE),
    "mlock": ("mlock", SIZE),
    "shared memory": ("shared", SIZE),
    "System V": ("sysv", SIZE),
    "POSIX": ("posix", SIZE),
    "tmpfs": ("file", SIZE, 1, "/dev/shm/hog"),
    "pipes": ("pipes", SIZE),
    "sockets": ("sockets", SIZE),
    "page tables": ("tables", SIZE),
    "sparse": ("sparse", SIZE),
}
HEADROOMS = {
    "none": {},
    "12 %": {"percent": 12},
    "16M": {"percent": 12, "floor": "16M"},
    "25 %": {"percent": 25},
    "50 %": {"percent": 50},
}
DELAYS_MS = (0, 20, 100, 300)


def run_race(way, headroom, delay_ms, tries):
    try:
        return race(*WAYS[way], **HEADROOMS[headroom], delay_ms=delay_ms, tries=tries, deadline=600)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink("/dev/shm/hog")


@test("the race that is measured is real: 100 ms late, memory.max alone kills one thread, and with headroom it does not", slow=True)
def control():
    with bare_groups():
        alone = run_race("1 thread", "none", 100, 6)  # one that is short of a CPU may be late itself, and survive
        with_room = run_race("1 thread", "12 %", 100, 2)
        at_once = run_race("64 threads", "50 %", 0, 2)
    expect(sum(one.oom_kill > 0 for one in alone) >= 2, f"killed without headroom: {alone}")
    expect_equal([one.survived for one in with_room + at_once], [True] * 4, "survived with it")


@test("what the kernel allows: who survives which delay of the controller, way by way, under which headroom", long_only=True)
def table():
    tries = 6
    note(f"{os.uname().release}, survived of {tries} (median time of a run) with a delay of {', '.join(map(str, DELAYS_MS))} ms")
    with bare_groups():
        for way in WAYS:
            for headroom in HEADROOMS:
                cells = []
                for delay_ms in DELAYS_MS:
                    seen = run_race(way, headroom, delay_ms, tries)
                    count = sum(one.survived for one in seen)
                    cells.append(f"{count} ({statistics.median(one.usec for one in seen) / 1e6:.1f} s)")
                    if count == 0:
                        break  # later is worse
                    expect(delay_ms or headroom == "none" or count == tries, f"raised at once, {way} under {headroom}: {cells}")
                note(f"{way:18} {headroom:18} {'  '.join(cells)}")
