# SPDX-License-Identifier: LGPL-2.1-or-later
"""Admission: how many run, who waits where, who is refused, and that the sum of all quotas stays within the budget."""

from lib import cgroups, harness
from lib.cgroups import MIB
from lib.harness import expect, expect_equal, expect_in, note, test, wait_for
from lib.service import Gated, bus_property, configured, ctl, ctl_json, ctl_start, run, status, submit, wait_for_state

QUOTA = 4  # the shipped ConcurrencyQuota


def budget():
    return int(bus_property("MaxMemoryBytes"))


def wait_for_idle():
    """Used memory is ConcurrencyQuota times the initial quota when nothing runs."""

    def idle():
        seen = status()
        return seen["used_memory_bytes"] == QUOTA * 64 * MIB and seen["executing"] == 0

    wait_for(idle, f"the pool is whole again ({status()})")


def fill_slots(n=QUOTA, body="print('done')", **more):
    return [Gated(body, **more) for _ in range(n)]


def release(queries):
    for q in queries:
        q.go()
    for q in queries:
        expect_equal(q.wait().expect(0).text, "done\n", "the output of what held a slot")


@test("a storm of growing queries: all finish, no more than ConcurrencyQuota at once, and Σ memory.max never passes the budget",
      slow=True)
def storm():
    # So small that four together want more than there is, and so large that one of them can always get what it needs.
    with configured(MaxMemoryBytes="640M"):
        grow_together()
    wait_for_idle()


HALFWAY = "b=bytearray(100<<20)\nprint('half', flush=True)\nsys.stdin.readline()\nc=bytearray(100<<20)\nprint('whole')"


def grow_together():
    observer = cgroups.Observer(budget())
    observer.start()
    try:
        n = harness.repeats(8, 60)
        # The first fill the slots and stop halfway, each at 128M, so that from there on all want more at once however
        # fast the machine is: whoever asks first gets all that is left of the budget.
        first = fill_slots(QUOTA, body=HALFWAY)
        sizes = [harness.rng.choice((90, 150, 200, 200)) for _ in range(n - QUOTA)]
        body = "b=bytearray({0}<<20); print({0})"
        queries = [(ctl_start("run", "--language", "python", body.format(s)), s) for s in sizes]
        for q in first:
            q.go()
        for q in first:
            q.wait_for_output(b"half")
        for q in first:
            q.go()
        for q in first:
            expect_equal(q.wait(400).expect(0).text, "half\nwhole\n", "the output")
        for q, size in queries:
            expect_equal(q.wait(400).expect(0).text, f"{size}\n", "the output")
    finally:
        observer.finish()
    note(observer)
    expect_equal(observer.over, [], "scans whose sum passed the budget")
    expect(observer.pairs >= n, f"there were enough scans to tell: {observer}")
    expect(observer.count_max <= QUOTA, f"at once: {observer}")
    expect(observer.sum_max > observer.budget_bytes - 4 * MIB, f"the budget was all given out: {observer}")


@test("queries beyond the quota wait in order of arrival, with their positions and reasons to be seen", slow=True)
def positions():
    running = fill_slots()
    waiting = []
    for i in range(3):
        waiting.append(submit("--", "echo", str(i)))
        wait_for_state(waiting[-1], "queueing")
    seen = [ctl_json("show", str(q)) for q in waiting]
    expect_equal([s["queue_position"] for s in seen], [1, 2, 3], "their positions")
    expect_equal([s["memory_quota_bytes"] for s in seen], [0, 0, 0], "their quotas")
    for s in seen:
        expect_in("ConcurrencyQuota", s["wait_reason"], "the reason")
    expect_equal(status()["queueing"], 3, "queueing in status")
    expect_in("ConcurrencyQuota", ctl("why", str(waiting[0])).expect(0).text, "what `why` says")
    listed = [q["id"] for q in ctl_json("list") if q["state"] == "queueing"]
    expect_equal(listed, waiting, "the list")
    release(running)
    for i, q in enumerate(waiting):
        ctl("wait", str(q)).expect(0)
        expect_equal(ctl("results", str(q)).expect(0).text, f"{i}\n", "the results")
        ctl("done", str(q)).expect(0)


@test("a full queue refuses with QueueLengthExceeded and the settings' names, and those who wait still run", slow=True)
def queue_full():
    with configured(QueueSize=2):
        running = fill_slots()
        waiting = [submit("--", "echo", "waited") for _ in range(2)]
        run("--", "true").expect(125, "QueueLengthExceeded", ["QueueSize"])
        release(running)
        for q in waiting:
            ctl("wait", str(q)).expect(0)
            ctl("done", str(q)).expect(0)
        expect_equal(run("--", "echo", "again").expect(0).text, "again\n", "a query afterwards")


