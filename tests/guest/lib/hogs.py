# SPDX-License-Identifier: LGPL-2.1-or-later
"""The programs hog and race, which are built with the tests: as queries, beside them, and in bare groups without penstockd."""

import contextlib
import os
import re
import signal
import subprocess
import threading
import time

from lib import cgroups, harness
from lib.harness import LIMIT, Failure, Skip, expect, fail, wait_for
from lib.service import Running, ctl, ctl_start, daemon_pid, system

SOURCE = os.path.realpath(f"{os.path.dirname(__file__)}/../../..")
# In the guest the build is beside the source; in a checkout it is in it, or where the caller says.
BUILDS = [build for build in (os.environ.get("PENSTOCK_BUILD"), f"{os.path.dirname(SOURCE)}/build", f"{SOURCE}/build") if build]
BARE = f"{cgroups.ROOT}/penstock-test"  # a sibling of penstock.slice that systemd does not know


def program(name, room="tests/guest"):
    found = next((f"{build}/{room}/{name}" for build in BUILDS if os.path.exists(f"{build}/{room}/{name}")), None)
    if not found:
        raise Skip(f"{room}/{name} is in none of {', '.join(BUILDS)}")
    return found


class Hog:
    """A query that is hog, ready to begin."""

    def __init__(self, *words, options=(), limit=LIMIT):
        argv = ["run", *options, "--", program("hog"), "--wait", *map(str, words)]
        self.run = ctl_start(*argv, stdin=subprocess.PIPE)
        self.words = words
        self.id = wait_for(self._find_id, f"hog {words} is ready", limit)
        self.group = cgroups.engine_group(self.id)

    def _find_id(self):
        found = re.search(rb"^ready .*/penstock-q(\d+)\.service/engine$", self.run.out(), re.M)
        if not found and not self.run.is_running():
            fail(f"the query ended before it ran: {self.run.wait()}")
        return found and int(found[1])

    def go(self):
        self.run.say()

    def wait(self, limit=LIMIT):
        try:
            return self.run.wait(limit)
        except Failure as e:
            files = ("memory.max", "memory.high", "memory.current", "memory.events.local", "memory.pressure", "cgroup.events", "cgroup.procs")
            seen = {name: cgroups.read(f"{self.group}/{name}") for name in files}
            fail(f"{e}; {seen}; {ctl('show', str(self.id), user='root').text}")


def told(done):
    """What hog said of its run: (wall time, stalled time), in microseconds."""
    found = re.search(r"^done \S+ usec (\d+) stall_usec (\d+)$", done.text, re.M)
    expect(found, f"hog ran to its end: {done}")
    return int(found[1]), int(found[2])


def passes(done):
    """Of hog's way "read": for each pass its pages, its time, and the pages that were refaulted in it."""
    page, before, found = os.sysconf("SC_PAGE_SIZE"), 0, []
    for size, usec, refaults in re.findall(r"^pass \d+ bytes (\d+) usec (\d+) refaults (\d+)$", done.text, re.M):
        found.append((int(size) // page, int(usec), int(refaults) - before))
        before = int(refaults)
    return found


@contextlib.contextmanager
def bare_groups():
    """A place for groups of race's; gives its path."""
    os.makedirs(BARE, exist_ok=True)
    with open(f"{BARE}/cgroup.subtree_control", "w", encoding="ascii") as f:
        f.write("+memory +pids")
    try:
        yield BARE
    finally:
        for path in cgroups.all_groups_below(BARE):
            with contextlib.suppress(OSError), open(f"{path}/cgroup.kill", "w", encoding="ascii") as f:
                f.write("1")
        wait_for(lambda: all(_is_removed(path) for path in [*cgroups.all_groups_below(BARE), BARE]), "the bare groups are gone")


def _is_removed(path):
    with contextlib.suppress(OSError):
        os.rmdir(path)
    return not os.path.isdir(path)


class Try:
    """One line of race's."""

    LINE = re.compile(r"^(survived|died) status (\d+) usec (\d+) limit (\d+)M high (\d+) oom_kill (\d+) latencies([ \d]*)$", re.M)

    def __init__(self, found):
        self.survived = found[0] == "survived"
        self.status, self.usec, self.limit_mib, self.high, self.oom_kill = (int(x) for x in found[1:6])
        self.latencies = [int(x) for x in found[6].split()]


def start_race(*words, group="race", **options):
    """OPTIONS are those of race (per_task="512K"); WORDS are hog's."""
    argv = [program("race")]
    for name, value in options.items():
        argv += [f"--{name.replace('_', '-')}", str(value)]
    return Running([*argv, f"{BARE}/{group}", program("hog"), *map(str, words)], user="root", cwd="/")


def race(*words, deadline=LIMIT, **options):
    """The tries of a race that ran to its end."""
    return tries_of(start_race(*words, **options).wait_and_forget(deadline))


def tries_of(done):
    expect(done.status == 0, f"the race: {done}")
    return [Try(found) for found in Try.LINE.findall(done.text)]


# What else the machine does meanwhile: each is a context, entered once for many tries.


@contextlib.contextmanager
def idle():
    yield


@contextlib.contextmanager
def busy(threads=None):
    """Every CPU is busy with hogs in a sibling slice."""
    unit = "penstock-test-busy.service"
    argv = ["systemd-run", "--quiet", "--collect", f"--unit={unit}", "--slice=busy.slice", program("hog"), "spin", "1"]
    system(*argv, str(threads or 2 * os.cpu_count()))
    try:
        yield
    finally:
        system("systemctl", "stop", unit)


@contextlib.contextmanager
def looping(function):
    """FUNCTION over and over, until the end."""
    ending = threading.Event()
    problems = []

    def loop():
        try:
            while not ending.is_set():
                function()
        except Exception as e:  # told to who waits for it
            problems.append(e)

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
        if problems:
            raise problems[0]


def quietly(*argv):
    """Not service.system(): what that starts is ended by who else cleans up meanwhile."""
    subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


@contextlib.contextmanager
def pid1():
    """PID 1 is busy: daemon-reload in a loop, and units that start."""
    with looping(lambda: quietly("systemctl", "daemon-reload")):
        with looping(lambda: quietly("systemd-run", "--quiet", "--collect", "--wait", "true")):
            yield


def stop_for_a_while():
    time.sleep(harness.rng.uniform(0, 0.15))
    pid = daemon_pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(0.05)
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def stopped():
    """penstockd is stopped for 50 ms at random moments."""
    with looping(stop_for_a_while):
        yield


LOADS = {"nothing": idle, "every CPU busy": busy, "PID 1 busy": pid1, "penstockd stopped for 50 ms": stopped}
