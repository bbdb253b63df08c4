# SPDX-License-Identifier: LGPL-2.1-or-later
"""Units that are made before a query comes: as a query's own unit in all, taken when they fit, and gone when they do not."""

import contextlib
import os
import re
import shutil
import signal

from lib import cgroups
from lib.attached import Attached
from lib.harness import expect, expect_equal, expect_in, test, wait_for
from lib.leftovers import counts_at_rest, expect_counts
from lib.service import (
    Gated,
    as_user,
    configured,
    ctl,
    ctl_json,
    daemon_pid,
    home,
    list_queries,
    reload_daemon,
    run,
    status,
    submit,
    system,
    unit_property,
    wait_for_state,
)
from lib.surroundings import answers_inside, listening, probe_file, surroundings

DESCRIPTION = "Penstock query (unit made ahead of it)"


def metric(name):
    text = ctl("metrics", user="root").expect(0).text
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


def unit_ids():
    return {int(re.search(r"penstock-q(\d+)\.service", name).group(1)) for name in cgroups.unit_groups()}


def known_ids():
    return {q["id"] for q in list_queries()}


def ready():
    """The IDs of spares whose worker waits for a command."""
    return {i for i in unit_ids() - known_ids() if len(cgroups.pids(f"{cgroups.unit_group(i)}/worker")) > 1}


def wait_for_spares(count):
    wait_for(lambda: len(ready()) == count and len(unit_ids() - known_ids()) == count, f"there are {count} spares, all ready")
    return ready()


@contextlib.contextmanager
def spares(count=1, **keys):
    """With COUNT spares of what `run("--", "true")` asks for; gives their IDs. All are gone afterwards."""
    with configured(WarmUnits=count, WarmUnitsIdleSec="10min", **keys):
        run("--", "true").expect(0)
        yield wait_for_spares(count)
    wait_for(lambda: not cgroups.unit_groups(), "no spare is left")


def warm(taken, *words, **more):
    """What a query says that must have taken one of TAKEN, whose number says so."""
    before = metric("penstock_warm_starts_total")
    q = submit(*words, **more)
    expect_in(q, taken, "the ID of the query, which is that of the spare")
    wait_for_state(q, "finished", "errored")
    expect_equal(metric("penstock_warm_starts_total"), before + 1, "penstock_warm_starts_total")
    done = ctl("results", str(q), **more)
    ctl("done", str(q), **more).expect(0)
    return done


@test("there is no spare before the first query, and then as many as WarmUnits= says: ready, listed nowhere, without a quota", slow=True)
def after_the_first():
    before = counts_at_rest()
    with configured(WarmUnits=2, WarmUnitsIdleSec="10min"):
        used = status()["used_memory_bytes"]
        expect_equal(unit_ids(), set(), "units before the first query")
        run("--", "true").expect(0)
        ids = wait_for_spares(2)
        expect_equal(list_queries(), [], "what list shows")
        expect_equal(status()["used_memory_bytes"], used, "the memory in use")
        expect_equal(metric("penstock_spare_units"), 2, "penstock_spare_units")
        for i in ids:
            expect_equal(unit_property(f"penstock-q{i}.service", "Description"), DESCRIPTION, "Description=")
            expect_equal(cgroups.pids(cgroups.engine_group(i)), [], "processes in engine/")
            expect_equal(cgroups.limit(cgroups.engine_group(i)), 0, "memory.max of engine/")
            ctl("show", str(i), user="root").expect(1, "NoSuchQuery")
    expect_counts(before, "what is left when spares are turned off")


@test("a query takes the ID of a spare that fits, runs in its unit, and another one is made", slow=True)
def taken():
    with spares(2) as ids:
        done = warm(ids, "--", "cat", "/proc/self/cgroup").expect(0)
        q = int(re.search(r"penstock-q(\d+)\.service/engine", done.text).group(1))
        expect_equal(q, min(ids), "the oldest is taken first")
        expect(wait_for_spares(2) > ids - {q}, "the other one stays, and there is a new one")


