# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a guest suite is written with: tests named after a promise, conditions with deadlines, and details on failure.

No test asserts an absolute duration: the guest may be emulated and its host busy. What is waited for is a condition,
with a deadline far beyond any honest delay.
"""

import random
import signal
import subprocess
import sys
import time
import traceback

EACH = "each"  # see test()
LIMIT = 120  # seconds until a condition is given up
TEST_LIMIT = 600  # seconds until a test is
TEST_LIMIT_LONG = 7200
POLL = 0.02


class Failure(Exception):
    """The promise was not kept; the text says what was seen."""


class Skip(Exception):
    """This machine cannot have what the test needs; the text says what."""


class _TimeLimit(Exception):
    pass


class Test:
    def __init__(self, function, promise, long_only, slow, limit):
        self.function = function
        self.promise = promise
        self.long_only = long_only
        self.slow = slow
        self.limit = limit
        self.suite = function.__module__.rsplit(".", 1)[-1]


_tests = []
is_long = False
seed = None  # of rng; for what several tests, perhaps on several machines, must draw alike
rng = random.Random()


def test(promise, long_only=False, slow=False, limit=None):
    """Make a test of a function without arguments. PROMISE completes the sentence "Penstock promises: …". A SLOW one may be
    left to another machine or another run, see only_part(); with EACH to another machine alone. LIMIT: seconds, instead of those
    that all have."""

    def register(function):
        _tests.append(Test(function, promise, long_only, slow, limit))
        return function

    return register


def repeats(short, long):
    return long if is_long else short


def fail(text):
    raise Failure(text)


def expect(condition, text):
    if not condition:
        raise Failure(text)


def expect_equal(seen, wanted, what):
    if seen != wanted:
        raise Failure(f"{what}: {_short(seen)}, wanted {_short(wanted)}")


def expect_in(part, whole, what):
    if part not in whole:
        raise Failure(f"{what}: there is no {_short(part)} in {_short(whole)}")


def _short(value):
    text = repr(value)
    return text if len(text) <= 1500 else f"{text[:1000]} … {text[-400:]} ({len(text)} characters)"


def wait_for(condition, what, limit=LIMIT):
    """Poll until CONDITION returns something true, and return that. To ask takes half of one CPU at most: where a look starts
    a process it would else keep from running what is waited for."""
    end = time.monotonic() + limit
    while True:
        begin = time.monotonic()
        value = condition()
        if value:
            return value
        now = time.monotonic()
        if now >= end:
            raise Failure(f"{limit} s passed, and still not: {what}")
        time.sleep(max(POLL, now - begin))


def note(text):
    """A line of the log that belongs to no verdict, like a seed or a count."""
    for line in str(text).splitlines() or [""]:
        print(f"# {line}", flush=True)


def _journal(since):
    command = ["journalctl", "--no-pager", "--quiet", "--output=short-monotonic", "--lines=60", f"--since=@{since:.0f}"]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as e:
        return f"no journal: {e}"
    return done.stdout.decode(errors="replace")


def _on_alarm(_number, _frame):
    raise _TimeLimit("the test took more than its limit")


def _run_guarded(function, limit=None):
    """Run FUNCTION; returns None, or what went wrong as text. Skip passes through."""
    signal.signal(signal.SIGALRM, _on_alarm)
    signal.alarm(limit or (TEST_LIMIT_LONG if is_long else TEST_LIMIT))
    try:
        function()
    except Skip:
        raise
    except (Failure, _TimeLimit) as e:
        return f"{e}\n{_where()}"
    except Exception:  # whatever it is, the other tests go on
        return traceback.format_exc()
    finally:
        signal.alarm(0)
    return None


def _where():
    """The lines of the suites that lead to the exception, innermost last."""
    frames = traceback.extract_tb(sys.exc_info()[2])
    return "\n".join(f"at {f.filename.rsplit('/', 2)[-1]}:{f.lineno} {f.line}" for f in frames if "/suites/" in f.filename)


def _run_one(one, clean_up):
    """Returns "ok", "not ok" or "skip", after it was printed."""
    begin, since = time.monotonic(), time.time()
    name = f"{one.suite}: {one.promise}"
    reason = None
    problems = []
    try:
        problems.append(_run_guarded(one.function, one.limit))
    except Skip as e:
        reason = str(e)
    problems += [_run_guarded(step) for step in clean_up]
    problems = [p for p in problems if p]
    took = f"({time.monotonic() - begin:.1f} s)"
    if problems:
        print(f"not ok - {name} {took}", flush=True)
        note("\n".join(problems))
        note(f"the journal since the test began:\n{_journal(since)}")
        return "not ok"
    if reason is not None:
        print(f"ok - {name} # SKIP {reason}", flush=True)
        return "skip"
    print(f"ok - {name} {took}", flush=True)
    return "ok"


def only_part(k, n, one_in, seed):
    """Draw ONE_IN so many of the slow tests by SEED, and those with EACH, and keep the K-th of N parts of them, so that N machines with one
    seed run each of them once."""
    slow = [t for t in _tests if t.slow]
    random.Random(seed).shuffle(slow)
    drawn = [t for i, t in enumerate(slow) if i % one_in == 0 or t.slow == EACH]
    mine = drawn[k::n]
    note(f"{len(mine)} of {len(slow)} slow tests: part {k} of {n} of {len(drawn)} that were drawn")
    _tests[:] = [t for t in _tests if not t.slow or t in mine]


def run_all(clean_up, long=False, match=None, with_seed=None, left_out=None, may_be_none=False):
    """Run what was registered, in its order, each followed by the steps of CLEAN_UP. LEFT_OUT has a reason for each suite that is
    not to run here. That no test is found is a failure, unless it MAY_BE_NONE. Returns the exit status."""
    global is_long, seed
    is_long = long
    seed = random.SystemRandom().randrange(1 << 32) if with_seed is None else with_seed
    rng.seed(seed)
    note(f"seed {seed}")
    count = {"ok": 0, "not ok": 0, "skip": 0}
    for one in _tests:
        if (one.long_only and not long) or (match and not match.search(f"{one.suite}: {one.promise}")):
            continue
        reason = (left_out or {}).get(one.suite)
        if reason:
            print(f"ok - {one.suite}: {one.promise} # SKIP {reason}", flush=True)
            count["skip"] += 1
            continue
        count[_run_one(one, clean_up)] += 1
    if not sum(count.values()) and not may_be_none:
        print("not ok - a test is found", flush=True)
        note(f"none is by {match.pattern!r}" if match else "those of these suites are for --long alone")
        count["not ok"] += 1
    # Its absence tells a reader that the guest died.
    print(f"# all suites ended: {count['ok']} passed, {count['not ok']} failed, {count['skip']} skipped", flush=True)
    return 1 if count["not ok"] else 0


def names():
    return [f"{t.suite}: {t.promise}{' (--long)' if t.long_only else ''}" for t in _tests]
