# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every call of penstockd that may fail does, once, from each place that it is made from: penstockd lives on, each query
ends with an answer that its caller sees, and nothing is left of it."""

import contextlib
import errno
import os
import re
import signal
import time

from lib import cgroups, harness
from lib.fail import Faults, locate, recover
from lib.harness import Failure, Skip, expect, expect_equal, fail, note, test, wait_for
from lib.leftovers import children, counts_at_rest, descriptors, expect_counts
from lib.service import (
    DROP_IN,
    MIB,
    Gated,
    ctl,
    ctl_start,
    daemon_pid,
    language,
    reload_daemon,
    run,
    status,
    submit,
    system,
    wait_for_state,
    write_drop_in,
)

BUDGET = 320 * MIB
CONFIG = {
    "ConcurrencyQuota": 2,
    "InitialMemoryBytesQuotaPerQuery": "32M",
    "MemoryBytesQuotaPerQuery": "224M",
    "MaxMemoryBytes": str(BUDGET),
    "CancelGraceSec": "1",
    "ExecutorDependencies": "",
}
LIMIT = 200  # seconds: more than a lost answer of PID 1 costs

GROW = "kept = [bytearray(10 << 20) for _ in range({n})]\nprint('grown', flush=True)\n"


def answered(done, text=None):
    """It ended well, with all of its output, or its caller was told why it did not."""
    if done.status == 0:
        if text is not None:
            expect_equal(done.text, text, "the output")
    else:
        expect(done.errors.strip(), f"a word on why it failed ({done})")
    return done


def attached():
    answered(run("--language", "shell", "cat; echo here; echo there >&2", "--stdin", text=b"in\n", limit=LIMIT), "in\nhere\n")


def detached():
    done = answered(ctl("submit", "--json", "--", "echo", "kept", limit=LIMIT))
    if done.status != 0:
        return
    query_id = re.search(r'"id": *(\d+)', done.text)[1]
    answered(ctl("wait", query_id, limit=LIMIT))
    for words in (("results",), ("stats", "--json"), ("profile", "--csv"), ("show", "--json"), ("done",)):
        answered(ctl(*words, query_id, limit=LIMIT))


def compiled():
    answered(run("--language", "python", "print('compiled')", limit=LIMIT), "compiled\n")
    done = run("--language", "python", "(", limit=LIMIT)
    expect_equal(done.status, 125, f"the status of what does not compile ({done})")


def dependent():
    answered(run("--language", "dependent", "x", limit=LIMIT), "x\n")


def growing():
    answered(run("--", "python3", "-c", GROW.format(n=18), limit=LIMIT), "grown\n")


def sharing():
    """The second has to wait for what the first holds, and gets it: frozen, then by a lowering or by the first one's end."""
    first = ctl_start("run", "--", "python3", "-c", GROW.format(n=18) + "del kept\nimport time\ntime.sleep(6)")
    with contextlib.suppress(Failure):
        wait_for(lambda: b"grown" in first.out() or not first.is_running(), "the first has grown", LIMIT)
    second = ctl_start("run", "--", "python3", "-c", GROW.format(n=18))
    answered(second.wait_and_forget(LIMIT), "grown\n")
    answered(first.wait_and_forget(LIMIT), "grown\n")


def rough():
    """Canceled while it runs and while it waits; its client killed; its time up; too large."""
    clients = [ctl_start("run", "--", "sh", "-c", "trap '' TERM; while :; do sleep 1; done") for _ in range(3)]
    with contextlib.suppress(Failure):
        wait_for(lambda: not all(c.is_running() for c in clients) or status()["executing"] == 2, "two run", 30)
    ids = re.findall(r'"id": *(\d+)', ctl("list", "--json", user="root", limit=LIMIT).text)
    clients[0].signal(signal.SIGKILL)
    if ids:
        answered(ctl("cancel", *ids[1:], user="root", limit=LIMIT))
    for c in clients:
        if c.is_running():
            c.signal(signal.SIGINT)
        c.wait_and_forget(LIMIT)
    expect(run("--timeout", "1", "--", "sleep", "1000", limit=LIMIT).status in (124, 125), "its time is up")
    done = run("--memory-max", "32M", "--", "python3", "-c", GROW.format(n=10), limit=LIMIT)
    expect(done.status in (137, 125), f"killed for memory ({done})")


def administered():
    for words in (("status",), ("list",), ("metrics",), ("languages",), ("pause",), ("resume",), ("top", "--json"), ("stats", "1")):
        ctl(*words, user="root", limit=LIMIT)
    ctl("resume", user="root", limit=LIMIT)
    system("systemctl", "reload", "penstockd", check=False, limit=LIMIT)


PARTS = {p.__name__: p for p in (attached, detached, compiled, dependent, growing, sharing, rough, administered)}