@test("a query of another user takes it, and runs as that user, with nothing of the one before", slow=True)
def of_another_user():
    with configured(WarmUnits=1, WarmUnitsIdleSec="10min"):
        run("--", "true", cwd="/srv").expect(0)
        ids = wait_for_spares(1)
        done = warm(ids, "--", "sh", "-c", "id -un; echo $HOME; ls /tmp /var/tmp /dev/shm; ls /home/alice 2>&1; true", user="bob", cwd="/srv")
        expect_in(f"bob\n{home('bob')}\n", done.text, "who it is")
        expect_in("Permission denied", done.text, "what alice's home says")


@test("what is fixed when a unit is made must agree: another maximum, sandbox or directory of its own /tmp starts cold; another language, or a "
      "directory that any unit has, does not", slow=True)
def other_kinds():
    path = "/var/tmp/kinds"
    as_user("alice", lambda: os.mkdir(path))
    try:
        with spares(1) as ids:
            for words in (["--memory-max", "128M", "--", "true"], ["--language", "sqlite", "select 1"], ["--working-directory", path, "--", "true"]):
                q = submit(*words)
                expect(q not in ids, f"{words} does not take it")
                wait_for_state(q, "finished")
                ctl("done", str(q)).expect(0)
            expect_equal(warm(ids, "--language", "python", "print(6*7)").text, "42\n", "what Python says, whose sandbox is the same")
            expect_equal(warm(wait_for_spares(1), "--", "pwd", cwd="/srv").text, "/srv\n", "where one is that is elsewhere")
    finally:
        os.rmdir(path)


# What tells one unit from another, and when it ran.
OWN = re.compile(r"^(Id|Names|Description|InvocationID|ControlGroup.*|ExecStart.*|FragmentPath|DropInPaths|Memory(Current|Peak|Available|.*Current)"
                 r"|CPUUsageNSec|Tasks(Current)|.*Timestamp.*|.*PID|.*ID|IO.*(Bytes|Operations)|IP.*(Bytes|Packets)|Transient|Ef.*Memory.*)=")


@test("one user's many kinds of queries take no spare from another, who keeps his share", slow=True)
def one_users_kinds():
    with spares(2) as first:
        for size in ("100M", "110M", "120M"):
            for _ in range(2):
                run("--memory-max", size, "--", "true", user="bob").expect(0)
        kept = wait_for_spares(2) & first
        expect_equal(len(kept), 1, "how many of alice's spares are left")
        warm(kept, "--", "true").expect(0)


def of_any_unit(answers):
    return {re.sub(r"penstock-q\d+", "UNIT", what): came for what, came in answers.items()}


def properties(query_id):
    text = system("systemctl", "show", f"penstock-q{query_id}.service").text
    # Lists come in any order.
    pairs = (line.partition("=") for line in text.splitlines() if not OWN.match(line))
    return {f"{name}={' '.join(sorted(value.split(' ')))}" for name, _, value in pairs}


@test("a unit that was made ahead has each property of one that was not, and a hundred ways out of it are closed, too", slow=True)
def sandbox():
    path = probe_file()
    try:
        with surroundings() as facts, configured(WarmUnits=1, WarmUnitsIdleSec="10min"):
            cold = Gated()
            seen = properties(cold.id)
            answers = of_any_unit(answers_inside("exec", path, facts))
            cold.go()
            ids = wait_for_spares(1)
            made_ahead = Gated()
            expect_in(made_ahead.id, ids, "the ID, which is that of the spare")
            expect_equal(properties(made_ahead.id) ^ seen, set(), "the properties of the unit")
            made_ahead.go()
            wait_for_spares(1)
            before = metric("penstock_warm_starts_total")
            inside = of_any_unit(answers_inside("exec", path, facts))
            expect_equal(metric("penstock_warm_starts_total"), before + 1, "penstock_warm_starts_total")
            expect(len(inside) > 100, f"{len(inside)} attempts")
            expect_equal(set(inside.items()) ^ set(answers.items()), set(), "attempts that came to something else")
    finally:
        os.unlink(path)


