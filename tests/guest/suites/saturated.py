# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host with no CPU to spare: penstockd comes first, and takes no more than it needs."""

import contextlib
import os
import select
import time

from lib import cgroups, guard, harness
from lib.harness import Skip, expect, expect_equal, note, test, wait_for
from lib.rawbus import Connection, Writer
from lib.service import Gated, Running, as_user, ctl, ctl_json, daemon_pid, run, system

HOGS = 64
SCHED_OTHER, SCHED_RR, RESET_ON_FORK = 0, 2, 0x40000000


def stat_field(pid, number):
    """A field of /proc/PID/stat by its number in proc(5); None when the process is gone."""
    text = cgroups.read(f"/proc/{pid}/stat")
    return int(text.rsplit(")", 1)[1].split()[number - 3]) if text else None


def precedence(pid):
    """What puts a process before others: policy, nice value, OOM score adjustment."""
    adjust = cgroups.read(f"/proc/{pid}/oom_score_adj")
    found = (stat_field(pid, 41), stat_field(pid, 19), adjust and int(adjust))
    return None if None in found else found


def locked_kib(pid):
    return int(next(line for line in cgroups.read(f"/proc/{pid}/status").splitlines() if line.startswith("VmLck:")).split()[1])


def threads_beside_loop(pid):
    return [int(t) for t in os.listdir(f"/proc/{pid}/task") if int(t) != pid]


def children(pid):
    text = ""
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            text += cgroups.read(f"/proc/{pid}/task/{task}/children") or ""
    return [int(p) for p in text.split()]


@contextlib.contextmanager
def hogs(n=HOGS):
    """N processes that take all the CPU they get, in a slice of their own beside the others."""
    loop = f"i=0; while [ $i -lt {n} ]; do while :; do :; done & i=$((i + 1)); done; wait"
    system("systemd-run", "--quiet", "--unit=hogs.service", "--slice=hogs.slice", "sh", "-c", loop)
    try:
        group = f"{cgroups.ROOT}/hogs.slice/hogs.service"
        wait_for(lambda: len(cgroups.pids(group)) > n, f"{n} hogs")
        yield
    finally:
        system("systemctl", "stop", "hogs.service")


@test("penstockd's loop is real-time, not for the OOM killer, and its memory locked; what it forks and threads has none of it", slow=True)
def first_among_all():
    pid = daemon_pid()
    expect_equal(os.sched_getscheduler(pid), SCHED_RR | RESET_ON_FORK, "the policy of the loop")
    expect_equal(os.sched_getparam(pid).sched_priority, os.sched_get_priority_min(SCHED_RR), "its real-time priority")
    expect_equal(int(cgroups.read(f"/proc/{pid}/oom_score_adj")), -1000, "its OOM score adjustment")
    locked = locked_kib(pid)
    note(f"{locked} KiB of penstockd are mapped as locked on fault")
    expect(locked > 0, "its memory is locked")
    expect_equal(system("journalctl", "--unit=penstockd", "--grep=real-time|not locked", "--quiet", check=False).text, "", "complaints")
    for thread in threads_beside_loop(pid):
        expect_equal(stat_field(f"{pid}/task/{thread}", 41), SCHED_OTHER, "the policy of another thread")

    # A helper that looks at the caller's paths lives for a moment, of which the first part is a copy of penstockd.
    seen = set()

    def helper_shed_all():
        submitted = Running(["penstockctl", "run", "--", "true"])
        while submitted.is_running():
            seen.update(filter(None, (precedence(p) for p in children(pid))))
        return any(adjust == 0 for _policy, _nice, adjust in seen)

    wait_for(helper_shed_all, "a helper is seen that took its OOM score off")
    expect_equal({(policy, nice) for policy, nice, _adjust in seen}, {(SCHED_OTHER, 0)}, "policies and nice values of helpers")


@test("a query has none of penstockd's precedence: ordinary policy, nice 0, OOM score 0, nothing locked")
def queries_are_ordinary():
    q = Gated("")
    for group in (q.group, f"{cgroups.unit_group(q.id)}/worker"):
        for pid in cgroups.pids(group):
            expect_equal(precedence(pid), (SCHED_OTHER, 0, 0), f"policy, nice and OOM score in {group}")
            expect_equal(locked_kib(pid), 0, "locked memory")
    q.go()
    q.wait().expect(0)


