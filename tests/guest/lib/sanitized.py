# SPDX-License-Identifier: LGPL-2.1-or-later
"""When the installed programs were built with AddressSanitizer and UBSan: what they find fails the test in which it was found,
also in a process whose end nobody looks at.

Services and queries report to the journal. Clients, whose standard error is a test's to judge, report to files."""

import contextlib
import glob
import os
import re
import subprocess

from lib.harness import fail, test

PROGRAMS = "/usr/lib/penstock"
REPORTS = "/run/sanitized"
FOUND = r"AddressSanitizer: |AddressSanitizer:DEADLYSIGNAL|ERROR: LeakSanitizer|LeakSanitizer has encountered|\.[ch]:\d+:\d+: runtime error: "
UBSAN = "halt_on_error=1:print_stacktrace=1"
# What was freed is kept for a while, to see whether it is still used; by default so much of it that every bound on memory is passed.
ASAN = "quarantine_size_mb=4"
# Leaks are looked for by a process that traces the one that ends, which the filter of system calls must allow: so of clients and of
# penstockd, and not of workers, what they start, and the exporter.
NO_LEAKS = f"{ASAN}:detect_leaks=0"
DROP_INS = "/run/systemd/system/penstockd.service.d"
DROP_IN = f"""[Service]
Environment=ASAN_OPTIONS={ASAN}:detect_leaks=1
SystemCallFilter=ptrace
"""

# Of each suite that is left out, why. All others run.
_SPEED = "it judges how fast memory is given, and a sanitizer's penstockd is several times as slow"
LEFT_OUT = {
    "race": "it has no program of ours in it but its own",
    "growth": _SPEED,
    "governor": _SPEED,
    "budget": _SPEED,
    "exhaustion": _SPEED,
    "donors": _SPEED,
    "under_systemd": _SPEED,
    "mixed": _SPEED,
    "bench": _SPEED,
    "engines": "what it asks is the engines' own, and they are built as ever",
    "library": "it links ordinary programs with libpenstock, which a sanitizer's does not let them",
    "injected": "its library would have to be loaded before the sanitizer's, and would let the sanitizer's own calls fail",
    "saturated": "a sanitizer locks no memory, and penstockd has another filter of system calls so that leaks can be looked for",
    "soak": "what a sanitizer keeps for itself follows the number of queries",
}

_cursor = None


def is_built():
    """Whether penstockd is one of a sanitizer's."""
    with contextlib.suppress(OSError), open(f"{PROGRAMS}/penstockd", "rb") as f:
        return b"libasan.so" in f.read()
    return False


def left_out():
    """Of each suite that has no sense here, why."""
    return LEFT_OUT if is_built() else {}


def add_test():
    """The last one: leaks are looked for when penstockd ends."""
    if is_built():

        @test("penstockd ends with nothing leaked, after all that went before")
        def ends():
            subprocess.run(["systemctl", "restart", "penstockd"], check=True)


@contextlib.contextmanager
def prepared():
    """All that is started from now on reports; penstockd is started anew for that. Nothing, where it is an ordinary build."""
    if not is_built():
        yield
        return
    os.makedirs(REPORTS, exist_ok=True)
    os.chmod(REPORTS, 0o1777)
    os.environ["ASAN_OPTIONS"] = f"{ASAN}:detect_leaks=1:log_path={REPORTS}/report"
    os.environ["UBSAN_OPTIONS"] = f"{UBSAN}:log_path={REPORTS}/report"
    os.makedirs(DROP_INS, exist_ok=True)
    with open(f"{DROP_INS}/sanitized.conf", "w", encoding="ascii") as f:
        f.write(DROP_IN)
    subprocess.run(["systemctl", "set-environment", f"ASAN_OPTIONS={NO_LEAKS}", f"UBSAN_OPTIONS={UBSAN}"], check=True)
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    subprocess.run(["systemctl", "restart", "penstockd"], check=True)
    _journal()
    yield


def _journal():
    """What services and queries reported since the last look."""
    global _cursor
    command = ["journalctl", "--no-pager", "--quiet", "--output=short-monotonic", "--show-cursor"]
    command += [f"--after-cursor={_cursor}"] if _cursor else ["--boot"]
    text = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode(errors="replace")
    cursor = re.search(r"^-- cursor: (\S+)$", text, re.M)
    _cursor = cursor[1] if cursor else _cursor
    lines = text.splitlines()
    first = next((i for i, line in enumerate(lines) if re.search(FOUND, line)), None)
    return "" if first is None else "\n".join(lines[first : first + 120])


def look():
    """Fail with what was reported since the last look."""
    if _cursor is None:
        return
    texts = [_journal()]
    for path in sorted(glob.glob(f"{REPORTS}/*")):
        with open(path, encoding="utf-8", errors="replace") as f:
            texts.append(f.read()[:8000])
        os.unlink(path)
    text = "\n".join(t for t in texts if t)
    if text:
        fail(f"a sanitizer reports:\n{text}")
