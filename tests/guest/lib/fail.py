# SPDX-License-Identifier: LGPL-2.1-or-later
"""Faults inside penstockd: where it calls what may fail, and one such call that does. The other side of tests/fail/fail.c."""

import contextlib
import mmap
import os
import shutil
import struct
import subprocess

from lib.harness import Failure, expect, wait_for
from lib.hogs import program
from lib.service import DAEMON, daemon_pid, system

DIRECTORY = "/run/penstock-fail"
DROP_IN = f"/run/systemd/system/{DAEMON}.d/fail.conf"
PROGRAM = "/usr/lib/penstock/penstockd"

# As in fail.h.
MAGIC, SITES_MAX, FUNCTIONS_MAX, NAME_MAX = 0x6661696C, 4096, 192, 40
HEADER, SITE = struct.Struct("=8I"), struct.Struct("=6I")
SITES_AT = HEADER.size + SITE.size
NAMES_AT = SITES_AT + SITES_MAX * SITE.size
SIZE = NAMES_AT + FUNCTIONS_MAX * NAME_MAX
RECORDING, N_SITES, ARMED, ERROR, SKIP, FIRED = range(1, 7)


class Site:
    """A place from which penstockd calls a function that may fail."""

    def __init__(self, raw, name):
        self.function, self.module, *self.frames, self.count = raw
        self.name = name
        self.key = tuple(raw[:5])
        self._where = None

    def packed(self):
        return SITE.pack(*self.key, 0)

    @property
    def addresses(self):
        return [hex(f - 1) for f in self.frames if f]

    @property
    def where(self):
        """Its frames by name, innermost first."""
        if self._where is None:
            locate([self])
        return self._where

    def name_frames(self, names):
        self._where = " < ".join(names.get(a, a) for a in self.addresses)

    def __str__(self):
        return f"{self.name}{' by a library' if self.module else ''} in {self.where}"


def locate(sites):
    """Find the names of all their frames at once: it is the reading of the program that takes the time."""
    addresses = sorted({a for s in sites for a in s.addresses})
    done = subprocess.run(
        ["addr2line", "-f", "-s", "-e", PROGRAM],
        input="".join(f"{a}\n" for a in addresses).encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    lines = done.stdout.decode().split("\n")
    names = {a: f"{lines[2 * i]} {lines[2 * i + 1].split()[0]}" for i, a in enumerate(addresses) if 2 * i + 1 < len(lines) - 1}
    for site in sites:
        site.name_frames(names)


class Faults:
    """penstockd with the fault library in it, as long as this is entered."""

    def __enter__(self):
        library = program("../fail/fail.so")
        os.makedirs(DIRECTORY, mode=0o700, exist_ok=True)
        with open(f"{DIRECTORY}/plan", "w+b") as f:
            f.truncate(SIZE)
            self.map = mmap.mmap(f.fileno(), SIZE)
        HEADER.pack_into(self.map, 0, MAGIC, 0, 0, 0, 0, 0, 0, 0)
        os.makedirs(os.path.dirname(DROP_IN), exist_ok=True)
        with open(DROP_IN, "w", encoding="ascii") as f:
            f.write(
                f"[Service]\nEnvironment=LD_PRELOAD={library} PENSTOCK_FAIL={DIRECTORY}/plan PENSTOCK_FAIL_PROGRAM=penstockd\n"
                f"ReadWritePaths={DIRECTORY}\n"
            )
        system("systemctl", "daemon-reload")
        self.restart()
        expect(self.get(7) == daemon_pid(), "the library is in penstockd")
        return self

    def __exit__(self, *_exception):
        self.set(ARMED, 0)
        os.unlink(DROP_IN)
        system("systemctl", "daemon-reload")
        self.restart()
        self.map.close()
        shutil.rmtree(DIRECTORY)

    @staticmethod
    def restart():
        system("systemctl", "restart", DAEMON)

    def get(self, field):
        return struct.unpack_from("=I", self.map, 4 * field)[0]

    def set(self, field, value):
        struct.pack_into("=I", self.map, 4 * field, value)

    @contextlib.contextmanager
    def recorded(self, ret_sites):
        """Put into RET_SITES from where what was called meanwhile."""
        self.set(N_SITES, 0)
        self.set(RECORDING, 1)
        try:
            yield
        finally:
            self.set(RECORDING, 0)
            for i in range(self.get(N_SITES)):
                raw = SITE.unpack_from(self.map, SITES_AT + i * SITE.size)
                name = self.map[NAMES_AT + raw[0] * NAME_MAX :][:NAME_MAX].split(b"\0")[0].decode()
                ret_sites.append(Site(raw, name))

    @contextlib.contextmanager
    def armed(self, site, skip=0, error=0):
        """A call from SITE fails while this is entered: the first after SKIP others."""
        self.map[HEADER.size : SITES_AT] = site.packed()
        self.set(ERROR, error)
        self.set(SKIP, skip)
        self.set(FIRED, 0)
        self.set(ARMED, 1)
        try:
            yield
        finally:
            self.set(ARMED, 0)

    def has_struck(self):
        return self.get(FIRED) > 0


def recover():
    """After a fault that was not got over: the next one begins with a penstockd that works."""
    system("systemctl", "kill", "--signal=KILL", DAEMON, check=False)
    with contextlib.suppress(Failure):
        wait_for(lambda: daemon_pid(), "penstockd is there again")
    system("systemctl", "restart", DAEMON)
