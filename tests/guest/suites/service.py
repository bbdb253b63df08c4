# SPDX-License-Identifier: LGPL-2.1-or-later
"""penstockd as a service of the host: start, stop, reload, restart, activation, and the end of all queries."""

import os
import signal
import time

from lib import cgroups
from lib.harness import expect, expect_equal, expect_in, note, test, wait_for
from lib.service import (
    DAEMON,
    DROP_IN,
    Gated,
    bus_property,
    configured,
    ctl,
    ctl_start,
    daemon_pid,
    reload_daemon,
    run,
    submit,
    system,
    unit_property,
    wait_for_state,
    write_drop_in,
)


def start_daemon():
    system("systemctl", "reset-failed", DAEMON, check=False)
    system("systemctl", "start", DAEMON)


def expect_reload_refused(*words):
    done = system("busctl", "call", "org.penstock1", "/org/penstock1", "org.penstock1.Controller", "Reload", check=False)
    expect(done.status != 0, f"the bad one is refused: {done}")
    for word in words:
        expect_in(word, done.errors, "the message")


@test("systemctl reload applies a new configuration; a bad one changes nothing and is told with file, line and key")
def reload():
    before = daemon_pid()
    write_drop_in({"QueueSize": 7, "MemoryBytesQuotaPerQuery": "512M"})
    try:
        system("systemctl", "reload", DAEMON)
        wait_for(lambda: bus_property("QueueSize") == "7", "the new value is in force")
        run("--memory-max", "600M", "--", "true").expect(125, "InvalidArgument", ["MemoryBytesQuotaPerQuery"])
        write_drop_in({"QueueSize": 9, "ConcurrencyQuota": "many"})
        expect_reload_refused(DROP_IN, ":3", "ConcurrencyQuota", "many")
        expect_equal(bus_property("QueueSize"), "7", "the value afterwards")
    finally:
        os.unlink(DROP_IN)
        system("systemctl", "reload", DAEMON)
    wait_for(lambda: bus_property("QueueSize") == "64", "the shipped value is back")
    expect_equal(daemon_pid(), before, "the PID of penstockd")


@test("a reload does without a language whose file is bad, and says so; one that cannot be read changes nothing")
def reload_languages():
    path = "/etc/penstock/languages.d/shell.conf"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        since = time.time()
        with open(path, "w", encoding="ascii") as f:
            f.write("[Language]\nExecute=sh {nothing}\n")
        system("systemctl", "reload", DAEMON)
        run("--language", "shell", "true").expect(125, "UnknownLanguage")
        system("journalctl", "--sync")
        told = system("journalctl", "--quiet", f"--unit={DAEMON}", f"--since=@{since:.0f}", "--output=cat").text
        expect_in(f"{path}:2: Execute=sh {{nothing}} is refused", told, "the journal")
        os.unlink(path)
        system("systemctl", "reload", DAEMON)
        run("--language", "shell", "echo back").expect(0)

        os.symlink(path, path)  # a loop, which cannot be opened
        expect_reload_refused(f"{path}: cannot be read")
        run("--language", "shell", "echo still").expect(0)
    finally:
        if os.path.lexists(path):
            os.unlink(path)
        system("systemctl", "reload", DAEMON)


@test("a reload keeps running queries and their limits")
def reload_under_queries():
    q = Gated("b=bytearray(100<<20); print('got', flush=True); sys.stdin.readline(); print('done')")
    q.go()
    q.wait_for_output(b"got\n")
    limit = cgroups.limit(q.group)
    with configured(MaxMemoryBytes="600M", QueueSize=3):
        expect_equal(cgroups.limit(q.group), limit, "its limit")
    expect_equal(cgroups.limit(q.group), limit, "its limit")
    q.go()
    expect_equal(q.wait().expect(0).text, "got\ndone\n", "its output")


@test("penstockctl config check finds what is wrong, and config show tells where a value came from")
def config_check():
    path = "/root/bad.conf"
    with open(path, "w", encoding="ascii") as f:
        f.write("[Controller]\nConcurrencyQuota=4\nMaxMemoryBytes=64M\nInitialMemoryBytesQuotaPerQuery=64M\n")
    try:
        done = ctl("config", "check", path, user="root")
        expect(done.status != 0, f"it is refused: {done}")
        expect_in("MaxMemoryBytes", done.errors + done.text, "the message")
    finally:
        os.unlink(path)
    write_drop_in({"QueueSize": 7})
    try:
        text = ctl("config", "show").expect(0).text
    finally:
        os.unlink(DROP_IN)
    for word in ("ConcurrencyQuota=4", "InitialMemoryBytesQuotaPerQuery=64M", "QueueSize=7", f"{DROP_IN}:2"):
        expect_in(word, text, "config show")


@test("penstockd refuses to start with a bad configuration, and the journal says which file, line, key and rule", slow=True)
def refuses_to_start():
    system("systemctl", "stop", DAEMON)
    write_drop_in({"ConcurrencyQuota": 0})
    try:
        done = system("systemctl", "start", DAEMON, check=False)
        expect(done.status != 0, "it does not start")
        text = system("journalctl", "--unit", DAEMON, "--lines=50", "--no-pager").text
        for word in (f"{DROP_IN}:2", "ConcurrencyQuota"):
            expect_in(word, text, "the journal")
    finally:
        os.unlink(DROP_IN)
        system("systemctl", "stop", DAEMON, check=False)
        start_daemon()
    run("--", "true").expect(0)


