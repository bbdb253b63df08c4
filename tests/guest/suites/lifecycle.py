# SPDX-License-Identifier: LGPL-2.1-or-later
"""The life of a query: what may be asked of it in every state, and what it holds until when."""

import contextlib
import fcntl
import os
import stat
import struct
import termios
import threading

from lib import attached, cgroups
from lib.attached import Attached
from lib.cgroups import MIB
from lib.harness import Skip, expect, expect_equal, expect_in, note, test, wait_for
from lib.processes import sleeps_for_good
from lib.service import (
    Gated,
    configured,
    ctl,
    ctl_json,
    daemon_pid,
    home,
    language,
    list_queries,
    state,
    status,
    submit,
    system,
    unit_property,
    wait_for_state,
)

# Compiles until a file is there, which needs no polling of ours.
GATED_COMPILE = """[Language]
QueryFrom=argument
Compile=sh -c 'while [ ! -e "$1" ]; do sleep 0.2; done' x {query}
Execute=echo {query}
[Sandbox]
Home=read-only
"""
GATE = "/home/alice/compile-gate"
MANY = 1 << 30


def readable_bytes(fd):
    return struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4))[0]


def in_slot(argv):
    q = Attached(argv)
    wait_for(lambda: cgroups.pids(q.group), f"query {q.id} runs")
    return q


class Stage:
    """One query in each state, on a machine of two slots of which one is held by somebody else."""

    def __init__(self):
        self.holder = None

    def compiling(self):
        q = Attached(GATE, language="gated-compile")
        wait_for_state(q.id, "compiling")
        wait_for(lambda: cgroups.is_populated(f"{cgroups.unit_group(q.id)}/compile"), "its compiler runs")
        return q

    def created(self):
        q = Attached(GATE, language="gated-compile")  # the only compile slot is taken by compiling()
        wait_for_state(q.id, "created")
        return q

    def queueing(self):
        ctl("pause", user="root", cwd="/").expect(0)
        q = Attached(["echo", "never"])
        wait_for_state(q.id, "queueing")
        return q

    def starting(self):
        return Attached(["sleep", "1000"])

    def executing(self):
        return in_slot(["sleep", "1000"])

    def ignoring(self):
        q = in_slot(["python3", "-c", "import signal; signal.signal(15, signal.SIG_IGN); print(flush=True)\nwhile 1: signal.pause()"])
        wait_for(lambda: readable_bytes(q.results) == 1, "it ignores SIGTERM")
        return q

    def frozen(self):
        q = Attached(["python3", "-c", "b = bytearray(300 << 20)"])
        wait_for(lambda: cgroups.table(q.group, "cgroup.events").get("frozen") == 1, "it is frozen")
        return q

    def blocked(self):
        q = Attached(["head", "-c", str(MANY), "/dev/zero"])
        wait_for(lambda: is_blocked_writing(q.group), "it waits for its reader")
        return q

    def unread(self):
        q = Attached(["echo", "unread"])
        wait_for_state(q.id, "finished")
        return q

    def read(self):
        q = Attached(["echo", "read"])
        expect_equal(q.read_all(), b"read\n", "the results")
        wait_for_state(q.id, "finished")
        return q

    def errored(self):
        q = Attached(["sh", "-c", "echo part; exit 3"])
        wait_for_state(q.id, "errored")
        return q

    STATES = ("compiling", "created", "queueing", "starting", "executing", "ignoring", "frozen", "blocked", "unread", "read", "errored")
    ENDED = {"unread": "finished", "read": "finished", "errored": "errored"}


def is_blocked_writing(group):
    """Its only process sleeps in write(2) to its descriptor 1."""
    found = cgroups.pids(group)
    if len(found) != 1:
        return False
    fields = (cgroups.read(f"/proc/{found[0]}/syscall") or "").split()
    return fields[:2] == ["1", "0x1"]


