# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an engine finds when it starts, clause by clause and for every shipped language: docs/engine-start.md is the table."""

import contextlib
import functools
import grp
import os
import pwd
import re
import shlex
import shutil
import signal
import sqlite3
import tempfile

from lib import cgroups
from lib.every_language import LANGUAGES, for_each, words
from lib.harness import expect, expect_equal, expect_in, test, wait_for
from lib.service import (
    Running,
    as_user,
    ctl,
    environment,
    home,
    identity,
    processes_with,
    run,
    submit,
    system,
)

# The engine itself leads its session. Everything is read from its own files in /proc, so that what a language's engine
# does to its children (python and system(3) reset signals) is not in the way.
PROBE = """s=$(cut -d" " -f6 /proc/self/stat)
for f in status stat limits environ; do echo "== $f"; cat /proc/$s/$f; echo; done
echo "== cwd"; readlink /proc/$s/cwd
echo "== fd"; for f in /proc/$s/fd/*; do echo "${f##*/} $(readlink $f)"; done
echo "== own"; cat /proc/self/status
echo "== tmp"; stat -f -c %T "$TMPDIR"; touch "$TMPDIR/probe" && ls "$TMPDIR"
"""


@contextlib.contextmanager
def directory(user="alice", below=None, mode=0o700):
    path = as_user(user, lambda: tempfile.mkdtemp(prefix="start.", dir=below or home(user)))
    try:
        os.chmod(path, mode)
        yield path
    finally:
        shutil.rmtree(path)


@functools.cache
def report(name):
    """What an engine of language NAME finds, whose caller has surroundings of his own: as a dictionary of texts."""
    who = identity("alice", umask=0o027)
    who["extra_groups"] = [*who["extra_groups"], 54321]
    mine = environment("alice", LC_TIME="C", TZ="Europe/Oslo", SECRET="x", NOTIFY_SOCKET="/x", PASSED="from here")
    with directory() as d:
        path = f"{d}/probe.sh"
        as_user("alice", lambda: open(path, "w", encoding="ascii").write(PROBE))
        query = words(name, f"sh {path}")
        argv = ["penstockctl", "run", "--env", "PASSED", "--env", "GIVEN=a=b c", "--env", "EMPTY=", *query]
        script = f"umask 027; ulimit -S -n 321; ulimit -S -s 4096; ulimit -S -t 777; exec {shlex.join(argv)}"
        done = run_as(who, ["bash", "-c", script], d, mine)
    parts = re.split(r"^== (\w+)\n", done.expect(0).text, flags=re.M)
    found = dict(zip(parts[1::2], parts[2::2]))
    found["directory"] = d
    return found


def run_as(who, argv, cwd, env):
    """Like Running, for one whose groups are in no file."""
    groups = " ".join(map(str, who["extra_groups"]))
    setpriv = ["setpriv", f"--reuid={who['user']}", f"--regid={who['group']}", f"--groups={groups.replace(' ', ',')}", "--"]
    return Running(setpriv + argv, user="root", cwd=cwd, env=env).wait(300)


def field(name, key, part="status"):
    return re.search(rf"^{key}:\t(.*)$", report(name)[part], re.M)[1]


@test("an engine has its caller's uid, gid and groups, those in no file too, and no other, in every language", slow=True)
@for_each
def start_identity(name):
    entry = pwd.getpwnam("alice")
    expect_equal(field(name, "Uid").split(), [str(entry.pw_uid)] * 4, "real, effective, saved and file system uid")
    expect_equal(field(name, "Gid").split(), [str(entry.pw_gid)] * 4, "the gids")
    wanted = sorted({*os.getgrouplist("alice", entry.pw_gid), 54321, grp.getgrnam("penstock").gr_gid})
    expect_equal(sorted(map(int, field(name, "Groups").split())), wanted, "the groups")
    for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        expect_equal(int(field(name, key), 16), 0, key)
    expect_equal(field(name, "NoNewPrivs"), "1", "no_new_privs")


@test("an engine starts in the caller's directory in a 0700 home, with the caller's umask, in every language", slow=True)
@for_each
def start_directory(name):
    expect_equal(report(name)["cwd"].strip(), report(name)["directory"], "the directory")
    expect_equal(int(field(name, "Umask"), 8), 0o027, "the umask")


@test("an engine has the environment that is promised and nothing else, in every language")
@for_each
def start_environment(name):
    seen = dict(e.split("=", 1) for e in report(name)["environ"].strip("\0\n").split("\0"))
    mine = environment("alice", LC_TIME="C", TZ="Europe/Oslo", PASSED="from here")
    wanted = {k: mine[k] for k in ("PATH", "LANG", "LC_TIME", "TZ", "HOME", "USER", "PASSED")}
    wanted |= {"GIVEN": "a=b c", "EMPTY": "", "TMPDIR": "/var/tmp"}
    if name == "sqlite":
        wanted["SQLITE_TMPDIR"] = "/var/tmp"
    expect_equal(seen, wanted, "the environment")


