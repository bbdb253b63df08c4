# SPDX-License-Identifier: LGPL-2.1-or-later
"""What breaks, or is made to break, takes nothing else with it: penstockd, other queries, descriptors, memory."""

import os
import pwd
import signal
import tempfile

from lib import cgroups, harness, hogs
from lib.harness import Failure, expect, expect_equal, expect_in, fail, note, test, wait_for
from lib.leftovers import descriptors, worker_of
from lib.service import (
    DAEMON,
    Gated,
    Running,
    configured,
    ctl,
    ctl_json,
    ctl_start,
    daemon_pid,
    environment,
    home,
    language,
    run,
    status,
    submit,
    system,
    wait_for_state,
)

QUOTA = 4  # ConcurrencyQuota as shipped


@test("a worker that is killed while its query waits ends that query alone, also when a slot is free at that moment", slow=True)
def lost_worker():
    pid = daemon_pid()
    running = [Gated("print('unharmed')") for _ in range(QUOTA)]
    waiting = [submit("--", "echo", str(i)) for i in range(2)]  # these get a unit ahead of their turn
    wait_for(lambda: all(worker_of(q) for q in waiting), "the waiting have a worker")
    os.kill(worker_of(waiting[0]), signal.SIGKILL)
    running[0].go()  # its slot is the next one's, perhaps before the unit is known to be gone
    wait_for_state(waiting[0], "errored", "finished")
    for q in running[1:]:
        q.go()
    for q in running:
        expect_equal(q.wait().expect(0).text, "unharmed\n", "a neighbour's output")
    wait_for_state(waiting[1], "finished")
    for q in waiting:
        ctl("done", str(q)).expect(0)
    expect_equal(daemon_pid(), pid, "penstockd")


@test("queries start while PID 1 is busy with reloads and other units: a start that waits in its queue is no failed one", slow=True)
def starts_while_pid1_is_busy():
    with hogs.LOADS["PID 1 busy"]():
        queries = [submit("--", "true") for _ in range(harness.repeats(8, 40))]
        for query_id in queries:
            wait_for_state(query_id, "finished", "errored")
    expect_equal({q: ctl_json("stats", str(q))["error"] for q in queries}, dict.fromkeys(queries), "errors")
    for query_id in queries:
        ctl("done", str(query_id)).expect(0)


def wait_for_descriptors(pid, before):
    try:
        wait_for(lambda: not descriptors(pid) - before, "descriptors are as before")
    except Failure:
        fail(f"more descriptors than before: {descriptors(pid) - before}")


@test("queries that end without ever having had a unit keep no descriptor, and their callers' pipes are closed", slow=True)
def waiting_leaves_nothing():
    run("--", "true").expect(0)  # the journal's socket is opened with its first entry
    pid = daemon_pid()
    running = [Gated() for _ in range(QUOTA)]
    ahead = [submit("--", "true") for _ in range(3)]
    # The first two get a unit ahead of their turn, and with it descriptors of their groups.
    # control_group is answered by the thread that opens them, when it has.
    wait_for(lambda: all(ctl_json("show", str(q))["control_group"] for q in ahead[:2]), "the first waiting have their groups")
    before = descriptors(pid)
    for _ in range(2):
        clients = [ctl_start("run", "--language", "shell", "-", stdin=text_file(200_000)) for _ in range(10)]
        wait_for(lambda: status()["queueing"] + status()["created"] >= 10, "they wait")
        for c in clients:
            c.signal(signal.SIGKILL)
        wait_for_descriptors(pid, before)
    # The reader of a caller's stderr gets its end although nothing ran.
    script = "penstockctl run --queue-timeout 1 -- true 2>&1 | cat"
    done = Running(["bash", "-c", script], cwd=home("alice"), env=environment("alice")).wait(120)
    expect_in("QueueTimeout", done.text, "what came through the pipe")
    for q in running:
        q.go()
        q.wait().expect(0)
    for q in ahead:
        ctl("wait", str(q)).expect(0)
        ctl("done", str(q)).expect(0)
    note(f"descriptors of penstockd: {before.total()} before, {descriptors(pid).total()} after")


def text_file(size):
    f = tempfile.TemporaryFile(dir="/var/tmp")
    f.write(b"#" * size + b"\n")
    f.seek(0)
    return f


LEAVES = "[Language]\nQueryFrom=argument\nCompile=sh -c 'head -c 30M /dev/zero >/dev/shm/left' {query}\nExecute=echo {query}\n"


