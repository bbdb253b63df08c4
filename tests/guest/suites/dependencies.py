# SPDX-License-Identifier: LGPL-2.1-or-later
"""What [Dependency] sections give to queries, refuse them for, and are told of their end."""

import contextlib
import json
import os
import re
import shutil
import signal
import tempfile

from lib import cgroups
from lib.harness import expect, expect_equal, expect_in, note, rng, test, wait_for
from lib.service import (
    DAEMON,
    LANGUAGES,
    Gated,
    ctl,
    ctl_json,
    daemon_pid,
    language,
    reload_daemon,
    run,
    state,
    submit,
    system,
    unit_property,
    wait_for_state,
)

CONFIG = "/etc/penstock/penstock.conf.d/91-dependencies.conf"
SECRETS = "/etc/penstock/test-secrets"
UNIT = "penstock-test-lake.service"
UNIT_FILE = f"/run/systemd/system/{UNIT}"


def write_config(controller, sections):
    text = "[Controller]\n" + "".join(f"{k}={v}\n" for k, v in controller.items())
    for name, body in sections.items():
        text += f"[Dependency {name}]\n{body}\n"
    os.makedirs(os.path.dirname(CONFIG), exist_ok=True)
    with open(CONFIG, "w", encoding="utf-8") as f:
        f.write(text)
    reload_daemon()


@contextlib.contextmanager
def dependencies(sections, **controller):
    """[Dependency] sections, and keys of [Controller], for the time of a test."""
    write_config(controller, sections)
    try:
        yield
    finally:
        os.unlink(CONFIG)
        reload_daemon()


@contextlib.contextmanager
def place():
    """A directory that everybody may write to, outside of what a query has for itself, and two files in it: each command
    has a user of its own."""
    path = tempfile.mkdtemp(prefix="penstock-test.", dir="/srv")
    os.chmod(path, 0o777)
    for name in ("told", "count"):
        open(f"{path}/{name}", "w").close()
        os.chmod(f"{path}/{name}", 0o666)
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextlib.contextmanager
def secret(name, text):
    """A file of root's alone."""
    os.makedirs(SECRETS, mode=0o755, exist_ok=True)
    path = f"{SECRETS}/{name}"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as f:
        f.write(text)
    try:
        yield path
    finally:
        os.unlink(path)