@test("an engine has the caller's soft limits, no core files and unbounded locked memory, in every language")
@for_each
def start_limits(name):
    seen = {}
    for line in report(name)["limits"].strip().splitlines()[1:]:
        key, soft, hard = re.match(r"(Max [a-z -]+?)\s{2,}(\S+)\s+(\S+)", line).groups()
        seen[key] = (soft, hard)
    expect_equal(seen["Max open files"][0], "321", "open files")
    expect_equal(seen["Max stack size"][0], str(4096 << 10), "stack")
    expect_equal(seen["Max cpu time"][0], "777", "processor seconds")
    expect(int(seen["Max core file size"][1]) <= 1, f"core files: {seen['Max core file size']}")
    expect_equal(seen["Max locked memory"], ("unlimited", "unlimited"), "locked memory")


# What the engines ignore by themselves: CPython ignores SIGPIPE and SIGXFSZ; system(3) in sqlite3, while it waits, SIGINT
# and SIGQUIT, and blocks SIGCHLD.
# posix_spawn(3), which system(3) stands on, lets children ignore glibc's own two signals, 32 and 33.
GLIBC = 3 << 31
OWN = {"python": {signal.SIGPIPE, signal.SIGXFSZ}, "sqlite": {signal.SIGINT, signal.SIGQUIT}}


@test("an engine starts with no signal ignored, blocked or pending, in every language")
@for_each
def start_signals(name):
    allowed = sum(1 << (s - 1) for s in OWN.get(name, ()))
    expect_equal(int(field(name, "SigIgn"), 16) & ~allowed, 0, "ignored")
    chld = 1 << (signal.SIGCHLD - 1) if name == "sqlite" else 0
    expect_equal(int(field(name, "SigBlk"), 16) & ~chld, 0, "blocked")
    expect_equal(int(field(name, "SigPnd"), 16), 0, "pending")
    if name != "python":  # what its children inherit
        for key in ("SigIgn", "SigBlk", "SigPnd"):
            expect_equal(int(field(name, key, "own"), 16) & ~(GLIBC if name == "sqlite" else 0), 0, f"{key} of a child")


@test("an engine leads a session without a controlling terminal, in every language")
@for_each
def start_terminal(name):
    pid = report(name)["stat"].split()[0]
    fields = report(name)["stat"].rsplit(") ", 1)[1].split()
    expect_equal((fields[3], fields[4]), (pid, "0"), "session and terminal")


# 0 to 2 are as promised; 3 is the query's text where it is a file; what else there is the engine opened itself.
TEXT_ON_3 = {"shell", "python"}


@test("an engine has descriptors 0, 1, 2 and its query's text, nothing of the service's, in every language")
@for_each
def start_descriptors(name):
    seen = dict(line.split(" ", 1) for line in report(name)["fd"].splitlines())
    stdin = seen["0"]
    if name == "sqlite":
        expect(stdin.startswith("/memfd:"), f"descriptor 0 is the query: {seen}")
    else:
        expect_equal(stdin, "/dev/null", "descriptor 0: the caller's, or none")
    expect(seen["1"].startswith("pipe:"), f"descriptor 1 is the results: {seen}")
    expect_equal(seen.get("3", "").startswith("/memfd:"), name in TEXT_ON_3, f"descriptor 3 is the text: {seen}")
    for target in seen.values():
        expect(not re.match(r"socket:|anon_inode:|/sys|/run|/proc", target), f"nothing of the service's: {seen}")


@test("TMPDIR is on disk, writable and the query's own, in every language")
@for_each
def start_tmpdir(name):
    kind, *files = report(name)["tmp"].split()
    expect(kind not in ("tmpfs", "ramfs"), f"it is on disk: {kind}")
    expect_equal(files, ["probe"], "the files in it")
    expect(not os.path.exists("/var/tmp/probe"), "it is not the host's")


@test("the caller's standard input is read by exec, with --stdin by shell and python, and is never eaten otherwise", slow=True)
def start_stdin():
    data = bytes(range(256)) * 400
    with tempfile.TemporaryFile() as f:
        for name in LANGUAGES:
            for wanted in (False, True):
                if wanted and name == "sqlite":
                    continue
                f.seek(0)
                f.truncate()
                f.write(data)
                f.seek(0)
                options = ["--stdin"] if wanted and name != "exec" else []
                done = run(*options, *words(name, "wc -c"), stdin=f).expect(0)
                own = name == "exec" or wanted
                # A caller's input that is not the engine's is not touched; sqlite's child sees what is left of the text.
                if own:
                    expect_equal(done.text.strip(), str(len(data)), f"{name} {options}: the bytes that it read")
                elif name != "sqlite":
                    expect_equal(done.text.strip(), "0", f"{name}: the bytes that it read")
                expect_equal(os.lseek(f.fileno(), 0, os.SEEK_CUR), len(data) if own else 0, f"{name} {options}: what is read of the caller's")
    run("--stdin", "--language", "sqlite", "select 1;", text=b"mine").expect(125, "InvalidArgument", ["sqlite", "standard input"])


