# SPDX-License-Identifier: LGPL-2.1-or-later
"""penstockd as it is shipped, with src/daemon/loop_guard.c preloaded: it ends when its loop makes a call that may wait."""

import contextlib
import os
import re
import subprocess

from lib.harness import expect, fail, note
from lib.hogs import program
from lib.service import DAEMON, clean_up, daemon_pid, system

# Read before fail.conf of lib/fail.py, which puts another library in its place.
DROP_IN = f"/run/systemd/system/{DAEMON}.d/10-loop-guard.conf"
PROGRAM = "/usr/lib/penstock/penstockd"
WORD, SLEEPS = "/run/penstock/loop-guard", "/run/penstock/loop-sleeps"
SLEEP = re.compile(r"loop guard: (\w+)\((.*)\) slept (\d+) times, (\d+) usec, (\d+) at most; called from (\S+)")


def named(text):
    """TEXT with functions and lines for the places in penstockd."""

    def name(found):
        done = subprocess.run(
            ["addr2line", "-f", "-s", "-e", PROGRAM, hex(int(found[1], 16) - 1)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        return " ".join(done.stdout.decode().split()[:2]) or found[0]

    return re.sub(r"\bpenstockd\+0x([0-9a-f]+)", name, text)


def take(path):
    """What the guard wrote there; it is not said twice."""
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            text = f.read()
    except FileNotFoundError:
        return ""
    os.unlink(path)
    return text


def check():
    """After each test, with what else is looked for then."""
    text = take(WORD)
    clean_up()
    if text:
        fail(named(text))


def tell_sleeps(text, most=20):
    """The longest sleeps inside calls, of all lives of penstockd together."""
    places = {}
    for call, what, n, total, longest, place in SLEEP.findall(text):
        known = places.setdefault((call, place), [0, 0, 0, ""])
        known[0] += int(n)
        known[1] += int(total)
        if int(longest) >= known[2]:
            known[2:] = int(longest), what
    for line in re.findall(r"loop guard: (\d+ turns, .*)", text):  # one of each life that ended of its own accord
        note(f"loop guard: {line}")
    note("where their loops slept inside a turn, longest first:")
    for (call, place), (n, total, longest, what) in sorted(places.items(), key=lambda item: -item[1][2])[:most]:
        note(f"{longest:8} usec at most, {total:9} usec in {n:6}: {call}({what}) in {named(place)}")


@contextlib.contextmanager
def guarded():
    os.makedirs(os.path.dirname(DROP_IN), exist_ok=True)
    with open(DROP_IN, "w", encoding="ascii") as f:
        f.write(f"[Service]\nEnvironment=LD_PRELOAD={program('../../src/daemon/loop-guard.so')} PENSTOCK_LOOP_GUARD=penstockd\n")
    system("systemctl", "daemon-reload")
    system("systemctl", "restart", DAEMON)
    with open(f"/proc/{daemon_pid()}/maps", encoding="ascii") as f:
        expect("loop-guard.so" in f.read(), "the guard is in penstockd")
    take(SLEEPS)
    try:
        yield
    finally:
        os.unlink(DROP_IN)
        system("systemctl", "daemon-reload")
        system("systemctl", "restart", DAEMON)
        tell_sleeps(take(SLEEPS))