@test("a compile check runs in a spare as in any unit", slow=True)
def compiles():
    with configured(WarmUnits=1, WarmUnitsIdleSec="10min"):
        run("--language", "sqlite", "select 6*7").expect(0)
        ids = wait_for_spares(1)
        expect_equal(warm(ids, "--language", "sqlite", "select 6*7").text, "42\n", "the answer")
        ids = wait_for_spares(1)
        q = submit("--language", "sqlite", "selec")
        expect_in(q, ids, "the ID")
        wait_for_state(q, "errored")
        ctl("wait", str(q)).expect(125, "CompilationFailed")
        ctl("done", str(q)).expect(0)


@test("a working directory that is another one under its old name is seen as what it is: where it is bound the unit is made anew, under its name",
      slow=True)
def replaced_directory():
    replace_directory("/var/tmp/work", lambda path: os.rename(path, path + ".old"), 0)
    # On ext4 the next one gets its inode number.
    replace_directory("/var/tmp/work", shutil.rmtree, 0)
    replace_directory(f"{home('alice')}/work", shutil.rmtree, 1)  # the worker opens it when the query comes


def replace_directory(path, away, warm_starts):
    as_user("alice", lambda: os.mkdir(path))
    try:
        with configured(WarmUnits=1, WarmUnitsIdleSec="10min"):
            run("--", "true", cwd=path).expect(0)
            ids = wait_for_spares(1)

            def replace():
                away(path)
                os.mkdir(path)
                with open(f"{path}/new", "w", encoding="ascii"):
                    pass

            as_user("alice", replace)
            before = metric("penstock_warm_starts_total")
            q = submit("--", "sh", "-c", "ls; touch written", cwd=path)
            expect_in(q, ids, "the ID")
            wait_for_state(q, "finished")
            expect_equal(ctl("results", str(q)).expect(0).text, "new\n", "what it saw")
            expect(os.path.exists(f"{path}/written"), "it wrote where it was told")
            expect_equal(metric("penstock_warm_starts_total"), before + warm_starts, "penstock_warm_starts_total")
            ctl("done", str(q)).expect(0)
            done = warm(wait_for_spares(1), "--", "ls", cwd=path)
            expect_equal(done.text, "new\nwritten\n", "what the next one saw, in a spare of the new directory")
    finally:
        for p in (path, path + ".old"):
            shutil.rmtree(p, ignore_errors=True)


@test("what was mounted since a spare was made is read-only in a query all the same: it starts cold", slow=True)
def later_mounts():
    os.makedirs("/mnt/later", exist_ok=True)
    with spares() as ids:
        system("mount", "-t", "tmpfs", "-o", "mode=1777", "none", "/mnt/later")
        try:
            q = submit("--", "touch", "/mnt/later/here")
            expect(q not in ids, "it takes none that was made before")
            wait_for_state(q, "errored")
            expect_equal(os.listdir("/mnt/later"), [], "what it could write")
            ctl("done", str(q)).expect(0)
        finally:
            system("umount", "-l", "/mnt/later")
    os.rmdir("/mnt/later")


@test("so it is for a query that had taken a spare before, and waited", slow=True)
def mounted_while_it_waits():
    os.makedirs("/mnt/later", exist_ok=True)
    with spares() as ids:
        # Behind two others, whose units are made while they wait: for this one none is asked for yet.
        ctl("pause", user="root", cwd="/").expect(0)
        before = [submit("--memory-max", "300M", "--", "true"), submit("--memory-max", "300M", "--", "true")]
        q = submit("--", "touch", "/mnt/later/here")
        expect_in(q, ids, "the ID")
        system("mount", "-t", "tmpfs", "-o", "mode=1777", "none", "/mnt/later")
        try:
            ctl("resume", user="root", cwd="/").expect(0)
            wait_for_state(q, "errored", "finished")
            expect_equal(os.listdir("/mnt/later"), [], "what it could write")
        finally:
            system("umount", "-l", "/mnt/later")
            ctl("resume", user="root", cwd="/")
        for one in before:
            wait_for_state(one, "finished")
        ctl("done", *[str(one) for one in (*before, q)]).expect(0)
    os.rmdir("/mnt/later")