@test("results and stderr are byte for byte the engine's, in every language", slow=True)
def start_bytes():
    with directory(mode=0o755) as d:
        data = bytes(range(256)) * 2048 + b"\0\r\n\xff"
        as_user("alice", lambda: open(f"{d}/bytes", "wb").write(data))
        for name in LANGUAGES:
            done = run(*words(name, f"cat {d}/bytes; head -c 1000 {d}/bytes >&2")).expect(0)
            expect(done.out == data, f"{name}: {len(done.out)} bytes of results, {len(data)} wanted")
            expect(data[:1000] in done.err, f"{name}: the bytes on stderr")


@test("a query's text of a megabyte reaches each engine byte for byte", slow=True)
def start_text():
    tricky = "-- ' \" ` $(id) \\ \t \x01 \x1b[31m {query} {{}} %s ä€\U0001f600\u202e" * 20000
    encoded = tricky.encode()
    wanted = f"{len(encoded)}\n"
    sql = f"select length(cast('{tricky.replace(chr(39), chr(39) * 2)}' as blob));".encode()
    expect_equal(run("--language", "sqlite", "-", text=sql).expect(0).text, wanted, "what sqlite got")
    python = f"print(len({tricky!r}.encode()))".encode()
    expect_equal(run("--language", "python", "-", text=python).expect(0).text, wanted, "what python got")
    shell = b"wc -c <<'END OF IT'\n" + encoded + b"\nEND OF IT\n"
    expect_equal(run("--language", "shell", "-", text=shell).expect(0).text.strip(), str(len(encoded) + 1), "what shell got")
    argument = tricky[: 60 << 10]
    done = run("--", "printf", "%s", argument).expect(0)
    expect(done.out == argument.encode(), "what exec got")


EXITS = {
    "exec": ["--", "sh", "-c", "exit 7"], "shell": ["--language", "shell", "exit 7"],
    "python": ["--language", "python", "raise SystemExit(7)"], "sqlite": ["--language", "sqlite", ".exit 7"],
}
KILLS = {
    "exec": ["--", "sh", "-c", "kill -KILL $$"], "shell": ["--language", "shell", "kill -KILL $$"],
    "python": ["--language", "python", "import os; os.kill(os.getpid(), 9)"],
    "sqlite": ["--language", "sqlite", ".shell kill -KILL $PPID"],
}
EATS = {
    "exec": ["--", "python3", "-c", "bytearray(200 << 20)"], "shell": ["--language", "shell", "exec python3 -c 'bytearray(200 << 20)'"],
    "python": ["--language", "python", "bytearray(200 << 20)"],
    "sqlite": ["--language", "sqlite", "select length(hex(randomblob(100000000)));"],
}


@test("an engine's exit status, a signal and its memory limit are told apart, in every language", slow=True)
@for_each
def start_ends(name):
    run(*EXITS[name]).expect(7, "ExecutionFailed", ["7"])
    run(*KILLS[name]).expect(137, "ExecutionFailed", ["signal 9"])
    run("--memory-max", "48M", *EATS[name]).expect(137, "MemoryLimitExceeded", ["48M"])


STOPS = {
    "python": "print('first', flush=True)\n1 / 0\nprint('never')",
    "sqlite": "select 'first';\nselect abs(-9223372036854775808);\nselect 'never';",
    "shell": "set -e; echo first; false; echo never",
}


@test("an engine stops at the first error and exits with another status than 0: python and sqlite always, shell as its script says",
      slow=True)
def start_first_error():
    for name, text in STOPS.items():
        done = run("--language", name, text)
        expect(done.status not in (0, 125), f"{name}: {done}")
        expect_equal(done.text, "first\n", f"{name}: what was printed")


def make_database(path):
    db = sqlite3.connect(path)
    db.executescript("create table t(a); insert into t values(7);")
    db.close()


