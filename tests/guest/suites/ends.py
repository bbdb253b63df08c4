# SPDX-License-Identifier: LGPL-2.1-or-later
"""How queries end: by themselves, by a signal, a timeout, a cancel, or because nobody wants them any more. Whatever the
end is, nothing of the query survives it, and the caller is told which it was."""

import os
import signal

from lib import cgroups, harness
from lib.harness import expect, expect_equal, expect_in, note, test, wait_for
from lib.service import (
    Gated,
    Running,
    configured,
    ctl,
    ctl_json,
    ctl_start,
    environment,
    home,
    language,
    own_pids,
    processes_with,
    run,
    submit,
    system,
    wait_for_state,
)


def marker():
    """A word for command lines that nothing else has."""
    return f"mark-{harness.rng.randrange(1 << 48):012x}"


def engine_processes(mark):
    """Those that have it in their command line, but for penstockctl itself."""
    return [p for p in processes_with(mark) if p not in own_pids()]


def expect_gone(query_id, mark):
    wait_for(lambda: not engine_processes(mark), f"no process of query {query_id} is left")
    wait_for(lambda: not os.path.exists(cgroups.unit_group(query_id)), f"the group of query {query_id} is gone")


@test("run and wait exit with the engine's own status", slow=True)
def own_status():
    for status in (0, 1, 3, 124, 255):
        run("--", "sh", "-c", f"exit {status}").expect(status)
    query_id = submit("--", "sh", "-c", "exit 7")
    ctl("wait", str(query_id)).expect(7, "ExecutionFailed")
    ctl("done", str(query_id)).expect(0)


@test("an engine that a signal ended gives 128 plus its number, and ExecutionFailed tells SIGKILL from a memory limit", slow=True)
def ended_by_signal():
    run("--", "sh", "-c", "kill -TERM $$").expect(143, "ExecutionFailed", ["15"])
    run("--", "sh", "-c", "kill -KILL $$").expect(137, "ExecutionFailed", ["9"])
    run("--", "python3", "-c", "import os; os.abort()").expect(134, "ExecutionFailed", ["6"])


@test("a program that is not there is told, with no status that looks like success")
def program_missing():
    done = run("--", "no-such-program-anywhere")
    expect(done.status not in (0, 124, 137), f"the status: {done}")
    expect_in("could not be started", done.errors, "stderr")


@test("a query that executes longer than --timeout ends with 124 and Timeout")
def timeout():
    mark = marker()
    done = run("--timeout", "2", "--", "sh", "-c", f"sleep 1000 & wait # {mark}").expect(124, "Timeout")
    expect_in("timeout", done.errors.lower(), "stderr")
    wait_for(lambda: not engine_processes(mark), "no process of it is left")


@test("cancel ends a query with 125 and Canceled", slow=True)
def cancel():
    q = Gated()
    ctl("cancel", str(q.id)).expect(0)
    q.wait().expect(125, "Canceled")
    expect_equal(ctl_json("show", str(q.id))["state"], "canceled", "the state")
    ctl("cancel", str(q.id)).expect(0)  # idempotent


@test("cancel gives SIGTERM first, so that an engine can clean up", slow=True)
def cancel_is_gentle():
    q = Gated("import signal\nsignal.signal(15, lambda *a: (print('clean', flush=True), os._exit(0)))\nprint('set', flush=True)\nsignal.pause()")
    q.go()
    q.wait_for_output(b"set\n")
    ctl("cancel", str(q.id)).expect(0)
    done = q.wait().expect(125, "Canceled")
    expect_equal(done.text, "set\nclean\n", "the output")


@test("a query whose processes ignore SIGTERM is completely gone after cancel", slow=True)
def cancel_ignores_sigterm():
    mark = marker()
    body = f"""
import signal
signal.signal(15, signal.SIG_IGN)
for i in range(3):
    if os.fork() == 0: os.execvp('python3', ['python3', '-c', 'import time\\nwhile 1: time.sleep(100)', '{mark}'])
print('set', flush=True)
while True: signal.pause()
"""
    with configured(CancelGraceSec="1s"):
        q = Gated(body)
        q.go()
        q.wait_for_output(b"set\n")
        wait_for(lambda: len(engine_processes(mark)) >= 4, "all of it runs")
        ctl("cancel", str(q.id)).expect(0)
        q.wait().expect(125, "Canceled")
        expect_gone(q.id, mark)


@test("children that forked twice and called setsid are completely gone after cancel", slow=True)
def cancel_daemons():
    mark = marker()
    body = f"""
for i in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.setsid()
            for fd in range(3): os.close(fd)
            os.execvp('sleep', ['{mark}', '1000'])
        os._exit(0)
print('set', flush=True)
sys.stdin.readline()
"""
    q = Gated(body)
    q.go()
    q.wait_for_output(b"set\n")
    wait_for(lambda: len(cgroups.pids(q.group)) >= 4, "its daemons run")
    wait_for(lambda: len(engine_processes(mark)) >= 3, "they are to be seen by their marker")
    ctl("cancel", str(q.id)).expect(0)
    q.wait().expect(125, "Canceled")
    expect_gone(q.id, mark)