def shell(text):
    """A command line for CheckCommand= and ReleaseCommand=."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'/bin/sh -c "{quoted}"'


def lines(path):
    try:
        with open(path, encoding="utf-8") as f:
            return f.read().splitlines()
    except FileNotFoundError:
        return []


def python(body, *options, **more):
    return run(*options, "--", "python3", "-c", body, **more)


def counted(family, name):
    """A number of the metrics of dependency NAME."""
    text = ctl("metrics", user="carol").expect(0).text
    found = re.search(rf'^{family}\{{.*dependency="{name}".*\}} (\S+)$', text, re.M)
    return float(found[1]) if found else 0.0


def tasks():
    """The units of commands."""
    return system("systemctl", "list-units", "--all", "--no-legend", "--plain", "penstock-dependency-*").text.split("\n")[:-1]


def stamp():
    """What no other run has."""
    return f"{rng.randrange(1 << 48):012x}"


@test("variables, files of variables and credentials reach a query, whatever its caller set, and nobody else", slow=True)
def environment_and_credentials():
    hush, file_hush = stamp(), stamp()
    with secret("token", f"{hush}\n") as token, secret("env", f"# secrets\nKEY='{file_hush}'\nA=from file\n") as env:
        body = f"Environment=A=plain 'B=two words' HOME=/nowhere\nEnvironmentFile=-/etc/missing {env}\nLoadCredential=TOKEN:{token}"
        with dependencies({"lake": body}, ExecutorDependencies="lake"):
            query = Gated(
                'import json, stat\nt = os.environ["TOKEN"]\ns = os.stat(t)\n'
                'print(json.dumps([os.environ.get(k) for k in "A B HOME KEY".split()] + [open(t).read(), t, oct(s.st_mode), '
                "s.st_uid == os.getuid(), oct(os.stat(os.path.dirname(t)).st_mode & 0o777)]))",
                "--env", "TOKEN=/etc/passwd", "--env", "A=mine", "--env", "C=x",
            )
            shown = system("systemctl", "show", f"penstock-q{query.id}.service").text
            shown += "".join(
                cgroups.read(f"/run/systemd/transient/{n}") or ""
                for n in os.listdir("/run/systemd/transient") if os.path.isfile(f"/run/systemd/transient/{n}")
            )
            described = ctl("show", "--json", str(query.id), user="alice").text + ctl("show", str(query.id), user="bob").text
            query.go()
            done = query.wait().expect(0)
            expect_equal(
                json.loads(done.text),
                ["from file", "two words", "/nowhere", file_hush, f"{hush}\n", "/dev/shm/penstock-credentials/TOKEN", "0o100400",
                 True, "0o700"],
                "what the query found",
            )
            system("journalctl", "--sync")
            told = system("journalctl", "--no-pager", "--output=export", "--since=-10min").text
            for name, word in (("the credential", hush), ("the file of variables", file_hush)):
                for where, text in (("its unit", shown), ("the journal", told), ("show", described)):
                    expect(word not in text, f"{name} is in {where}")


@test("a query's copy of a credential is out of another query's and another user's reach, and gone with it", slow=True)
def credential_is_private():
    hush = stamp()
    with secret("token", hush) as token, dependencies({"lake": f"Requestable=yes\nLoadCredential=TOKEN:{token}"}):
        query = Gated('open("/dev/shm/mine", "w").write(open(os.environ["TOKEN"]).read())', "--dependency", "lake")
        look = 'import os\nprint(os.environ.get("TOKEN"), os.listdir("/dev/shm"), os.access("' + token + '", os.R_OK))'
        for user in ("alice", "bob"):
            expect_equal(python(look, user=user).expect(0).text, "None [] False\n", f"what another query of {user} finds")
        expect(not os.path.exists("/dev/shm/penstock-credentials"), "the host has a copy")
        pid = cgroups.pids(query.group)[0]
        for who in ("bob", "carol"):
            seen = system("runuser", "-u", who, "--", "cat", f"/proc/{pid}/root/dev/shm/penstock-credentials/TOKEN", check=False)
            expect(seen.status != 0 and hush not in seen.text, f"{who} reads it: {seen}")
        query.go()
        query.wait().expect(0)


@test("a credential that is missing, too large, or not the worker's to read refuses the query by name, without a slot", slow=True)
def bad_credentials():
    with secret("big", "x" * ((1 << 20) + 1)) as big, secret("foreign", "x") as foreign:
        os.chown(foreign, 1, 1)
        for path, word in ((f"{SECRETS}/missing", "No such file"), (big, "too large"), (foreign, "Permission denied")):
            with dependencies({"lake": f"LoadCredential=TOKEN:{path}"}, ExecutorDependencies="lake"):
                done = run("--", "true")
                done.expect(125, "DependencyFailed", ["dependency lake", f"LoadCredential={path}", word])
        with dependencies({"lake": f"EnvironmentFile={SECRETS}/missing"}, ExecutorDependencies="lake"):
            run("--", "true").expect(125, "DependencyFailed", ["dependency lake", "EnvironmentFile="])


@test("paths are bound into a query read-only and read-write, also where it has a directory of its own", slow=True)
def bind_paths():
    with place() as open_path, tempfile.TemporaryDirectory(prefix="penstock-test.", dir="/tmp") as hidden:
        os.chmod(hidden, 0o777)
        with open(f"{hidden}/data", "w", encoding="ascii") as f:
            f.write("found")
        body = f"Requestable=yes\nBindPaths={open_path}\nBindReadOnlyPaths={hidden}"
        look = (
            "import os, sys\n"
            "def attempt(f):\n try: return f()\n except OSError as e: return e.strerror\n"
            f'print(attempt(lambda: open("{hidden}/data").read()))\n'
            f'print(attempt(lambda: open("{hidden}/new", "w").close()))\n'
            f'print(attempt(lambda: open("{open_path}/new", "w").close()))\n'
        )
        with dependencies({"lake": body}):
            expect_equal(
                python(look, "--dependency", "lake").expect(0).text.splitlines(), ["found", "Read-only file system", "None"],
                "with the dependency",
            )
            expect(os.path.exists(f"{open_path}/new"), "the file is on the host")
            expect_equal(
                python(look).expect(0).text.splitlines(),
                ["No such file or directory", "No such file or directory", "Read-only file system"], "without it",
            )
            shutil.rmtree(hidden)
            run("--dependency", "lake", "--", "true").expect(125, "DependencyFailed", ["dependency lake", f"BindReadOnlyPaths={hidden}"])
            os.mkdir(hidden)


@contextlib.contextmanager
def lake_unit():
    with open(UNIT_FILE, "w", encoding="ascii") as f:
        f.write("[Service]\nExecStart=/bin/sleep infinity\n")
    system("systemctl", "daemon-reload")
    try:
        yield
    finally:
        system("systemctl", "stop", UNIT)
        os.unlink(UNIT_FILE)
        system("systemctl", "daemon-reload")


@test("a required unit that is not active refuses the query by name, takes no slot, and is not started", slow=True)
def requires_inactive():
    with lake_unit(), dependencies({"lake": f"Requestable=yes\nRequires={UNIT}"}, ConcurrencyQuota=1):
        running = Gated()
        done = run("--dependency", "lake", "--", "true")
        done.expect(125, "DependencyFailed", ["dependency lake", f"Requires={UNIT}", "inactive"])
        expect(running.run.is_running(), "the one that holds the only slot runs on")
        expect_equal(unit_property(UNIT, "ActiveState"), "inactive", "the unit")
        running.go()
        running.wait().expect(0)
        system("systemctl", "start", UNIT)
        run("--dependency", "lake", "--", "true").expect(0)


@test("when a required unit is stopped, the queries that require it end as canceled, and others do not", slow=True)
def requires_stopped():
    with lake_unit(), dependencies({"lake": f"Requestable=yes\nRequires={UNIT}\nAfter={UNIT}"}):
        system("systemctl", "start", UNIT)
        query, other = Gated("", "--dependency", "lake"), Gated()
        system("systemctl", "stop", UNIT)
        query.wait().expect(125, "Canceled", ["its unit was stopped"])
        expect(other.run.is_running(), "a query without the dependency runs on")
        other.go()
        other.wait().expect(0)


@test("a required unit that goes while the query waits refuses it when its turn comes, and the slot is free again", slow=True)
def requires_race():
    with lake_unit(), dependencies({"lake": f"Requestable=yes\nRequires={UNIT}"}, ConcurrencyQuota=1, WarmUnits=0):
        system("systemctl", "start", UNIT)
        running = Gated()
        waiting = submit("--dependency", "lake", "--", "true")
        wait_for_state(waiting, "queueing")
        system("systemctl", "stop", UNIT)
        running.go()
        running.wait().expect(0)
        ctl("wait", str(waiting)).expect(125, "DependencyFailed", ["not active any more", "lake"])
        expect_equal(unit_property(UNIT, "ActiveState"), "inactive", "the unit")
        run("--", "true").expect(0)


@test("a check that fails, hangs, forks, allocates without bound or is missing ends its own query, named, and no other", slow=True)
def check_command_fails():
    scripts = {
        "hogs": "import itertools\nx = [bytearray(1 << 20) for i in itertools.count()]\n",
        "forks": "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        os._exit(7)\n",
    }
    with place() as d:
        for name, text in scripts.items():
            with open(f"{d}/{name}.py", "w", encoding="ascii") as f:
                f.write(text)
            os.chmod(f"{d}/{name}.py", 0o644)
        cases = {
            "fails": (shell("exit 3"), "ended with status 3"),
            "hangs": (shell("trap '' TERM; while true; do sleep 1000; done"), "CheckTimeoutSec"),
            "dies": (shell("kill -SEGV $$"), "signal 11"),
            "forks": (f"/usr/bin/python3 {d}/forks.py", "status 7"),
            "hogs": (f"/usr/bin/python3 {d}/hogs.py", "64 MiB"),
            "missing": ("/usr/bin/no-such-program", "status 203"),
        }
        sections = {
            name: f"Requestable=yes\nCheckCommand={command}\nCheckTimeoutSec={'2s' if name == 'hangs' else '60s'}"
            for name, (command, _) in cases.items()
        }
        with dependencies(sections, ConcurrencyQuota=1):
            neighbour = Gated()
            for name, (_, word) in cases.items():
                done = run("--dependency", name, "--", "true")
                done.expect(125, "DependencyFailed", [f"dependency {name}: CheckCommand=", word])
                expect(counted("penstock_dependency_check_failures_total", name) > 0, f"the failure of {name} is counted")
            expect(neighbour.run.is_running(), "the neighbour runs on")
            neighbour.go()
            neighbour.wait().expect(0)
            wait_for(lambda: not tasks(), "the units of checks are gone")


@test("a check has the dependency's variables, credentials and paths, and little else", slow=True)
def check_command_finds():
    hush = stamp()
    with place() as d, secret("token", hush) as token, secret("env", "B=file\n") as env:
        ask = f'{{ cat $TOKEN; echo; echo $A $B; id -u; cat /proc/self/cgroup; touch /srv/x /etc/x; ls /home; }} >{d}/seen 2>&1; true'
        body = f"Environment=A=1\nEnvironmentFile={env}\nLoadCredential=TOKEN:{token}\nBindPaths={d}\nCheckCommand={shell(ask)}"
        with dependencies({"lake": body}, ExecutorDependencies="lake"):
            run("--", "true").expect(0)
            seen = lines(f"{d}/seen")
            expect_equal(seen[:2], [hush, "1 file"], "what the command found")
            expect(int(seen[2]) > 0, f"it is not root: {seen}")
            expect(seen[3].startswith("0::/system.slice/system-penstock.slice/penstock-dependency-"), f"its group: {seen[3]}")
            expect_equal(len(re.findall("Read-only file system", "\n".join(seen))), 2, f"what is read-only in {seen}")
            expect(not re.search(r"^(alice|bob)$", "\n".join(seen), re.M), f"homes are hidden: {seen}")


@test("more variables than a query can be given refuse it by name, before it takes a slot", slow=True)
def too_many_variables():
    with place() as d:
        for i in range(9):
            with open(f"{d}/{i}.env", "w", encoding="ascii") as f:
                f.writelines(f"V{i}_{k}=1\n" for k in range(256))
        sections = {f"d{i}": f"EnvironmentFile={d}/{i}.env" for i in range(9)}
        with dependencies(sections, ExecutorDependencies=" ".join(f"d{i}" for i in range(8))):
            run("--", "true").expect(0)
        with dependencies(sections, ExecutorDependencies=" ".join(f"d{i}" for i in range(9))):
            run("--", "true").expect(125, "DependencyFailed", ["dependency d8", "2048 variables"])


@test("queries that come while a dependency is checked share the check, wait as created, and why names it", slow=True)
def check_is_shared():
    with place() as d:
        check = shell(f"echo x >>{d}/count; while ! test -e {d}/go; do sleep 0.1; done")
        with dependencies({"lake": f"Requestable=yes\nBindPaths={d}\nCheckCommand={check}\nCheckTimeoutSec=5min"}):
            ids = [submit("--dependency", "lake", "--", "true") for _ in range(12)]
            wait_for(lambda: lines(f"{d}/count"), "the check has begun")
            for query_id in (ids[0], ids[-1]):
                expect_equal(state(query_id), "created", "its state")
                expect_in("the check of dependency lake", ctl("why", str(query_id)).expect(0).text, "what it waits for")
            ctl("cancel", str(ids[1])).expect(0)
            expect_equal(state(ids[1]), "canceled", "one that is canceled meanwhile")
            run("--", "true").expect(0)  # without the dependency
            open(f"{d}/go", "w").close()
            for query_id in ids[:1] + ids[2:]:
                ctl("wait", str(query_id)).expect(0)
            expect_equal(len(lines(f"{d}/count")), 1, "runs of the command")
            expect_equal(ctl_json("stats", str(ids[0]))["compile_usec"], 0, "time it compiled")
            ctl("done", *map(str, ids)).expect(0)


@test("who submits and cancels has no more checks run than may run at one time", slow=True)
def cancels_make_no_room():
    with place() as d:
        # It ignores what asks it to end, so each stop takes its time.
        check = shell(f"trap '' TERM; echo x >>{d}/count; sleep 1000")
        section = f"Requestable=yes\nBindPaths={d}\nCheckCommand={check}\nCheckTimeoutSec=10min"
        with dependencies({f"lake{i}": section for i in range(8)}):
            ids = [str(submit("--dependency", f"lake{i}", "--", "true")) for i in range(8)]
            wait_for(lambda: len(lines(f"{d}/count")) == 4, "four checks run")
            ctl("cancel", *ids[:4]).expect(0)
            most = 0
            while len(lines(f"{d}/count")) < 8:
                most = max(most, len(tasks()))
            expect(0 < most <= 4, f"units of checks at one time: {most}")
            ctl("done", *ids).expect(0)
            wait_for(lambda: not tasks(), "all of them are gone")
        run("--", "true").expect(0)


@test("a check that nobody waits for any more is stopped, and its queue timeout counts meanwhile", slow=True)
def check_is_given_up():
    with place() as d:
        check = shell(f"echo x >>{d}/count; sleep 1000")
        with dependencies({"lake": f"Requestable=yes\nBindPaths={d}\nCheckCommand={check}\nCheckTimeoutSec=10min"}):
            run("--dependency", "lake", "--queue-timeout", "3s", "--", "true").expect(124, "QueueTimeout")
            expect_equal(len(lines(f"{d}/count")), 1, "runs of the command")
            wait_for(
                lambda: not tasks(),
                "the command's unit is gone",
            )


@test("ExecutorDependencies reach a query of every shipped language", slow=True)
def every_language():
    with secret("token", "x") as token:
        with dependencies({"lake": f"Environment=MARK=lake\nLoadCredential=TOKEN:{token}"}, ExecutorDependencies="lake"):
            expect_equal(run("--", "sh", "-c", 'echo $MARK; cat $TOKEN').expect(0).text, "lake\nx", "exec")
            expect_equal(run("--language", "shell", 'echo $MARK; cat "$TOKEN"').expect(0).text, "lake\nx", "shell")
            text = 'import os; print(os.environ["MARK"], open(os.environ["TOKEN"]).read())'
            expect_equal(run("--language", "python", text).expect(0).text, "lake x\n", "python")
            expect_equal(run("--language", "sqlite", ".shell echo $MARK; cat $TOKEN").expect(0).text, "lake\nx", "sqlite")


@test("a language's and a request's dependencies are added in their order, and the first to set a variable wins", slow=True)
def union():
    tell = "Environment=WHO={0} {0}=1\n"
    sections = {n: "Requestable=yes\n" + tell.format(n) for n in ("all", "lang", "asked")}
    kind = "[Language]\nQueryFrom=argument\nExecute=/bin/sh -c {query}\n"
    sections["kept"] = tell.format("kept")
    with dependencies(sections, ExecutorDependencies="all"):
        with language("needy", f"{kind}Environment=WHO=language\nDependencies=lang all\n"):
            words = ("--language", "needy", "--dependency", "asked", "--dependency", "lang")
            done = run(*words, "--env", "WHO=caller", "echo $WHO $all $lang $asked $kept")
            expect_equal(done.expect(0).text, "all 1 1 1\n", "the variables")
            query = submit(*words, "true")
            got = system(
                "busctl", "get-property", "org.penstock1", f"/org/penstock1/query/_{query}", "org.penstock1.Query", "Dependencies"
            ).text
            expect_equal(got.strip(), 'as 3 "all" "lang" "asked"', "Dependencies")
            ctl("wait", str(query)).expect(0)
            ctl("done", str(query)).expect(0)
        run("--dependency", "kept", "--", "true").expect(125, "PermissionDenied", ["Requestable=", "kept"])
        run("--dependency", "nothing", "--", "true").expect(125, "InvalidArgument", ["[Dependency nothing]"])
        with language("broken", f"{kind}Dependencies=nothing\n"):
            run("--language", "broken", "true").expect(125, "DependencyFailed", ["broken", "nothing"])
            expect_in("nothing", system("penstockctl", "config", "check", check=False).text, "what config check says")


@test("the end of a query tells its dependencies, once, however it ended, and the last one first", slow=True)
def release():
    with place() as d:
        tell = shell(f'echo "$PENSTOCK_QUERY_ID $PENSTOCK_DEPENDENCY $PENSTOCK_QUERY_STATE $PENSTOCK_ERROR_NAME" >>{d}/told')
        body = f"Requestable=yes\nBindPaths={d}\nReleaseCommand={tell}"
        never = f"{body}\nCheckCommand=/bin/false"
        two = ("--dependency", "first", "--dependency", "second")
        with dependencies({"first": body, "second": body, "never": never}, ConcurrencyQuota=1, InitialMemoryBytesQuotaPerQuery="16M"):
            wanted = {}

            def told():
                return [line.split(" ") for line in lines(f"{d}/told")]

            def ended(query_id, state_name, error):
                wanted[query_id] = [[str(query_id), name, state_name, error] for name in ("second", "first")]
                wait_for(lambda: len([t for t in told() if t[0] == str(query_id)]) == 2, f"query {query_id} was told of: {told()}")

            for argv, state_name, error, status in (
                (["true"], "finished", "", 0),
                (["false"], "errored", "ExecutionFailed", 1),
                (["no-such-program"], "errored", "ExecutionFailed", 125),
                (["python3", "-c", "x = bytearray(64 << 20)"], "errored", "MemoryLimitExceeded", 137),
            ):
                query = submit(*two, "--memory-max", "32M", "--", *argv)
                expect_equal(ctl("wait", str(query)).status, status, f"the status of {argv}")
                ended(query, state_name, error)
            running = Gated("", *two)
            waiting = submit(*two, "--", "true")
            wait_for_state(waiting, "queueing")
            ctl("cancel", str(waiting)).expect(0)
            ended(waiting, "canceled", "Canceled")
            # A reload changes nothing for the one that has them.
            write_config({"ConcurrencyQuota": 1}, {"first": "Environment=A=1", "second": f"ReleaseCommand={shell('false')}"})
            ctl("cancel", str(running.id)).expect(0)
            ended(running.id, "canceled", "Canceled")
            write_config({"ConcurrencyQuota": 1}, {"first": body, "second": body, "never": never})
            # One that never got them is not told of: not the first of its dependencies either.
            run("--dependency", "first", "--dependency", "never", "--", "true").expect(125, "DependencyFailed")
            killed = Gated("", *two)
            system("systemctl", "kill", "--kill-whom=all", "--signal=KILL", f"penstock-q{killed.id}.service")
            killed.run.wait()
            ended(killed.id, "errored", "ExecutionFailed")
            for query_id, these in wanted.items():
                expect_equal([t for t in told() if t[0] == str(query_id)], these, f"what was told of query {query_id}")
            expect_equal(sorted({t[0] for t in told()}), sorted(map(str, wanted)), "the queries that were told of")


@test("a release that fails is counted and in the journal, and is nothing to the query; what is held is counted, too", slow=True)
def release_fails():
    with dependencies({"lake": f"ReleaseCommand={shell('exit 5')}"}, ExecutorDependencies="lake"):
        before = counted("penstock_dependency_release_failures_total", "lake")
        query = Gated()
        wait_for(lambda: counted("penstock_dependency_active", "lake") == 1.0, "one query has it")
        query.go()
        query.wait().expect(0)
        wait_for(lambda: counted("penstock_dependency_release_failures_total", "lake") == before + 1.0, "the failure is counted")
        wait_for(lambda: counted("penstock_dependency_active", "lake") == 0.0, "nobody has it")
        system("journalctl", "--sync")
        told = system("journalctl", "--no-pager", f"PENSTOCK_QUERY_ID={query.id}", "MESSAGE_ID=0b5e6b0cf3d14a0fb6c3a3d9b2b0e110").text
        expect_in("dependency lake: ReleaseCommand= ended with status 5", told, "the journal")


@test("a stop of penstockd tells the dependencies of the queries that it ends", slow=True)
def release_at_stop():
    with place() as d:
        tell = shell(f'sleep 1; echo "$PENSTOCK_QUERY_ID $PENSTOCK_ERROR_NAME" >>{d}/told')
        with dependencies({"lake": f"BindPaths={d}\nReleaseCommand={tell}"}, ExecutorDependencies="lake"):
            queries = [Gated() for _ in range(3)]
            system("systemctl", "stop", DAEMON)
            try:
                for query in queries:
                    query.run.wait()
                expect_equal(sorted(lines(f"{d}/told")), sorted(f"{q.id} ShuttingDown" for q in queries), "what was told by then")
            finally:
                system("systemctl", "start", DAEMON)


@test("dependencies that were not told of an end yet when penstockd is killed, or restarted, are told by the next one", slow=True)
def release_after_restart():
    with place() as d:
        tell = shell(f'while [ ! -e {d}/go ]; do sleep 0.2; done; echo "$PENSTOCK_QUERY_ID" >>{d}/told')
        with dependencies({"lake": f"BindPaths={d}\nReleaseCommand={tell}"}, ExecutorDependencies="lake"):
            queries = [submit("--", "true") for _ in range(5)]  # two are told at a time
            for query in queries:
                wait_for_state(query, "finished")
            before = daemon_pid()
            os.kill(before, signal.SIGKILL)
            wait_for(lambda: daemon_pid() not in (0, before), "another penstockd runs")
            wait_for(lambda: ctl("status").status == 0, "it answers")
            system("systemctl", "restart", DAEMON)
            open(f"{d}/go", "w", encoding="ascii").close()
            wait_for(lambda: set(lines(f"{d}/told")) == set(map(str, queries)), "all were told of")
            note(f"told: {lines(f'{d}/told')}")
            ctl("done", *map(str, queries)).expect(0)


@test("what a query was given is told of its end as it was given, though section and language are gone when penstockd comes back", slow=True)
def release_of_what_was():
    with place() as d:
        tell = shell(f'echo "$PENSTOCK_QUERY_ID $PENSTOCK_DEPENDENCY $WORD" >>{d}/told')
        body = f"BindPaths={d}\nEnvironment=WORD=old\nCheckCommand=/usr/bin/test -w {d}\nReleaseCommand={tell}"
        needy = "[Language]\nQueryFrom=argument\nExecute=/bin/sh -c {query}\nDependencies=lake\n"
        with dependencies({"lake": body}, ConcurrencyQuota=1), language("needy", needy):
            wait = f"while ! test -e {d}/go; do sleep 0.2; done; echo $WORD"
            running = submit("--language", "needy", wait)
            wait_for_state(running, "executing")
            waiting = submit("--language", "needy", wait)
            wait_for_state(waiting, "queueing")
            os.unlink(f"{LANGUAGES}/needy.conf")
            write_config({"ConcurrencyQuota": 1}, {"lake": "ReleaseCommand=/bin/false"})
            system("systemctl", "restart", DAEMON)
            write_config({"ConcurrencyQuota": 1}, {})
            before = daemon_pid()
            os.kill(before, signal.SIGKILL)
            wait_for(lambda: daemon_pid() not in (0, before), "another penstockd runs")
            wait_for(lambda: ctl("status").status == 0, "it answers")
            open(f"{d}/go", "w", encoding="ascii").close()
            for query in (running, waiting):
                ctl("wait", str(query)).expect(0)
                expect_equal(ctl("results", str(query)).expect(0).text, "old\n", "what it was given")
                wait_for(lambda: f"{query} lake old" in lines(f"{d}/told"), f"query {query} was told of: {lines(f'{d}/told')}")
                got = system(
                    "busctl", "get-property", "org.penstock1", f"/org/penstock1/query/_{query}", "org.penstock1.Query", "Dependencies"
                ).text
                expect_equal(got.strip(), 'as 1 "lake"', "Dependencies")
            ctl("done", str(running), str(waiting)).expect(0)
