# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private bus with the stand-in on it, for tests of penstockctl that need a shell or a terminal. Everything is found through
the environment, as in harness.h; no wait is without limit."""
import ctypes
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl

DEADLINE_SEC = 100
SKIPPED = 77


def skip(why):
    print(why, file=sys.stderr)
    sys.exit(SKIPPED)


def die_with_us():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def wait_for(what, condition):
    """What CONDITION returns, once that is true."""
    deadline = time.monotonic() + DEADLINE_SEC
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"it took more than {DEADLINE_SEC} s: {what}")
        time.sleep(0.01)


class Bus:
    """A bus, and the stand-in when it is asked for. Sets DBUS_SYSTEM_BUS_ADDRESS."""

    def __init__(self, config=None):
        config = config or os.environ["BUS_CONFIG"]
        self.bus = self.serve(os.environ["DBUS_DAEMON"], f"--config-file={config}", "--nofork", "--print-address")
        os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = self.bus.stdout.readline().strip()
        self.standin = None

    @staticmethod
    def serve(*command):
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_us)

    def start(self):
        self.standin = self.serve(os.environ["STANDIN"])
        assert self.standin.stdout.readline() == "ready\n"

    @staticmethod
    def end(process):
        if process:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait(DEADLINE_SEC)
            process.stdout.close()

    def stop(self):
        self.end(self.standin)
        self.standin = None

    def close(self):
        self.stop()
        self.end(self.bus)


def ctl(*words, **more):
    return subprocess.run([os.environ["PENSTOCKCTL"], *words], check=True, stdout=subprocess.PIPE, text=True, timeout=DEADLINE_SEC,
                          **more).stdout


class Terminal:
    """A program with a terminal of its own."""

    def __init__(self, command, columns=80, cwd=None, **environment):
        self.text = b""
        ours, theirs = pty.openpty()
        ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        env = {k: v for k, v in {**os.environ, "TERM": "xterm", **environment}.items() if v is not None}
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, cwd=cwd,
                                        preexec_fn=lambda: (die_with_us(), os.setsid(), ioctl(theirs, termios.TIOCSCTTY, 0)))
        os.close(theirs)
        self.fd = ours

    def read(self, deadline):
        """False at the end."""
        if not select.select([self.fd], [], [], max(0, deadline - time.monotonic()))[0]:
            raise AssertionError(f"nothing more within {DEADLINE_SEC} s after: {self.text!r}")
        try:
            more = os.read(self.fd, 65536)
        except OSError:  # EIO: the last one closed it
            more = b""
        self.text += more
        return more != b""

    def send(self, text):
        os.write(self.fd, text.encode())

    def expect(self, part):
        """Read on until PART was there; what came up to its end is forgotten, and returned."""
        deadline = time.monotonic() + DEADLINE_SEC
        while part.encode() not in self.text:
            if not self.read(deadline):
                raise AssertionError(f"it ended before {part!r} came: {self.text!r}")
        before, _, self.text = self.text.partition(part.encode())
        return (before + part.encode()).decode()

    def drain(self, seconds):
        """Take what it writes meanwhile; a terminal that is full stops it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if select.select([self.fd], [], [], max(0, deadline - time.monotonic()))[0] and not self.read(deadline + DEADLINE_SEC):
                return

    def rest(self):
        """All that it writes up to its end, with its status."""
        deadline = time.monotonic() + DEADLINE_SEC
        while self.read(deadline):
            pass
        os.close(self.fd)
        return self.text.decode(), self.process.wait(DEADLINE_SEC)

    def kill(self):
        self.process.kill()
        self.process.wait(DEADLINE_SEC)
        os.close(self.fd)