@test("the directory, the query's file and the database are found in a 0700 home and under /tmp, in every language that takes them", slow=True)
def start_paths():
    for below in (home("alice"), "/tmp", "/var/tmp"):
        with directory(below=below) as d:
            for name in LANGUAGES:
                expect_equal(run(*words(name, "pwd"), cwd=d).expect(0).text, f"{d}\n", f"{name}: where it is")
            for name, text in (("shell", "echo found"), ("python", "print('found')"), ("sqlite", "select 'found';")):
                as_user("alice", lambda: open(f"{d}/q", "w", encoding="ascii").write(text))
                done = run("--language", name, "--file", "q", cwd=d).expect(0)
                expect_equal(done.text, "found\n", f"{name}: --file in {d}")
            as_user("alice", lambda: make_database(f"{d}/db"))
            done = run("--language", "sqlite", "--database", "db", "select a from t;", cwd=d).expect(0)
            expect_equal(done.text, "7\n", f"sqlite: --database in {d}")
        refused = run("--language", "sqlite", "--database", f"{below}/missing.db", "select 1;").expect(125, "InvalidArgument")
        expect_in("database", refused.errors, "the message")
        expect(not os.path.exists(f"{below}/missing.db"), "a missing database is not made")


@test("a WAL database is read and written while another process has it open", slow=True)
def start_wal():
    with directory() as d:
        db = f"{d}/wal.db"
        script = f"import sqlite3, sys; c = sqlite3.connect({db!r}, isolation_level=None); c.execute('pragma journal_mode=wal'); c.execute('create table t(a)'); c.execute('insert into t values(1)'); print('open', flush=True); sys.stdin.read(); print(c.execute('select sum(a) from t').fetchall())"
        readable, writable = os.pipe()
        other = Running(["python3", "-c", script], stdin=readable)
        os.close(readable)
        wait_for(lambda: b"open" in other.out(), "another process has it open")
        expect_equal(run("--language", "sqlite", "--database", db, "select a from t; insert into t values(41);").expect(0).text, "1\n", "what is read")
        os.close(writable)
        expect_in("[(42,)]", other.wait().expect(0).text, "what the other process sees then")
        expect_equal(run("--language", "sqlite", "--database", db, "pragma journal_mode; select sum(a) from t;").expect(0).text, "wal\n42\n", "afterwards")


BACKGROUND = {
    "exec": ["--", "sh", "-c", "sleep 987654 & echo first"], "shell": ["--language", "shell", "sleep 987654 & echo first"],
    "python": ["--language", "python", "import subprocess; subprocess.Popen(['sleep', '987654']); print('first')"],
    "sqlite": ["--language", "sqlite", ".shell sleep 987654 &\nselect 'first';"],
}


@test("children that an engine leaves behind are killed, and its reader gets the end of the file, in every language", slow=True)
@for_each
def start_children(name):
    expect_equal(run(*BACKGROUND[name]).expect(0).text, "first\n", "the output")
    wait_for(lambda: not processes_with("987654"), "no child is left")


HOLDS = {
    "exec": lambda s: ["--env", f"PASSWORD={s}", "--", "sleep", "1000"],
    "shell": lambda s: ["--env", f"PASSWORD={s}", "--language", "shell", f"# {s}\nsleep 1000"],
    "python": lambda s: ["--env", f"PASSWORD={s}", "--language", "python", f"# {s}\nimport time; time.sleep(1000)"],
    "sqlite": lambda s: ["--env", f"PASSWORD={s}", "--language", "sqlite", "--", f"-- {s}\n.shell sleep 1000"],
}


@test("a secret in the text or environment is in no command line, unit property, journal line or file, in every language", slow=True)
def start_secrets():
    secret = "hunter2-5c1d"
    ids = [submit(*HOLDS[name](secret)) for name in LANGUAGES]
    for query_id in ids:
        wait_for(lambda: cgroups.is_populated(cgroups.engine_group(query_id)), f"query {query_id} runs")

    def seen_by_bob():
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            for name in ("cmdline", "environ"):
                with contextlib.suppress(OSError):
                    with open(f"/proc/{pid}/{name}", "rb") as f:
                        if secret.encode() in f.read():
                            found.append(f"{pid}/{name}")
        return found

    expect_equal(as_user("bob", seen_by_bob), [], "where bob sees it in /proc")
    for name, query_id in zip(LANGUAGES, ids):
        unit = f"penstock-q{query_id}.service"
        for command in (("systemctl", "show", unit), ("systemctl", "cat", unit)):
            expect(secret not in system(*command, check=False).text, f"{name}: it is not in {' '.join(command)}")
        for user in ("alice", "bob"):
            expect(secret not in ctl("show", "--json", str(query_id), user=user).text, f"{name}: {user} does not see it in show")
    expect(secret not in system("journalctl", "--boot", "--output=export").text, "it is not in the journal")
    found = system("grep", "-rlI", secret, "/run/systemd", "/run/penstock", "/var/lib/penstock", check=False).text
    expect_equal(found, "", "files that hold it")
    ctl("done", *map(str, ids)).expect(0)