class Rest:
    """What penstockd holds when no query is there, as quick to see as can be."""

    def __init__(self):
        self.take()

    def take(self):
        counts_at_rest()
        self.since, self.is_excused = time.time(), False
        self.pid = daemon_pid()
        self.descriptors = descriptors(self.pid)
        self.children = children(self.pid)
        self.files = self.result_files()
        self.used = status()["used_memory_bytes"]

    @staticmethod
    def result_files():
        path = "/var/lib/penstock/results"
        return len(os.listdir(path)) if os.path.isdir(path) else 0

    def differs(self):
        """In words; empty when all is as it was."""
        if self.is_gone():
            return f"penstockd has another pid ({daemon_pid()}, was {self.pid})"
        now = status()
        known = {k: now[k] for k in ("created", "compiling", "queueing", "executing", "finished", "errored", "canceled") if now.get(k)}
        seen = {
            "groups": cgroups.all_groups_below(cgroups.SLICE),
            "descriptors": dict(descriptors(self.pid) - self.descriptors),
            "children": max(children(self.pid) - self.children, 0),
            "result files": self.result_files() - self.files,
            "queries": known,
            "used memory": now["used_memory_bytes"] - self.used,
        }
        return ", ".join(f"{k}: {v}" for k, v in seen.items() if v)

    def excuse(self, site):
        """A library's own call, with nothing of penstockd's between the loop and it: sd-bus closes the connection for a message that
        it has no memory for, now or when it comes to it. penstockd can't keep it then: it says so, and another one goes on with the
        queries."""
        self.is_excused = self.is_excused or (site.module and site.where.startswith(("loop_run ", "serve ")))

    def is_gone(self):
        if daemon_pid() == self.pid:
            return False
        if not self.is_excused or "starts anew, and goes on with its queries" not in refusals(self.since):
            return True
        wait_for(daemon_pid, "penstockd is there again")
        run("--", "echo", "well", limit=LIMIT).expect(0)  # what it makes once is made
        self.take()
        return False

    def wait(self):
        """Ended queries whose Done was what failed are released again first, as their callers would."""
        end = time.monotonic() + LIMIT
        while True:
            text = self.differs()
            if not text:
                return
            if time.monotonic() > end or text.startswith("penstockd"):
                fail(f"left behind: {text}")
            if "queries" in text:
                ids = re.findall(r'"id": *(\d+)', ctl("list", "--json", user="root").text)
                if ids and "executing" not in text:
                    ctl("done", *ids, user="root", limit=LIMIT)
            time.sleep(0.05)


def look(rest):
    """What faults have left, or broken, or None."""
    try:
        rest.wait()
        run("--", "echo", "well", limit=LIMIT).expect(0)
        rest.wait()
    except Failure as e:
        return str(e)
    return None


def suffer(faults, rest, site, part, skip):
    """One fault, and what the callers see of it. Returns what is wrong, or None; None too when the call was not made."""
    rest.excuse(site)
    observer = cgroups.Observer(BUDGET)
    watched = part in (growing, sharing)
    wrong = None
    if watched:
        observer.start()
    try:
        with faults.armed(site, skip):
            part()
    except Failure as e:
        wrong = str(e)
    if watched and observer.finish().over:
        wrong = wrong or f"over the budget: {observer}"
    if rest.is_gone():
        wrong = f"penstockd has another pid ({daemon_pid()}, was {rest.pid}); {wrong}; it said: {refusals(rest.since)}"
    return wrong


def sites_of(faults, parts):
    """Each site once, with the first of PARTS that meets it. That an answer was an error is no fault, unless it says that there
    will be none."""
    found = {}

    def counts(site):
        return site.name != "sd_bus_message_is_method_error" or "systemd_reply_is_lost" in site.where

    for part in parts:
        sites = []
        with faults.recorded(sites):
            part()
        for site in filter(counts, sites):
            found.setdefault(site.key, (site, part))
    return list(found.values())


@contextlib.contextmanager
def stage():
    """penstockd with faults, a small budget, and a language with a dependency."""
    with language("dependent", "[Language]\nQueryFrom=argument\nExecute=echo {query}\nDependencies=fd\n"):
        write_drop_in(CONFIG)
        with open(DROP_IN, "a", encoding="ascii") as f:
            f.write("[Dependency fd]\nEnvironment=A=b\nCheckCommand=/usr/bin/true\nReleaseCommand=/usr/bin/true\n")
        try:
            with Faults() as faults:
                yield faults
        finally:
            os.unlink(DROP_IN)
            reload_daemon()


class Report:
    def __init__(self):
        self.struck, self.wrong = 0, []

    def suffer(self, faults, rest, plan):
        begin = time.monotonic()
        text = suffer(faults, rest, *plan)
        took = time.monotonic() - begin
        self.struck += faults.has_struck()
        if took > 30 and not text:
            note(f"{describe(plan)}: well, but only after {took:.0f} s")
        return text

    def blame(self, plan, text):
        note(f"{describe(plan)}: {text}")
        self.wrong.append(f"{describe(plan)}: {text}")