@contextlib.contextmanager
def stage():
    """A budget so small that who wants 300M freezes, since a holder has taken all but the slots."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(GATE)
    with language("gated-compile", GATED_COMPILE), configured(
        MaxMemoryBytes="512M", MemoryBytesQuotaPerQuery="512M", ConcurrencyQuota=2, CompileConcurrency=1, CancelGraceSec="1s"
    ):
        holder = Gated("b=bytearray(230<<20); print('got', flush=True); sys.stdin.readline(); print('unharmed')")
        holder.go()
        holder.wait_for_output(b"got\n")
        try:
            yield Stage()
            holder.go()
            expect_equal(holder.wait().expect(0).text, "got\nunharmed\n", "the output of a neighbour")
        finally:
            attached.close_all()
            ctl("resume", user="root", cwd="/")


def in_every_state(act):
    """ACT on a query in each state; the two that compile share the one compile slot and so go together."""
    with stage() as s:
        first = s.compiling()
        act("created", s.created())
        act("compiling", first)
        for name in Stage.STATES[2:]:
            act(name, getattr(s, name)())
            ctl("resume", user="root", cwd="/").expect(0)
        wait_for(lambda: status()["executing"] == 1, "no slot is taken but the holder's")


def listed(query_id):
    return query_id in [q["id"] for q in list_queries()]


@test("cancel is legal in every state and twice, and a canceled query stays in the list until it is Done", slow=True)
def cancel_in_every_state():
    def act(name, q):
        wanted = Stage.ENDED.get(name, "canceled")
        for _ in range(2):
            reply = attached.call_on_query(q.id, "Cancel")
            expect_equal(reply.error, None, f"Cancel of a query that is {name}")
        wait_for_state(q.id, wanted)
        expect(not cgroups.is_populated(q.group), f"{name}: its group is empty when it has ended")
        expect_equal(attached.call_on_query(q.id, "Cancel").error, None, f"Cancel when it has ended as {wanted}")
        expect_equal(state(q.id), wanted, f"the state of what was {name}")
        if name not in ("read", "blocked"):
            q.read_all()  # ends, or the test does not
        expect(listed(q.id), f"{name}: it is listed until Done")
        statistics = q.done()
        expect_equal(statistics["verdict"], {"canceled": "cancel", "errored": "exit", "finished": ""}[wanted], f"{name}: the verdict")
        expect(not listed(q.id), f"{name}: it is not listed after Done")

    in_every_state(act)


@test("Done is legal in every state and twice, with the results read and unread, and returns the final statistics", slow=True)
def done_in_every_state():
    def act(name, q):
        wanted = Stage.ENDED.get(name, "canceled")
        first = q.done()
        expect(not cgroups.is_populated(q.group), f"{name}: its group is empty when Done has returned")
        expect(not listed(q.id), f"{name}: it is not listed")
        expect_equal(q.describe()["state"], wanted, f"the state of what was {name}")
        expect(first["total_usec"] > 0, f"{name}: the statistics are there: {first}")
        parts = sum(first[f"{p}_usec"] for p in ("compile", "queue", "execute"))
        expect(parts <= first["total_usec"], f"{name}: its time is booked once: {first}")
        expect_equal(q.done(), first, f"{name}: the statistics of a second Done")
        expect_equal(attached.call_on_query(q.id, "Cancel").error, "org.freedesktop.DBus.Error.UnknownObject", f"{name}: its object")
        if name == "unread":
            expect_equal(q.read_all(), b"unread\n", "what lies in the pipe is its reader's, also after Done")

    in_every_state(act)


@test("closing the hold in every state cancels what lives and releases what has ended", slow=True)
def hold_in_every_state():
    def act(name, q):
        q.close("hold")
        wait_for(lambda: not listed(q.id), f"{name}: it leaves the list")
        expect_equal(state(q.id), Stage.ENDED.get(name, "canceled"), f"the state of what was {name}")

    in_every_state(act)


@test("results may be closed before any data came, and their reader gets the end of the file")
def results_without_data():
    ctl("pause", user="root", cwd="/").expect(0)
    try:
        q = Attached(["echo", "never"])
        expect_equal(attached.call_on_query(q.id, "Cancel").error, None, "Cancel")
        expect_equal(q.read_all(), b"", "the results")
        wait_for_state(q.id, "canceled")
        q.done()
    finally:
        attached.close_all()
        ctl("resume", user="root", cwd="/")


def resident_bytes(pid):
    text = cgroups.read(f"/proc/{pid}/status") or ""
    return next((int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith("VmRSS:")), 0)


@test("an engine that writes 1 GiB to a reader who does not read waits, no memory grows, and cancel works", slow=True)
def back_pressure():
    before = resident_bytes(daemon_pid())
    try:
        q = Attached(["head", "-c", str(MANY), "/dev/zero"])
        wait_for(lambda: is_blocked_writing(q.group), "it waits for its reader")
        waiting, moved = readable_bytes(q.results), cgroups.table(cgroups.unit_group(q.id), "cpu.stat").get("usage_usec")
        for _ in range(20):
            ctl("status").expect(0)
            expect(is_blocked_writing(q.group), "it waits still")
        expect_equal(readable_bytes(q.results), waiting, "the bytes in the pipe")
        expect(0 < waiting <= MIB, f"they are no more than a pipe holds: {waiting}")
        peak = cgroups.limit(q.group, "memory.peak")
        expect(peak < 16 * MIB, f"the peak of an engine that waits: {peak}")
        after = resident_bytes(daemon_pid())
        expect(after < before + MIB, f"penstockd's memory: {before}, then {after}")
        note(f"{waiting} bytes wait; the unit used {moved} us")
        expect_equal(attached.call_on_query(q.id, "Cancel").error, None, "Cancel")
        wait_for_state(q.id, "canceled")
        expect_equal(len(q.read_all()), waiting, "the bytes that the reader still gets")
        q.done()
    finally:
        attached.close_all()


@test("detached results are a file on disk that its owner alone is given, are bounded by ResultsMaxBytes, and go with Done", slow=True)
def detached_results():
    query_id = submit("--", "echo", "kept")
    wait_for_state(query_id, "finished")
    path = f"/var/lib/penstock/results/{query_id}"
    seen = os.stat(path)
    expect_equal((seen.st_uid, stat.S_IMODE(seen.st_mode)), (0, 0o400), "owner and mode of the file")
    directory = os.stat(os.path.dirname(path))
    expect_equal((directory.st_uid, stat.S_IMODE(directory.st_mode)), (0, 0o700), "owner and mode of the directory")
    disk = system("stat", "--file-system", "--format=%T", path).text.strip()
    expect(disk not in ("tmpfs", "ramfs"), f"it is on disk: {disk}")
    for user in ("alice", "root"):
        expect_equal(ctl("results", str(query_id), user=user).expect(0).text, "kept\n", f"what {user} reads")
    for words in (["results", str(query_id)], ["done", str(query_id)]):
        refused = ctl(*words, user="bob")
        expect(refused.status != 0 and not refused.out, f"{words} by bob: {refused}")
        expect_in("PermissionDenied", refused.errors, f"{words} by bob")
    ctl("done", str(query_id)).expect(0)
    wait_for(lambda: not os.path.exists(path), "the file is gone with Done")

    # More than the loop may remove by itself (src/daemon/loop_guard.c).
    query_id = submit("--", "head", "-c", "40M", "/dev/zero")
    wait_for_state(query_id, "finished")
    ctl("done", str(query_id)).expect(0)
    wait_for(lambda: not os.path.exists(f"/var/lib/penstock/results/{query_id}"), "large results are gone, too")

    with configured(ResultsMaxBytes="1M"):
        query_id = submit("--", "head", "-c", str(MANY), "/dev/zero")
        wait_for_state(query_id, "errored")
        seen = ctl_json("stats", str(query_id))
        expect_equal((seen["error"]["name"], seen["verdict"]), ("ExecutionFailed", "results"), "how it ended")
        for word in ("1048576", "ResultsMaxBytes"):
            expect_in(word, seen["error"]["message"], "the message")
        size = os.stat(f"/var/lib/penstock/results/{query_id}").st_size
        expect(0 < size <= MIB, f"the size of the file: {size}")
        ctl("done", str(query_id)).expect(0)


@test("detached results and unread records are kept for ResultsKeepSec and no longer", slow=True)
def kept_for_a_time():
    with configured(ResultsKeepSec="2s"):
        query_id = submit("--", "echo", "short")
        ctl("wait", str(query_id)).expect(0)
        wait_for(lambda: not listed(query_id), "it leaves the list by itself")
        wait_for(lambda: not os.path.exists(f"/var/lib/penstock/results/{query_id}"), "its file is gone, too")
        expect_equal(state(query_id), "finished", "it is remembered")
    kept = submit("--", "echo", "long")
    ctl("wait", str(kept)).expect(0)
    expect(listed(kept), "with the shipped ResultsKeepSec it is listed")
    ctl("done", str(kept)).expect(0)


class Both(threading.Thread):
    """Watches two groups from outside: were both ever populated at once?"""

    def __init__(self, first, second):
        super().__init__(daemon=True)
        self.groups, self.scans, self.both, self._ending = (first, second), 0, 0, threading.Event()

    def run(self):
        while not self._ending.is_set():
            # The first once more: it may have emptied between the two looks, and the second filled.
            seen = [cgroups.is_populated(g) for g in (self.groups[1], self.groups[0])]
            self.scans += 1
            self.both += all(seen)

    def finish(self):
        self._ending.set()
        self.join()
        return self


@test("a slot is free when the group is empty, not when the kill was sent: SIGTERM ignored, forked twice, own sessions", slow=True)
def slot_until_empty():
    body = """