@test("however many wait in the queue, no more than WarmUnits= of them keep a spare", slow=True)
def many_wait():
    with spares(1):
        ctl("pause", user="root", cwd="/").expect(0)
        try:
            asked = []
            for _ in range(5):
                asked.append(submit("--", "true"))
                wait_for_spares(1)  # it is made again, for whoever comes next
                # Two wait with a unit at the most, the first in the queue and one that took a spare; and there is the spare.
                expect(len(unit_ids()) <= 3, f"units of {len(asked)} that wait: {unit_ids()}")
        finally:
            ctl("resume", user="root", cwd="/").expect(0)
        for q in asked:
            wait_for_state(q, "finished")
        ctl("done", *[str(q) for q in asked]).expect(0)


@test("a socket that was made since a spare was is hidden from a query all the same", slow=True)
def later_sockets():
    path = "/run/docker.sock"
    with spares() as ids, listening(path):
        q = submit("--", "python3", "-c", f"import socket; socket.socket(socket.AF_UNIX).connect({path!r})")
        expect_in(q, ids, "the ID")
        wait_for_state(q, "finished", "errored")
        expect_equal(ctl_json("show", str(q))["state"], "errored", "what became of it")
        expect_in("PermissionError", ctl_json("stats", str(q))["stderr_tail"], "what it met")
        ctl("done", str(q)).expect(0)


@test("spares go when no query of their kind came for WarmUnitsIdleSec=, by themselves, and nothing of them is left", slow=True)
def idle():
    before = counts_at_rest()
    with configured(WarmUnits=2, WarmUnitsIdleSec="20s"):
        run("--", "true").expect(0)
        # However slow the machine: they may go before they are ready.
        wait_for(lambda: unit_ids() - known_ids(), "there is one")
        wait_for(lambda: not unit_ids(), "they are gone")
    expect_counts(before, "what is left")


@test("a reload and a restart leave no spare of what was before, and penstockd stops at once when there are some", slow=True)
def reload_and_restart():
    with spares(2) as ids:
        reload_daemon()
        wait_for(lambda: not unit_ids(), "a reload drops them")
        for how in (["restart"], ["kill", "--signal=SIGKILL"]):
            run("--", "true").expect(0)
            ids = wait_for_spares(2)
            pid = daemon_pid()
            system("systemctl", *how, "penstockd.service")
            wait_for(lambda old=pid: daemon_pid() not in (0, old) and not unit_ids() & ids, f"none is left after {how[0]}")
            wait_for(lambda: ctl("list", user="root").status == 0, "penstockd answers")
        run("--", "true").expect(0)
        wait_for_spares(2)
        system("systemctl", "stop", "penstockd.service")
        expect_equal(unit_ids(), set(), "units after a stop")
        # It waits for units that are on their way out, and says so when it gives up.
        said = system("journalctl", "--unit=penstockd.service", "--lines=20", "--output=cat").text
        expect("left behind" not in said, f"what it said: {said}")
        system("systemctl", "start", "penstockd.service")
        run("--", "true").expect(0)
        wait_for_spares(2)


@test("a spare whose worker is killed is no loss to a query: neither to the next one, nor to one that waits with it", slow=True)
def killed():
    with spares() as ids:
        for i in ids:
            os.kill(min(cgroups.pids(f"{cgroups.unit_group(i)}/worker")), signal.SIGKILL)
        run("--", "true").expect(0)
        ids = wait_for_spares(1)
        ctl("pause", user="root", cwd="/").expect(0)
        try:
            q = submit("--", "echo", "here")
            expect_in(q, ids, "the ID")
            worker = min(cgroups.pids(f"{cgroups.unit_group(q)}/worker"))
            os.kill(worker, signal.SIGKILL)
            wait_for(lambda: worker not in cgroups.pids(f"{cgroups.unit_group(q)}/worker"), "its worker is gone")
        finally:
            ctl("resume", user="root", cwd="/").expect(0)
        wait_for_state(q, "finished", "errored")
        seen = ctl_json("show", str(q))
        # Another unit is made for it; unless it was about to start in that very moment, and then it says so.
        expect(seen["state"] == "finished" or "worker was lost" in seen["error"]["message"], f"what became of it: {seen}")
        ctl("done", str(q)).expect(0)