def describe(plan):
    site, part, skip = plan
    return f"{part.__name__}: {site}, call {skip + 1}"


def rest_anew(plan):
    """Of another penstockd, after a fault was not got over. What it makes once, as the history's file, is made before."""
    recover()
    plan[1]()
    return Rest()


def suffer_some(faults, rest, plans, report):
    """What is left is looked at after some faults, and only when there is something after each. Returns what to compare with
    from now on."""
    for plan in plans:
        text = report.suffer(faults, rest, plan)
        if text:
            report.blame(plan, text)
            rest = rest_anew(plan)
    if not look(rest):
        return rest
    rest = rest_anew(plans[0])
    for plan in plans:
        text = report.suffer(faults, rest, plan) or look(rest)
        if text:
            report.blame(plan, text)
            rest = rest_anew(plan)
    return rest


EACH_SECONDS = 9000  # of each part; tools/lib/guest-suites.sh has room for all
AT_ONCE = 8  # faults between two looks at what they left
met = {}  # of each part that has run, the keys of its sites


def inject(parts, seconds, earlier=()):
    """Returns how many faults were left when the time was over. A site that one of EARLIER meets is tried in that one."""
    report = Report()
    with stage() as faults:
        for part in parts:
            part()  # what is made once is made
        for part in (p for p in earlier if p not in met):
            met[part] = {site.key for site, _part in sites_of(faults, [part])}
        others, sites = set().union(*(met[p] for p in earlier)), sites_of(faults, parts)
        met.update({p: {site.key for site, first in sites if first == p} for p in parts})
        plans = [(s, p, harness.rng.choice((0, harness.rng.randrange(s.count)))) for s, p in sites if s.key not in others]
        note(f"{len(plans)} faults are possible in {', '.join(p.__name__ for p in parts)}")
        harness.rng.shuffle(plans)
        rest, before = Rest(), counts_at_rest()
        end, done = time.monotonic() + seconds, 0
        while done < len(plans) and time.monotonic() < end:
            rest = suffer_some(faults, rest, plans[done : done + AT_ONCE], report)
            done += AT_ONCE
        note(f"{min(done, len(plans))} faults, of which {report.struck} struck; {len(report.wrong)} were not got over")
        if not report.wrong:
            expect_counts(before, "the counts")
    expect(report.struck > 0, "a fault has struck")
    if report.wrong:
        fail("not got over:\n" + "\n".join(report.wrong))
    return max(len(plans) - done, 0)


@test("a call that fails once, of some drawn by the seed, costs no query its answer, and penstockd nothing", slow=True)
def some():
    inject(harness.rng.sample(list(PARTS.values()), 2), 25)


def use_budget(budget_bytes):
    write_drop_in({**CONFIG, "MaxMemoryBytes": str(budget_bytes)})
    reload_daemon()


def expect_fence(budget_bytes, fence_bytes):
    wait_for(
        lambda: status()["max_memory_bytes"] == budget_bytes and cgroups.limit(cgroups.SLICE) == fence_bytes,
        f"budget {budget_bytes} and the limit of penstock.slice {fence_bytes}, are {status()} {cgroups.limit(cgroups.SLICE)}",
        LIMIT,
    )


@test("when PID 1 can't be asked for another limit of penstock.slice at a reload it is asked later, and a larger budget waits", slow=True)
def another_budget_later():
    budgets, fences, sites = (BUDGET + 64 * MIB, BUDGET), {}, {}
    with stage() as faults:
        for budget in budgets:
            before, sites[budget] = cgroups.limit(cgroups.SLICE), []
            with faults.recorded(sites[budget]):
                use_budget(budget)
                wait_for(lambda b=before: cgroups.limit(cgroups.SLICE) != b, "its limit")
            fences[budget] = cgroups.limit(cgroups.SLICE)
        for budget, other in (budgets, budgets[::-1]):
            asking = [s for s in sites[budget] if "systemd_slice_set " in s.where]
            expect(asking, "places that ask for the slice's limit")
            drawn = harness.rng.sample(asking, min(harness.repeats(1, len(asking)), len(asking)))
            note(f"{len(asking)} places for {budget}, of which {len(drawn)} fail")
            for site in drawn:
                use_budget(other)
                expect_fence(other, fences[other])
                with faults.armed(site):
                    use_budget(budget)
                    expect(faults.has_struck(), f"{site} has failed")
                    expect_fence(budget, fences[budget])


def restarts():
    return int(system("systemctl", "show", "--property=NRestarts", "--value", "penstockd").text)


