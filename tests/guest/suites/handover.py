# SPDX-License-Identifier: LGPL-2.1-or-later
"""What happens to queries while one penstockd goes and the next one is not there yet, or can't be."""

import contextlib
import os
import re
import signal
import time

from lib import cgroups
from lib.harness import expect, expect_equal, test, wait_for
from lib.leftovers import worker_of
from lib.service import DAEMON, Gated, ctl, system, unit_property

HELD = "/run/penstock/held"


def wait_until_it_serves():
    wait_for(lambda: ctl("status", user="root").status == 0, "it serves")


@contextlib.contextmanager
def silent_worker(q):
    """Who takes over waits for it, for 20 s at most."""
    worker = worker_of(q.id)
    os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker, signal.SIGCONT)


def is_held(q):
    return cgroups.read(f"{q.group}/cgroup.freeze") == "1\n"


def restart_begun():
    """Returns when another penstockd has begun, which would end well if it were stopped."""
    before = unit_property(DAEMON, "MainPID")

    def hears_signals():
        pid = unit_property(DAEMON, "MainPID")
        blocked = re.search(r"SigBlk:\s*(\w+)", cgroups.read(f"/proc/{pid}/status") or "")
        return pid not in ("0", before) and blocked and int(blocked[1], 16) & 1 << signal.SIGTERM - 1

    system("systemctl", "restart", "--no-block", DAEMON)
    wait_for(hears_signals, "another one gathers")


@test("a second restart, while the first one still gathers what there is, holds all queries on and counts from the first", slow=True)
def restarted_twice():
    q, silent = Gated("print('unharmed')"), Gated()
    with silent_worker(silent):
        restart_begun()
        expect(is_held(q), "it is held for the first restart")
        since = cgroups.read(HELD)
        restart_begun()
        expect(is_held(q), "it is held for the second restart")
        expect_equal(cgroups.read(HELD), since, "since when it is held")
    wait_until_it_serves()
    wait_for(lambda: not is_held(q), "it goes on")
    for one in (q, silent):
        one.go()
    expect_equal(q.wait().expect(0).text, "unharmed\n", "its output")
    silent.wait().expect(0)


# How a penstockd ended, since when all are held by then (None: they are not), and what becomes of both.
ENDS = (
    ("exited", "75", None, True, "now"),
    ("exited", "75", 5, True, "kept"),
    ("killed", "TERM", 5, True, "kept"),
    ("killed", "KILL", None, True, "now"),
    ("killed", "KILL", 5, False, "0\n"),
    ("exited", "75", 61, False, "0\n"),
    ("exited", "1", 5, False, "0\n"),
    ("exited", "1", None, False, None),
)


@test("who is held for one restart is held on for the next, but never for longer than a minute, nor for one that could not start")
def who_is_held():
    program, q = unit_property(DAEMON, "ExecStart").split("path=")[1].split(" ")[0], Gated()
    for code, word, seconds, wanted, held in ENDS:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(HELD)
        before = None if seconds is None else f"{int((time.monotonic() - seconds) * 1e6)}\n"
        if before:
            with open(HELD, "w", encoding="ascii") as f:
                f.write(before)
        system("env", f"EXIT_CODE={code}", f"EXIT_STATUS={word}", program, "--stopped")
        what = f"{code} {word} after {seconds}"
        expect_equal(is_held(q), wanted, f"whether it is held: {what}")
        after = cgroups.read(HELD) if os.path.exists(HELD) else None
        if held == "now":
            expect(time.monotonic() - int(after) / 1e6 < 60, f"held since a moment ago: {after!r}")
        else:
            expect_equal(after, before if held == "kept" else held, f"since when: {what}")
        system("env", "EXIT_CODE=exited", "EXIT_STATUS=0", program, "--stopped")
        expect(not is_held(q), "it is thawed")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(HELD)
    q.go()
    q.wait().expect(0)