@test("background children die with the query's first process, and the reader gets end of file")
def background_children():
    mark = marker()
    done = run("--", "sh", "-c", f"setsid sh -c 'trap \"\" TERM HUP; sleep 1000; : {mark}' & echo first")
    expect_equal(done.expect(0).text, "first\n", "the output")
    wait_for(lambda: not engine_processes(mark), "no child is left")


@test("a fork bomb meets its task limit, harms nobody and is gone after cancel", slow=True)
def fork_bomb():
    mark = marker()
    with configured(TasksMaxPerQuery="64", CancelGraceSec="1s"):
        neighbour = Gated("print('unharmed')")
        bomb = f"import os,time\nopen('/proc/self/comm','w').write('bomb')\nwhile True:\n try: os.fork()\n except OSError: time.sleep(0.05)\n# {mark}"
        q = Gated(f"os.execvp('python3', ['python3', '-c', {bomb!r}])", "--memory-max", "512M")
        q.go()
        wait_for(lambda: cgroups.table(q.group, "pids.events").get("max", 0) > 0, "the kernel refused it a fork")
        expect(len(cgroups.pids(q.group)) <= 64, f"tasks: {len(cgroups.pids(q.group))}")
        note(f"tasks of the bomb: {len(cgroups.pids(q.group))}, refused: {cgroups.table(q.group, 'pids.events')}")
        expect_equal(run("--", "echo", "works").expect(0).text, "works\n", "another query meanwhile")
        ctl("cancel", str(q.id)).expect(0)
        q.wait().expect(125, "Canceled")
        expect_gone(q.id, mark)
        neighbour.go()
        expect_equal(neighbour.wait().expect(0).text, "unharmed\n", "the neighbour's output")


@test("a query is gone when its penstockctl was killed: the hold is dropped", slow=True)
def client_killed():
    mark = marker()
    q = Gated(f"os.execvp('sh', ['sh', '-c', 'echo up; trap \"\" TERM HUP INT; while :; do sleep 100; done', '{mark}'])")
    q.go()
    q.wait_for_output(b"up\n")
    q.run.signal(signal.SIGKILL)
    expect_gone(q.id, mark)
    expect_equal(ctl_json("show", str(q.id))["state"], "canceled", "the state")


@test("SIGINT to penstockctl cancels the query and waits for its release", slow=True)
def client_interrupted():
    mark = marker()
    q = Gated(f"os.execvp('sleep', ['{mark}', '1000'])")
    q.go()
    wait_for(lambda: engine_processes(mark), "it sleeps")
    q.run.signal(signal.SIGINT)
    done = q.wait()
    expect(done.status in (125, 130), f"the status: {done}")
    expect_equal(engine_processes(mark), [], "processes when penstockctl has ended")


@test("a query whose reader went away ends, as in: run … | head -c 10")
def reader_gone():
    mark = marker()
    pipe = f"penstockctl run -- sh -c 'while :; do echo 0123456789abcdef; done # {mark}' | head -c 10; s=${{PIPESTATUS[0]}}; echo; echo $s"
    # Its own process group: the marker is in the command line of the outer shell, too.
    shell = Running(["bash", "-c", pipe], cwd=home("alice"), env=environment("alice"))
    done = shell.wait()
    lines = done.text.split("\n")
    expect_equal(lines[0], "0123456789", f"what head saw ({done})")
    expect(lines[1] in ("141", "125"), f"the status of penstockctl: {lines[1]}")
    wait_for(lambda: not engine_processes(mark), "the engine is gone")
    wait_for(lambda: not cgroups.unit_groups(), "its unit is gone")