@test("a compile that leaves files in memory fails, and nothing of them stays charged")
def compile_leaves_memory():
    with language("leaves", LEAVES):
        done = run("--language", "leaves", "x").expect(125, "CompilationFailed")
        expect_in("memory behind", done.errors, "the message")
        wait_for(lambda: not cgroups.unit_groups(), "its unit is gone")


@test("the compile check is the service's program, whatever the caller has of that name in his PATH")
def compile_path():
    directory = f"{home('alice')}/bin"
    os.makedirs(directory, exist_ok=True)
    try:
        with open(f"{directory}/python3", "w", encoding="ascii") as f:
            f.write("#!/bin/sh\nexit 0\n")
        os.chmod(f"{directory}/python3", 0o755)
        env = environment("alice")
        env["PATH"] = f"{directory}:{env['PATH']}"
        run("--language", "python", "this is no python", env=env).expect(125, "CompilationFailed")
    finally:
        os.unlink(f"{directory}/python3")
        os.rmdir(directory)


@test("a reload to a smaller budget kills nothing that holds more, and the slice follows what comes back", slow=True)
def smaller_budget():
    hold = "b = bytearray(500 << 20)\nprint('holds', flush=True)\nsys.stdin.readline()\nprint('unharmed')"
    q = Gated(hold)
    q.go()
    q.wait_for_output(b"holds")
    full = cgroups.limit(cgroups.SLICE)
    with configured(MaxMemoryBytes="256M", MemoryBytesQuotaPerQuery="256M"):
        held = cgroups.limit(cgroups.SLICE)
        expect(held >= 500 << 20, f"the slice's limit is {held >> 20}M while 500M are held")
        q.go()
        expect_equal(q.wait().expect(0).text, "holds\nunharmed\n", "the output")
        wait_for(lambda: cgroups.limit(cgroups.SLICE) < held, "the slice is lowered when all came back")
    wait_for(lambda: cgroups.limit(cgroups.SLICE) == full, "the slice has its limit again")


@test("a stop of penstockd while units are starting leaves none behind, and it stays stopped", slow=True)
def stop_while_starting():
    clients = [ctl_start("run", "--", "sleep", "1000") for _ in range(6)]
    wait_for(lambda: len(cgroups.unit_groups()) >= 1, "the first unit is there")
    system("systemctl", "stop", DAEMON)
    try:
        for c in clients:
            expect(c.wait(300).status != 0, "no client believes that it ran")
        wait_for(lambda: not cgroups.unit_groups(), "no unit is left")
        expect_equal(daemon_pid(), 0, "penstockd")
    finally:
        system("systemctl", "start", DAEMON)


# Of a penstockd that is newer, or was not there: no older one knows what they say.
RECORDS = {"state": "adopt 2 of=another-version\n", "request": '{"version": 99}\n'}


@test("queries whose records are of another version, or damaged, end by name and are told to who asks; others go on", slow=True)
def records_not_understood():
    for names in (["state"], ["request"], ["state", "request"]):
        note(f"without {' and '.join(names)}")
        with configured(ConcurrencyQuota=3):
            used = status()["used_memory_bytes"]
            unharmed, attached = Gated("print('unharmed')"), Gated("sys.stdin.readline()")
            detached, waiting = submit("--", "sleep", "1000"), submit("--", "true")
            wait_for_state(detached, "executing")
            lost = [attached.id, detached, waiting]
            pid = daemon_pid()
            os.kill(pid, signal.SIGSTOP)  # it writes no more
            for q in lost:
                for name in names:
                    with open(f"/run/penstock/queries/{q}.{name}", "w", encoding="ascii") as f:
                        f.write(RECORDS[name])
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: daemon_pid() not in (0, pid) and ctl("status", user="root").status == 0, "another penstockd serves")
            for q in lost:
                ctl("wait", str(q), user="root").expect(125, "Internal", ["its record"])
                shown = ctl_json("show", str(q), user="root")
                expect_equal((shown["state"], shown["verdict"]), ("errored", "start"), f"query {q}")
            attached.run.wait().expect(125, "Internal", ["its record"])
            wait_for(lambda: not any(cgroups.is_populated(cgroups.engine_group(q)) for q in lost), "they are gone")
            if len(names) < 2:  # whose they were is in either
                expect_equal(ctl_json("show", str(detached))["user_id"], pwd.getpwnam("alice").pw_uid, "whose it was")
            unharmed.go()
            expect_equal(unharmed.wait().expect(0).text, "unharmed\n", "the output of another one")
            for q in lost:
                ctl("done", str(q), user="root").expect(0)
            wait_for(lambda: status()["used_memory_bytes"] == used, "no memory is held for them")