@test("a query that is canceled while it waits leaves at once, never runs, and the others move up", slow=True)
def cancel_while_waiting():
    running = fill_slots()
    first, second = submit("--", "echo", "never"), submit("--", "echo", "second")
    wait_for(lambda: ctl_json("show", str(second))["queue_position"] == 2, "the second one waits behind the first")
    ctl("cancel", str(first)).expect(0)
    wait_for_state(first, "canceled")
    expect_equal(ctl_json("show", str(second))["queue_position"], 1, "the second one's position")
    waiting = ctl_start("run", "--", "echo", "never")
    wait_for(lambda: status()["queueing"] == 2, "one more waits")
    waiting.end()  # its client is killed: the hold is dropped
    wait_for(lambda: status()["queueing"] == 1, "it left with its client")
    release(running)
    ctl("wait", str(second)).expect(0)
    expect_equal(ctl("results", str(first)).out, b"", "results of the one that was canceled")
    for q in (first, second):
        ctl("done", str(q)).expect(0)


@test("a query that waits longer than --queue-timeout ends with 124 and QueueTimeout", slow=True)
def queue_timeout():
    running = fill_slots()
    run("--queue-timeout", "2", "--", "true").expect(124, "QueueTimeout", ["QueueTimeoutSec"])
    release(running)


@test("a lower priority runs after those that came later", slow=True)
def priorities():
    running = fill_slots()
    low = submit("--priority", "-5", "--", "true")
    wait_for_state(low, "queueing")
    normal = submit("--", "true")
    wait_for(lambda: ctl_json("show", str(normal))["queue_position"] == 1, "the later one is first")
    expect_equal(ctl_json("show", str(low))["queue_position"], 2, "the low one's position")
    release(running)
    for q in (normal, low):
        ctl("wait", str(q)).expect(0)
        ctl("done", str(q)).expect(0)


@test("one user has no more than MaxQueriesPerUser, and others still submit", slow=True)
def per_user():
    with configured(MaxQueriesPerUser=2):
        running = fill_slots(2)
        done = run("--", "true")
        expect_equal(done.status, 125, f"the third one ({done})")
        expect_in("MaxQueriesPerUser", done.errors, "the message")
        run("--", "true", user="bob").expect(0)
        release(running)


@test("a query that needs more than is left in the budget waits frozen, and goes on when another ends", slow=True)
def waits_for_budget():
    with configured(MaxMemoryBytes="512M", ConcurrencyQuota=2):
        holder = Gated("b=bytearray(230<<20); print('got', flush=True); sys.stdin.readline(); print('done')")
        holder.go()
        holder.wait_for_output(b"got\n")
        q = Gated("b=bytearray(300<<20); print(len(b))")
        q.go()
        # The holder gives back what it does not need, so it may be thawed once in between.
        wait_for(lambda: "MaxMemoryBytes" in ctl_json("show", str(q.id))["wait_reason"], "it waits, and says for what")
        wait_for(lambda: cgroups.table(q.group, "cgroup.events").get("frozen") == 1, "it is frozen")
        expect(cgroups.limit(q.group) + cgroups.limit(holder.group) <= 512 * MIB, "the sum is within the budget")
        holder.go()
        expect_equal(holder.wait().expect(0).text, "got\ndone\n", "the output of the holder")
        expect_equal(q.wait().expect(0).text, f"{300 * MIB}\n", "its output")
        stats = ctl_json("stats", str(q.id))
        expect(stats["frozen_usec"] > 0, f"its frozen time is booked: {stats}")


@test("when none can finish without more, one victim frees the others", slow=True)
def victim():
    with configured(MaxMemoryBytes="512M", ConcurrencyQuota=2, FreezeTimeoutSec="5s"):
        body = "b=bytearray(200<<20); print('got', flush=True); sys.stdin.readline(); c=bytearray(180<<20); print('done')"
        queries = [Gated(body) for _ in range(2)]
        for q in queries:
            q.go()
        for q in queries:
            q.wait_for_output(b"got\n")
        for q in queries:
            q.go()
        ends = sorted((q.wait(300) for q in queries), key=lambda d: d.status)
        ends[0].expect(0)
        ends[1].expect(137, "MemoryBudgetExhausted", ["MaxMemoryBytes"])


@test("canceling a frozen query ends it at once", slow=True)
def cancel_frozen():
    # At once: not after the grace that one that runs would have.
    with configured(MaxMemoryBytes="512M", ConcurrencyQuota=2, CancelGraceSec="1h"):
        # It needs what it has, and so gives nothing back however long it rests.
        holder = Gated("b=bytearray(360<<20); print('got', flush=True); sys.stdin.readline()")
        holder.go()
        holder.wait_for_output(b"got\n")
        q = Gated("import signal; signal.signal(15, signal.SIG_IGN); b=bytearray(300<<20)")
        q.go()
        wait_for(lambda: cgroups.table(q.group, "cgroup.events").get("frozen") == 1, "it is frozen")
        ctl("cancel", str(q.id)).expect(0)
        q.wait().expect(125, "Canceled")
        holder.go()
        holder.wait().expect(0)