@test("with 64 hogs in a sibling slice a query still grows to 600M without a kill, and penstockctl list answers", slow=True)
def growth_beside_hogs():
    with hogs():
        q = Gated("b=bytearray(600<<20); print(len(b))", limit=300)
        q.go()
        expect(q.id in [entry["id"] for entry in ctl_json("list", limit=300)], "list tells of it")
        expect_equal(q.wait(400).expect(0).text, "629145600\n", "the output")
    stats = ctl_json("stats", str(q.id))
    note(f"{stats['raises']} raises, stalled {stats['stall_usec'] / stats['execute_usec']:.1%} of its run")
    expect(stats["raises"] >= 1, "it grew")


NO_REPLY_EXPECTED = 1
UNKNOWN = Writer().request([("no such key", "s", "")]).data
# What is called, with which body, and whether who calls wants an answer.
FLOODS = {
    "questions that want no answer": ("Metrics", "", b"", NO_REPLY_EXPECTED),
    "questions": ("Metrics", "", b"", 0),
    "refused requests": ("Query", "a{sv}", UNKNOWN, NO_REPLY_EXPECTED),
    "deeds on no query": ("CancelQuery", "t", Writer().number("Q", 1 << 40).data, NO_REPLY_EXPECTED),
}


def flood(seconds, member, signature, body, flags):
    """Calls without waiting, as many as the bus takes. Answers are read."""
    c = Connection()
    n, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        message = c.message(member, signature, body, flags=flags)
        c.socket.sendall(message * 16)
        n += 16
        while select.select([c.socket], [], [], 0)[0] and c.socket.recv(1 << 20):
            pass
    return n


SPIN = "import os\nos.sched_setaffinity(0, {0})\nwhile True: pass"


def cpu_ticks(pid):
    return stat_field(pid, 14) + stat_field(pid, 15)


def shares(spinner, pid, during):
    """CPU time of an ordinary process and of penstockd while DURING runs, of the time that passed."""
    before, begin = (cpu_ticks(spinner), cpu_ticks(pid)), time.monotonic()
    during()
    passed = (time.monotonic() - begin) * os.sysconf("SC_CLK_TCK")
    return [(after - b) / passed for after, b in zip((cpu_ticks(spinner), cpu_ticks(pid)), before)]


@test("a flood of calls on the bus, of any kind, does not keep an ordinary process from the CPU that it shares with penstockd", slow=True)
def flood_starves_nobody():
    if os.path.exists(guard.DROP_IN):
        raise Skip("the loop's guard is no part of penstockd, and takes of the CPU what it is to leave")
    pid = daemon_pid()
    seconds = harness.repeats(6, 30)
    left = {}
    try:
        os.sched_setaffinity(pid, {0})
        spinner = Running(["python3", "-c", SPIN])
        wait_for(lambda: cpu_ticks(spinner.pid) > 20, "the process spins")
        for kind, call in FLOODS.items():
            told = []
            left[kind], used = shares(spinner.pid, pid, lambda: told.append(as_user("bob", lambda: flood(seconds, *call))))
            note(f"{told[0]} {kind}: the process had {left[kind]:.0%} of the CPU, penstockd {used:.0%}")
    finally:
        os.sched_setaffinity(pid, range(os.cpu_count()))
    spinner.end()
    ctl("status").expect(0)
    run("--", "true").expect(0)
    # The kernel alone would leave a twentieth to others than real-time processes.
    expect(min(left.values()) > 0.2, f"the process had a fifth of the CPU or more: {left}")


@test("systemd-analyze security finds penstockd at most 3.0 exposed")
def exposure():
    text = system("systemd-analyze", "security", "--no-pager", "penstockd.service").text
    level = float(text.split("exposure level for penstockd.service: ", 1)[1].split()[0])
    note(f"exposure {level}")
    expect(level <= 3.0, text)