@test("stop ends running and waiting queries in time, tells each why, and leaves no unit; start serves again", slow=True)
def stop_and_start():
    running = [Gated() for _ in range(4)]
    waiting = ctl_start("run", "--", "true")
    wait_for(lambda: '"queueing": 1' in ctl("status", "--json").text, "one waits")
    write_drop_in({"ShutdownTimeoutSec": "2s", "CancelGraceSec": "1s"})
    try:
        reload_daemon()
        system("systemctl", "stop", DAEMON, limit=300)
    finally:
        os.unlink(DROP_IN)
    for q in running:
        q.wait().expect(125, "ShuttingDown", ["shuts down"])
    waiting.wait().expect(125, "ShuttingDown", ["shuts down"])
    wait_for(lambda: not cgroups.unit_groups(), "no unit is left")
    expect_equal(unit_property(DAEMON, "Result"), "success", "the result of penstockd")
    start_daemon()
    expect_equal(run("--", "echo", "again").expect(0).text, "again\n", "a query afterwards")


@test("a call starts penstockd by D-Bus activation", slow=True)
def activation():
    system("systemctl", "stop", DAEMON)
    expect_equal(unit_property(DAEMON, "ActiveState"), "inactive", "the state before")
    expect_equal(run("--", "echo", "activated").expect(0).text, "activated\n", "the output")
    expect_equal(unit_property(DAEMON, "ActiveState"), "active", "the state after")


@test("restart gives each query an end that its caller can see, IDs go on rising, and nothing is left of old units", slow=True)
def restart():
    q = Gated()
    detached = submit("--", "sleep", "1000")
    wait_for_state(detached, "executing")
    system("systemctl", "restart", DAEMON, limit=300)
    note(f"after the restart: {[os.path.basename(g) for g in cgroups.unit_groups()]}")
    if q.run.is_running() and cgroups.is_populated(q.group):
        # Kept: then it must be managed as before.
        q.go()
        q.wait().expect(0)
        ctl("cancel", str(detached)).expect(0)
        ctl("wait", str(detached)).expect(125, "Canceled")
    else:
        expect_equal(q.wait().status, 125, "the status of what was ended")
    wait_for(lambda: not cgroups.unit_groups(), "no unit is left")
    after = Gated()
    expect(after.id > max(q.id, detached), f"IDs rise: {q.id}, {detached}, {after.id}")
    after.go()
    after.wait().expect(0)


@test("kill -9 of penstockd: it is started again, no query is left without a controller, and it serves as before", slow=True)
def killed():
    q = Gated("import signal; signal.signal(15, signal.SIG_IGN)\nwhile True: sys.stdin.readline() or os._exit(0)")
    before = daemon_pid()
    system("systemctl", "kill", "--signal=KILL", DAEMON)
    wait_for(lambda: daemon_pid() not in (0, before), "another penstockd runs")
    wait_for(lambda: ctl("status").status == 0, "it answers")
    if q.run.is_running():
        q.run.process.stdin.close()
    q.wait(300)
    wait_for(lambda: not cgroups.unit_groups(), "no unit is left")
    expect_equal(run("--", "echo", "again").expect(0).text, "again\n", "a query afterwards")


@test("shutdown ends waiting queries, lets running ones finish until the deadline, and refuses new ones until a restart", slow=True)
def shutdown():
    finishing = Gated("print('finished')")
    others = [Gated() for _ in range(3)]
    waiting = ctl_start("run", "--", "true")
    wait_for(lambda: '"queueing": 1' in ctl("status", "--json").text, "one waits")
    command = ctl_start("shutdown", "--timeout", "20", user="root", cwd="/")
    waiting.wait().expect(125, "ShuttingDown")
    run("--", "true").expect(125, "ShuttingDown", ["restart"])
    finishing.go()
    expect_equal(finishing.wait().expect(0).text, "finished\n", "what could finish")
    done = command.wait()
    expect(done.status != 0, f"not all had ended at the deadline: {done}")
    for q in others:
        expect_in(str(q.id), done.errors, "the message of shutdown")
        expect_equal(q.wait().status, 125, "the status of what was canceled")
    run("--", "true").expect(125, "ShuttingDown")
    before = daemon_pid()
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: daemon_pid() not in (0, before), "another penstockd runs")
    wait_for(lambda: ctl("status").status == 0, "it answers")
    run("--", "true").expect(125, "ShuttingDown")
    system("systemctl", "restart", DAEMON)
    run("--", "true").expect(0)
    ctl("shutdown", "--timeout", "0", user="root", cwd="/").expect(0)
    system("systemctl", "restart", DAEMON)
    run("--", "true").expect(0)


@test("pause starts no waiting query, and resume goes on")
def pause():
    ctl("pause", user="root", cwd="/").expect(0)
    try:
        q = submit("--", "echo", "paused")
        wait_for_state(q, "queueing")
        expect_in("paus", ctl("why", str(q)).expect(0).text.lower(), "what it waits for")
    finally:
        ctl("resume", user="root", cwd="/").expect(0)
    ctl("wait", str(q)).expect(0)
    ctl("done", str(q)).expect(0)


@test("penstock.slice holds the queries, has the budget and some slack as its limit, and never oom.group")
def the_slice():
    q = Gated()
    budget = int(bus_property("MaxMemoryBytes"))
    limit = cgroups.limit(cgroups.SLICE)
    expect(budget < limit < cgroups.INFINITY, f"memory.max of the slice: {limit}, budget {budget}")
    expect_equal(cgroups.read(f"{cgroups.SLICE}/memory.oom.group"), "0\n", "memory.oom.group of the slice")
    unit = cgroups.limit(cgroups.unit_group(q.id))
    expect(1 << 30 <= unit < (1 << 30) + (64 << 20), f"memory.max of the unit is its maximum and a little: {unit}")
    q.go()
    q.wait().expect(0)