@test("a slow reader holds the engine back, and gets every byte", slow=True)
def back_pressure():
    readable, writable = os.pipe()
    size = 3 << 20
    q = ctl_start("run", "--", "python3", "-c", f"import sys; sys.stdout.buffer.write(bytes(range(256)) * {size // 256})", stdout=writable)
    os.close(writable)
    with os.fdopen(readable, "rb") as f:
        first = f.read(1 << 16)
        expect(q.is_running(), "it waits for its reader")
        data = first + f.read()
    q.wait().expect(0)
    expect_equal(len(data), size, "bytes")
    expect(data == bytes(range(256)) * (size // 256), "the bytes are the engine's")


@test("a compile error is CompilationFailed with 125 and the compiler's text: sh -n, SQL, py_compile", slow=True)
def compile_errors():
    done = run("--language", "shell", "echo ran; if true").expect(125, "CompilationFailed")
    expect_equal(done.out, b"", "the output, since nothing ran")
    expect_in("yntax error", done.errors, "the shell's text")
    done = run("--language", "sqlite", "select 'ran'; selec 1").expect(125, "CompilationFailed")
    expect_equal(done.out, b"", "the output, since nothing ran")
    expect_in("syntax error", done.errors, "SQLite's text")
    done = run("--language", "python", "print('ran')\ndef f(:\n  pass").expect(125, "CompilationFailed")
    expect_equal(done.out, b"", "the output, since nothing ran")
    expect_in("SyntaxError", done.errors, "Python's text")


HANGS = "[Language]\nQueryFrom=argument\nCompile=sh -c 'sleep 1000; true' {query}\nExecute=echo {query}\n"
HOGS = "[Language]\nQueryFrom=argument\nCompile=python3 -c 'b=bytearray(1<<30)' {query}\nExecute=echo {query}\n"


@test("a compile that hangs or takes memory without bound fails alone, and others compile meanwhile", slow=True)
def hostile_compiles():
    mark = marker()
    with language("hangs", HANGS), language("hogs", HOGS), configured(CompileTimeoutSec="6s"):
        neighbour = Gated("print('unharmed')")
        hanging = ctl_start("run", "--language", "hangs", mark)
        wait_for(lambda: engine_processes(mark), "it compiles")
        run("--language", "hogs", "x").expect(125, "CompilationFailed")
        expect_equal(run("--language", "python", "print(1)").expect(0).text, "1\n", "another query meanwhile")
        done = hanging.wait()
        expect_equal(done.status, 125, f"the status of what hung ({done})")
        expect_in("CompileTimeoutSec", done.errors, "its message")
        wait_for(lambda: not engine_processes(mark), "its compiler is gone")
        neighbour.go()
        expect_equal(neighbour.wait().expect(0).text, "unharmed\n", "the neighbour's output")


@test("a source that takes the real compiler more memory than CompileMemoryBytes fails alone", slow=True)
def huge_source():
    text = b"x = [" + b"a,\n" * 1_000_000 + b"]"
    done = run("--language", "python", "-", text=text).expect(125, "CompilationFailed")
    expect_in("CompileMemoryBytes", done.errors, "the message")


@test("systemctl stop of a query's unit does not hang and gives the query a verdict", slow=True)
def unit_stopped():
    mark = marker()
    q = Gated(f"os.execvp('sh', ['sh', '-c', 'echo up; trap \"\" TERM; while :; do sleep 100; done', '{mark}'])")
    q.go()
    q.wait_for_output(b"up\n")
    system("systemctl", "stop", f"penstock-q{q.id}.service")
    done = q.wait()
    expect(done.status not in (0, 124, 137), f"the status: {done}")
    stats = ctl_json("stats", str(q.id))
    expect(stats["error"] and stats["state"] in ("canceled", "errored"), f"the verdict: {stats}")
    note(f"{stats['state']}: {stats['error']}, verdict {stats['verdict']}")
    expect_gone(q.id, mark)


@test("a detached query outlives its client, keeps its results until Done, and can be told of after that", slow=True)
def detached():
    query_id = submit("--language", "python", "print('kept', end='')")
    wait_for_state(query_id, "finished")
    expect_equal(ctl("results", str(query_id)).expect(0).text, "kept", "the results")
    expect_equal(ctl("results", str(query_id)).expect(0).text, "kept", "the results, read again")
    expect_in(query_id, [q["id"] for q in ctl_json("list")], "the list")
    ctl("done", str(query_id)).expect(0)
    expect(query_id not in [q["id"] for q in ctl_json("list")], "it left the list")
    expect_equal(ctl_json("show", str(query_id))["state"], "finished", "the state afterwards")
    ctl("wait", str(query_id)).expect(0)
    done = ctl("show", "999999999")
    expect(done.status != 0 and "NoSuchQuery" in done.errors, f"an ID that was never issued: {done}")


@test("stderr is the caller's own, byte for byte and apart from stdout")
def stderr_is_own():
    noise = bytes(range(1, 256)) * 40
    done = run("--", "python3", "-c", "import sys; sys.stderr.buffer.write(bytes(range(1,256))*40); print('out')").expect(0)
    expect_equal(done.out, b"out\n", "stdout")
    expect(noise in done.err, f"stderr holds all of it: {len(done.err)} bytes")


@test("done on a live query cancels it and returns when its group is empty", slow=True)
def done_cancels():
    query_id = submit("--", "sleep", "1000")
    wait_for_state(query_id, "executing")
    wait_for(lambda: cgroups.is_populated(cgroups.engine_group(query_id)), "it runs")
    ctl("done", str(query_id)).expect(0)
    expect(not cgroups.is_populated(cgroups.engine_group(query_id)), "its group is empty when done has returned")
    expect_equal(ctl_json("show", str(query_id))["state"], "canceled", "the state")


@test("an engine that closes its output and goes on is waited for", slow=True)
def output_closed_early():
    q = Gated("os.close(1); os.close(2)\nsys.stdin.readline()\nos._exit(5)")
    q.go()
    q.go()
    q.wait().expect(5, "ExecutionFailed")
