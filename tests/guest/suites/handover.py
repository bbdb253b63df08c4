# SPDX-License-Identifier: LGPL-2.1-or-later
"""What happens to queries while one penstockd goes and the next one is not there yet, or can't be."""

import contextlib
import os
import re
import signal
import subprocess
import time

from lib import cgroups, disks
from lib.cgroups import MIB
from lib.harness import expect, expect_equal, test, wait_for
from lib.leftovers import worker_of
from lib.service import DAEMON, Gated, ctl, ctl_json, daemon_pid, status, system, unit_property

DISK = "/srv/standing"
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


@test("what a query left in memory is lent to nobody while its unit can't be stopped, also by a penstockd that took over", slow=True)
def booked_until_the_unit_is_gone():
    os.makedirs(DISK, exist_ok=True)
    left = 60 * MIB
    with disks.on_disk(DISK):
        whole = status()["unused_memory_bytes"]
        q = Gated(f"open('/dev/shm/left', 'wb').write(bytes({left})); print('filled', flush=True); sys.stdin.readline()")
        q.go()
        q.wait_for_output(b"filled")
        sleeper = subprocess.Popen(["sh", "-c", f"read x; echo >{DISK}/file"], stdin=subprocess.PIPE)
        with open(f"{cgroups.unit_group(q.id)}/worker/cgroup.procs", "w", encoding="ascii") as f:
            f.write(str(sleeper.pid))
        with disks.standing(DISK):
            sleeper.stdin.close()
            wait_for(lambda: ") D " in cgroups.read(f"/proc/{sleeper.pid}/stat"), "a process of its unit sleeps in the kernel")
            q.go()
            q.wait().expect(0)
            wait_for(lambda: whole - status()["unused_memory_bytes"] >= left, "what it left is booked")
            system("systemctl", "restart", DAEMON)
            wait_until_it_serves()
            expect(os.path.exists(cgroups.unit_group(q.id)), "its unit is there")
            expect(whole - status()["unused_memory_bytes"] >= left, "it is booked still")
        sleeper.wait()
        wait_for(lambda: status()["unused_memory_bytes"] == whole, "all is back when its unit is gone")
        wait_for(lambda: not os.path.exists(cgroups.unit_group(q.id)), "its group is gone")


@test("who is killed by the limit of its unit while nobody serves is told so afterwards", slow=True)
def killed_from_above():
    q = Gated("b=bytearray(100<<20); print('grown', flush=True); sys.stdin.readline()")
    q.go()
    q.wait_for_output(b"grown")
    limit, pid = f"{cgroups.unit_group(q.id)}/memory.max", daemon_pid()
    before = cgroups.read(limit)
    os.kill(pid, signal.SIGSTOP)  # it sees nothing of it
    for value in (str(50 * MIB), before):
        with open(limit, "w", encoding="ascii") as f:
            f.write(value)
    wait_for(lambda: not cgroups.is_populated(q.group), "it is killed")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: daemon_pid() not in (0, pid), "there is another penstockd")
    wait_until_it_serves()
    q.wait().expect(137, "MemoryBudgetExhausted", ["limit of its unit"])
    expect_equal(ctl_json("stats", str(q.id))["verdict"], "slice", "the verdict")