def refusals(since):
    """What penstockd said to the journal on why it did not start, or did without something."""
    return system("journalctl", "--quiet", "--unit=penstockd", f"--since=@{since:.0f}", "--output=cat", "_COMM=penstockd").text


def start_anew(faults, site, skip):
    """Returns what is wrong, or None."""
    since, begun = time.time(), restarts()
    with faults.armed(site, skip):
        system("systemctl", "restart", "penstockd", check=False, limit=LIMIT)
        try:
            wait_for(lambda: ctl("status", user="root", limit=LIMIT).status == 0, "it answers", LIMIT)
            run("--", "echo", "well", limit=LIMIT).expect(0)
        except Failure as e:
            return str(e)
    if restarts() > begun and not refusals(since):
        return "it ended without a word"
    return None


@test("a call that fails once while penstockd starts makes it refuse, and say why, or costs nothing", long_only=True)
def start_up():
    with stage() as faults:
        sites, wrong, struck = [], [], 0
        with faults.recorded(sites):
            faults.restart()
        note(f"{len(sites)} places")
        for site in sites:
            text = start_anew(faults, site, 0)
            struck += faults.has_struck()
            if text:
                wrong.append(f"{site}: {text}")
                note(wrong[-1])
                recover()
        note(f"{struck} faults struck")
        expect(not wrong, "not got over:\n" + "\n".join(wrong))


def take_over(faults, site, unread, error):
    """What runs, what waits and what has ended is taken over while a call fails. Raises Failure when one of them has suffered: a
    query may end over it, with a word, but not as one that needed too much, nor for want of memory, which passes."""
    running = Gated("print('ended')")
    waiting = ctl_start("run", "--", "echo", "waited")
    wait_for(lambda: status()["queueing"] == 1, "one waits")
    with faults.armed(site, error=error):
        system("systemctl", "restart", "penstockd", check=False, limit=LIMIT)
        wait_for(lambda: ctl("status", user="root", limit=LIMIT).status == 0, "it answers", LIMIT)
    with contextlib.suppress(OSError):
        running.go()
    done = answered(running.wait(LIMIT), "ended\n")
    expect("Memory" not in done.errors, f"it was not ended for its memory: {done}")
    waited = answered(waiting.wait(LIMIT), "waited\n")
    if error == errno.ENOMEM:
        expect_equal((done.status, waited.status), (0, 0), f"how they ended: {done} {waited}")
    expect_equal(ctl("results", str(unread), limit=LIMIT).text, "kept\n", "results that nobody had read")


def taken_over(at_most):
    with stage() as faults:
        write_drop_in({**CONFIG, "ConcurrencyQuota": 1})
        reload_daemon()
        unread, sites, wrong, struck = submit("--", "echo", "kept"), [], [], 0
        wait_for_state(unread, "finished")
        running, waiting = Gated(), ctl_start("run", "--", "true")
        wait_for(lambda: status()["queueing"] == 1, "one waits")
        with faults.recorded(sites):
            faults.restart()
        running.go()
        running.wait(LIMIT)
        waiting.wait(LIMIT)
        locate(sites)
        sites = [s for s in sites if re.search(r" manager_(adopt|gather|load)|restore_|take_over|record_(list|read)", f" {s.where}")]
        note(f"{len(sites)} places")
        first = [s for s in sites if "take_over_unit" in s.where or "restore_start" in s.where]
        harness.rng.shuffle(first)
        others = [s for s in sites if s not in first]
        plans = [(s, errno.ENOMEM) for s in first[:at_most]]
        plans += [(s, e) for s in harness.rng.sample(others, min(at_most, len(others))) for e in (0, errno.ENOMEM)]
        for site, error in plans:
            try:
                take_over(faults, site, unread, error)
            except Failure as e:
                wrong.append(f"{site}{f' ({errno.errorcode[error]})' if error else ''}: {e}")
                note(wrong[-1])
                recover()
            struck += faults.has_struck()
        note(f"{struck} faults struck")
        expect(struck > 0, "a fault has struck")
        expect(not wrong, "not got over:\n" + "\n".join(wrong))


@test("a call that fails once while queries are taken over costs none its answer: of some drawn by the seed", slow=True)
def some_taken_over():
    taken_over(2)


@test("each call that fails once while queries are taken over costs none its answer", long_only=True)
def all_taken_over():
    taken_over(1000)


def each_of(part):
    def each():
        left = inject([part], EACH_SECONDS, list(PARTS.values())[: list(PARTS).index(part.__name__)])
        if left:
            raise Skip(f"{left} faults were left after {EACH_SECONDS} s; those that were tried were got over")

    promise = f"each call that fails once costs no query its answer, and penstockd nothing: {part.__name__}"
    test(promise, long_only=True, limit=EACH_SECONDS + 3600)(each)


for one in PARTS.values():
    each_of(one)