import signal
for i in range(2):
    if os.fork() == 0:
        os.setsid()
        if os.fork(): os._exit(0)
        signal.signal(15, signal.SIG_IGN)
        os.write(1, b'child\\n')
        while True: signal.pause()
signal.signal(15, signal.SIG_IGN)
while True: signal.pause()
"""
    with configured(ConcurrencyQuota=1, CancelGraceSec="10s"):
        q = Gated(body)
        q.go()
        q.wait_for_output(b"child\nchild\n")
        after = submit("--", "echo", "after")
        wait_for_state(after, "queueing")
        watch = Both(q.group, cgroups.engine_group(after))
        watch.start()
        ctl("cancel", "--no-wait", str(q.id)).expect(0)
        expect_equal(state(after), "queueing", "the next one, while the grace time passes")
        expect_equal(state(q.id), "executing", "the canceled one, while its processes live")
        q.wait().expect(125, "Canceled")
        ctl("wait", str(after)).expect(0)
        watch.finish()
        expect(watch.scans > 50 and watch.both == 0, f"both held a process in {watch.both} of {watch.scans} looks")
        ctl("done", str(after)).expect(0)


@contextlib.contextmanager
def freezable(directory):
    """A file system of its own on DIRECTORY; yields a function that freezes it, so that who writes there sleeps
    where no signal wakes him."""
    image = "/var/tmp/freezable.img"
    for command in (["truncate", "-s", "16M", image], ["mkfs.ext4", "-q", image], ["modprobe", "loop"]):
        if system(*command, check=False).status != 0:
            raise Skip(f"this machine has no {command[0]} for a file system on a loop device")
    os.makedirs(directory, exist_ok=True)
    if system("mount", "-o", "loop", image, directory, check=False).status != 0:
        raise Skip("this machine mounts no file system on a loop device")
    frozen = []

    def freeze():
        system("fsfreeze", "--freeze", directory)
        frozen.append(True)

    def thaw():
        if frozen:
            system("fsfreeze", "--unfreeze", directory)
            frozen.clear()

    try:
        os.chmod(directory, 0o777)
        yield freeze, thaw
    finally:
        thaw()
        wait_for(lambda: system("umount", directory, check=False).status == 0, "it can be unmounted")
        os.rmdir(directory)
        os.unlink(image)


@test("a slot and its memory stay taken while a process sleeps where no signal wakes it, also when PID 1 gave its unit up", slow=True)
def uninterruptible():
    directory = f"{home('alice')}/freezable"
    with freezable(directory) as (freeze, thaw), configured(ConcurrencyQuota=1, MaxMemoryBytes="1G", CancelGraceSec="1s"):
        used = status()["initial_memory_bytes_quota_per_query"]  # of the one slot
        q = Gated(
            "b=bytearray(100<<20); print('grown', flush=True); sys.stdin.readline(); open('file', 'w').write('x')",
            "--working-directory", directory,
        )
        q.go()
        q.wait_for_output(b"grown\n")
        freeze()
        q.go()
        wait_for(lambda: sleeps_for_good(q.group), "it sleeps in the kernel")
        after = submit("--", "echo", "after")
        wait_for_state(after, "queueing")
        ctl("cancel", "--no-wait", str(q.id)).expect(0)
        system("systemctl", "stop", f"penstock-q{q.id}.service", limit=200, check=False)
        unit = f"penstock-q{q.id}.service"
        wait_for(lambda: unit_property(unit, "ActiveState") == "failed", "PID 1 gave it up")
        expect(cgroups.is_populated(q.group), "its process is there still")
        for _ in range(10):
            expect_equal((state(q.id), state(after)), ("executing", "queueing"), "the states of the two")
        expect(status()["used_memory_bytes"] > used, "its memory is not lent to others")
        thaw()
        q.wait().expect(125, "Canceled")
        ctl("wait", str(after)).expect(0)
        wait_for(lambda: status()["used_memory_bytes"] == used, "the pool is whole again")
        wait_for(lambda: not os.path.exists(cgroups.unit_group(q.id)), "its group is gone")
        ctl("done", str(after)).expect(0)