@test("one that waits with a spare and is canceled, and one that fails before its start, give the unit back", slow=True)
def never_started():
    before = counts_at_rest()
    with spares(1):
        ctl("pause", user="root", cwd="/").expect(0)
        try:
            q = submit("--", "true")
            ctl("cancel", str(q)).expect(0)
            wait_for_state(q, "canceled")
            wait_for(lambda: q not in unit_ids(), "its unit is gone")
            ctl("done", str(q)).expect(0)
        finally:
            ctl("resume", user="root", cwd="/").expect(0)
        path = f"{home('alice')}/gone"
        as_user("alice", lambda: os.mkdir(path))
        run("--", "true", cwd=path).expect(0)
        wait_for_spares(1)
        q = Attached(["true"])
        os.rmdir(path)
        q.done()
    expect_counts(before, "what is left")


@test("the time limits of a query begin with the query, not with the spare", slow=True)
def timeouts():
    with spares() as ids:
        spare_age = unit_property(f"penstock-q{min(ids)}.service", "ActiveEnterTimestampMonotonic")
        wait_for(lambda: float(open("/proc/uptime", encoding="ascii").read().split()[0]) > int(spare_age) / 1e6 + 6, "it is 6 s old")
        q = submit("--timeout", "5s", "--", "sleep", "1")
        expect_in(q, ids, "the ID")
        wait_for_state(q, "finished", "errored")
        expect_equal(ctl_json("show", str(q))["state"], "finished", "what became of it")
        ctl("done", str(q)).expect(0)


@test("forty queries of four kinds at once, beside spares, all end as they wish, and all is as before", slow=True)
def many():
    before = counts_at_rest()
    kinds = [["--", "true"], ["--memory-max", "256M", "--", "true"], ["--language", "sqlite", "select 1"], ["--", "echo", "x"]]
    with configured(WarmUnits=3, WarmUnitsIdleSec="10min", QueueSize=64):
        asked = [submit(*kinds[i % 4]) for i in range(40)]
        for q in asked:
            wait_for_state(q, "finished", "errored", limit=400)
        expect_equal([q for q in list_queries() if q["state"] != "finished"], [], "those that did not end as they wished")
        expect_equal([q["id"] for q in list_queries()], asked, "the order of the list, which is that of the submission")
        ctl("done", *[str(q) for q in asked]).expect(0)
        wait_for_spares(3)
    expect_counts(before, "what is left")


@test("a spare that PID 1 can't make costs no query anything, and is not tried again and again", slow=True)
def can_not_be_made():
    last = submit("--", "true")
    wait_for_state(last, "finished")
    ctl("done", str(last)).expect(0)
    path = f"/run/systemd/system/penstock-q{last + 2}.service"
    with open(path, "w", encoding="ascii") as f:
        f.write("[Service]\nExecStart=true\n")
    system("systemctl", "daemon-reload")
    try:
        with configured(WarmUnits=1, WarmUnitsIdleSec="10min"):
            expect_equal(run("--", "echo", "one").expect(0).text, "one\n", "the answer")
            said = f"Query {last + 2}: its unit was not started"
            journal = ["journalctl", "--unit=penstockd.service", "--output=cat", "--lines=50"]
            wait_for(lambda: said in system(*journal).text, "it was tried")
            wait_for(lambda: not unit_ids(), "there is no spare")
            q = submit("--", "true")
            expect_equal(q, last + 3, "the next ID: that of the spare was asked for once")
            wait_for_state(q, "finished")
            ctl("done", str(q)).expect(0)
            expect_equal(wait_for_spares(1), {last + 4}, "the spare that the second query brought")
    finally:
        os.unlink(path)
        system("systemctl", "daemon-reload")
