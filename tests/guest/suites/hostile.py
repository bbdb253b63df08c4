# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each key of a request with values that are made to break out: of a unit's name or file, a path, an argv, a format, the journal,
the metrics, a terminal, or into what another user sees. A key without a row here fails a test."""

import contextlib
import glob
import json
import os
import re
import shutil
import struct

from lib import cgroups, harness
from lib.cgroups import MIB
from lib.harness import expect, expect_equal, expect_in, note, test, wait_for
from lib.rawbus import Connection, Disconnected, Reader, Writer
from lib.service import (
    DROP_IN, Gated, Running, as_user, configured, ctl, daemon_pid, home, language, list_queries, restart_daemon, run, submit, system,
    write_drop_in,
)

MARK = "xyzzyMARKxyzzy"
ERROR = "org.penstock1.Error."
SOURCE = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../..")
# What a value would look like in the place that it is not meant for.
TEXTS = [
    f"{MARK}\nEVIL=1\nMESSAGE=evil",  # the journal's own protocol
    f"{MARK}\n[Service]\nExecStopPost=/usr/bin/touch /root/evil\nUser=root",  # a unit's file
    f'{MARK}"}} 1\npenstock_evil{{x="',  # the metrics
    f"{MARK}\x1b]0;evil\x07\x1b[2J\x9b31m\u202e\r\x7f",  # a terminal
    f"{MARK}%n%s%p%h %%n $HOME ${{HOME}} $(touch /root/evil) `touch /root/evil`",  # specifiers, formats, a shell
    f"--{MARK}", f"-{MARK}",  # an option
    f"../../../../root/{MARK}", f"{MARK}.service", "penstock.slice", f"{MARK}\\x2d;&|<>'\"",  # names
]
NAMES = ["", "a b", "A=B", "A\nB", f"../{MARK}", "-x", "1x", "%n", "\x1b[31m", "ä", "x" * 10000]
PATHS = ["", "relative", "/a/../b", "//a", "/a/", f"/{MARK}\nEVIL=1", f"/{MARK}\x1b[31m", "/x" * 3000, "-x", "%h/x", "{tmpdir}"]
ODD = "%n $HOME ;&|<>\\x2d:?mode=ro#x --"  # a name that a path may have, and what it would be elsewhere
SLEEP = "exec sleep 1000 # "


def shell(key, signature, values):
    return [[("language", "s", "shell"), ("query", "s", SLEEP), (key, signature, v)] for v in values]


def rows():
    """KEY: (requests, what may come of them). "refused": by penstockd, each; "taken": none may be, and each runs; "either": some
    may be, and some run, until they are canceled."""
    alice = home("alice")
    odd = f"{alice}/odd"  # made by odd_files()
    return {
        "language": ([[("language", "s", v), ("query", "s", SLEEP)] for v in [*TEXTS, *NAMES, "shell\n", "../languages.d/shell"]], "refused"),
        "query": ([[("language", "s", "shell"), ("query", "s", f"exec sleep 1000 <<'END'\n{t}\nEND\n")] for t in TEXTS], "taken"),
        "argv": ([[("language", "s", "exec"), ("argv", "as", ["sh", "-c", "exec sleep 1000", t, t])] for t in TEXTS], "taken"),
        "database": ([[("language", "s", "sqlite"), ("query", "s", ".shell sleep 1000"), ("database", "s", v)]
                      for v in [*PATHS[:1], *PATHS[5:8], f"{odd}/a\nBindPaths=/root/db", "/home/bob/x.db", "/dev/vda", f"{odd}/{ODD}/db"]], "either"),
        "file": ([[("language", "s", "shell"), ("file", "s", v)] for v in [*PATHS, "/root/.bashrc", "/etc/shadow", f"{odd}/a\nUser=root/q", f"{odd}/{ODD}/q"]], "either"),
        "parameters": (shell("parameters", "a{ss}", [[(n, "x")] for n in NAMES]) + shell("parameters", "a{ss}", [[("x", "1"), ("x", "2")]]), "refused"),
        "memory_initial_bytes": (shell("memory_initial_bytes", "t", [0, 1, (1 << 64) - 1, 1 << 63]), "refused"),
        "memory_max_bytes": (shell("memory_max_bytes", "t", [0, 1, (1 << 64) - 1, 1 << 63]), "refused"),
        "priority": (shell("priority", "i", [(1 << 31) - 1, -(1 << 31), 1001, 1]), "refused"),
        "timeout_usec": (shell("timeout_usec", "t", [0, (1 << 64) - 1, (1 << 64) - 2]), "taken"),
        "queue_timeout_usec": (shell("queue_timeout_usec", "t", [0, (1 << 64) - 1, (1 << 64) - 2]), "taken"),
        "labels": (shell("labels", "a{ss}", [[(n, "x")] for n in [*NAMES, "__name__"]]), "refused"),
        "environment": (shell("environment", "a{ss}", [[(n, "x")] for n in NAMES]), "refused"),
        "working_directory": (shell("working_directory", "s", [*PATHS, f"{odd}/a\nUser=root", "/root", "/home/bob", f"{odd}/missing", f"{odd}/{ODD}"]), "either"),
        "umask": (shell("umask", "u", [0o1000, (1 << 32) - 1]), "refused"),
        "limits": (shell("limits", "a{s(tt)}", [[(n, 1, 1)] for n in (*NAMES, "../AS", "nofile", "RLIMIT_AS")] + [[("NOFILE", 2, 1)]]), "refused"),
        # What could be one's name is repeated: it is an administrator's word, or a mistake.
        "dependencies": (shell("dependencies", "as", [[n] for n in [*TEXTS[:5], *NAMES]]), "refused"),
        "user": (shell("user", "s", [*TEXTS[:5], "root", "0", "bob", "alice"]), "refused"),
        "stdin": (shell("stdin", "h", [0, 7, (1 << 32) - 1]), "refused"),
        "stderr": (shell("stderr", "h", [0, 7, (1 << 32) - 1]), "refused"),
        "detach": ([[("language", "s", "shell"), ("query", "s", SLEEP), ("detach", "b", True)]], "taken"),
        "once": ([[("language", "s", "shell"), ("query", "s", SLEEP), ("once", "b", value)] for value in (False, True)], "taken"),
    }


# What values, beside names, get through to: each is asked for by a test of its own.
VALUES = {"labels": [[("team", t), ("hidden", t)] for t in TEXTS], "environment": [[("HOSTILE", t)] for t in TEXTS]}


@test("every key of a request has a row of hostile values")
def every_key():
    with open(f"{SOURCE}/src/bus/decode.c", encoding="utf-8") as f:
        keys = set(re.findall(r'^        \{ "([a-z_]+)", "[^"]+", decode_', f.read(), flags=re.M))
    expect(len(keys) > 15, f"the keys: {keys}")
    expect_equal(set(rows()), keys, "the keys that have a row")


@contextlib.contextmanager
def odd_files():
    """Directories whose names would be settings, with files in them."""
    odd = f"{home('alice')}/odd"

    def make():
        for d in ("a\nUser=root", "a\nBindPaths=/root", ODD):
            os.makedirs(f"{odd}/{d}")
            for name, text in (("q", SLEEP), ("db", "")):
                with open(f"{odd}/{d}/{name}", "w", encoding="ascii") as f:
                    f.write(text)

    as_user("alice", make)
    try:
        yield
    finally:
        shutil.rmtree(odd)


def send(requests, user="alice"):
    """[(the ID or None, the error's name, its message)] of detached requests."""

    def call():
        seen = []
        for pairs in requests:
            names = {p[0] for p in pairs}
            more = [p for p in [("detach", "b", True), ("working_directory", "s", "/")] if p[0] not in names]
            c = Connection()
            try:
                reply = c.query([*pairs, *more])
                seen.append((None, reply.error, reply.message()) if reply.error else (Reader(reply.body).number("Q"), None, ""))
            except Disconnected:
                seen.append((None, "disconnected", ""))
            c.close()
        return seen

    return as_user(user, call)


CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]")
SAMPLE = re.compile(r'penstock_[a-z_]+(\{([a-z_]+="([^"\\\n]|\\["\\n])*"(,(?=[a-z_]))?)*\})? [0-9.e+-]+(Inf|NaN)?')


def expect_plain(data, what):
    found = CONTROL.search(data)
    expect(not found, f"{what} has no control character: {found and data[max(0, found.start() - 80):found.end() + 80]!r}")


def expect_metrics_whole():
    text = as_user("bob", lambda: Reader(Connection().call("Metrics").body).string())
    for line in text.splitlines():
        good = line.startswith(("# HELP penstock_", "# TYPE penstock_")) or SAMPLE.fullmatch(line)
        expect(good and "penstock_evil{" not in line.split('"')[0], f"a line of the metrics: {line!r}")
    expect_plain(text.encode(), "the metrics' text")
    return text


def views_of_others(ids):
    """All that bob can ask about, as bytes."""

    def ask():
        c = Connection()
        seen = [bytes(c.call("ListQueries").body), bytes(c.call("Queries").body)]
        for i in ids:
            for reply in (c.call("Describe", "t", struct.pack("=Q", i)),
                          c.call("GetAll", "s", Writer().string("org.penstock1.Query").data, path=f"/org/penstock1/query/_{i}",
                                 interface="org.freedesktop.DBus.Properties")):
                if reply.error:
                    raise RuntimeError(f"query {i}: {reply.error} {reply.message()}")
                seen.append(bytes(reply.body))
        return b"\n".join(seen)

    return as_user("bob", ask)


def wait_until_running(ids):
    """Until each of IDS has ended, or its engine runs: before that there is nothing to look at. Returns those that run."""
    def runs(i):
        return cgroups.is_populated(cgroups.engine_group(i))

    def settled():
        ended = [q["id"] for q in list_queries() if q["state"] in ("finished", "errored", "canceled")]
        return all(i in ended or runs(i) for i in ids)

    wait_for(settled, f"each of the queries {ids} runs, or has ended", 300)
    return [i for i in ids if runs(i)]


def expect_loaded(shown, ids):
    """What systemctl shows of a unit that is not there are defaults, which prove nothing."""
    blocks = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in shown.decode(errors="replace").split("\n\n")]
    loaded = {b["Id"] for b in blocks if b.get("LoadState") == "loaded"}
    for i in ids:
        expect(f"penstock-q{i}.service" in loaded, f"the unit of query {i} is one of those that were looked at: {loaded}")


def expect_confined(ids, outcome="taken", public=False):
    """Of hostile queries that were taken, nothing is where it is not meant to be. PUBLIC: others see MARK, which is then in the metrics,
    too."""
    running = wait_until_running(ids)
    if outcome == "taken":
        expect_equal(running, ids, "the queries that run")
    expect(running, "one of them runs")
    units = [f"penstock-q{i}.service" for i in ids]
    groups = [os.path.basename(os.path.dirname(g)) for g in glob.glob(f"{cgroups.SLICE}/*/cgroup.procs")]
    expect(all(re.fullmatch(r"penstock-q[0-9]+\.service", g) for g in groups), f"groups in penstock.slice: {groups}")
    shown = system("systemctl", "show", "--no-pager", *units).out
    expect_loaded(shown, running)
    shown += system("systemctl", "status", "--no-pager", "--lines=0", "penstock.slice", check=False).out.split(b"CGroup:")[0]
    for path in glob.glob("/run/systemd/transient/penstock-q*") + glob.glob("/run/systemd/transient/penstock-q*/*"):
        if os.path.isfile(path):
            with open(path, "rb") as f:
                shown += f.read()
    expect(MARK.encode() not in shown, "nothing of it is in the properties and files of units")
    seen = views_of_others(ids)
    expect_equal(MARK.encode() in seen, public, f"whether it is seen by bob: {seen[:300]!r}")
    expect_equal(MARK in expect_metrics_whole(), public, "whether it is in the metrics")
    for words in (["list"], *[[verb, str(i)] for i in ids for verb in ("show", "why")]):
        for user, charset in (("bob", "C.UTF-8"), ("root", "C")):
            done = ctl(*words, user=user, env={"PATH": os.environ["PATH"], "LC_ALL": charset}).expect(0)
            expect_plain(done.out + done.err, f"what penstockctl {words[0]} prints for {user}")
        done = ctl(words[0], "--json", *words[1:], user="bob")
        expect_plain(done.out + done.err, f"what penstockctl {words[0]} --json prints")
        json.loads(done.text)


def cursor():
    return system("journalctl", "--quiet", "--lines=1", "--output=json", "--output-fields=__CURSOR").text


def expect_journal_whole(since, public=False):
    after = json.loads(since)["__CURSOR"]
    text = system("journalctl", "--quiet", "--output=json", "--all", f"--after-cursor={after}").text
    for line in text.splitlines():
        entry = json.loads(line)
        own = {k: v for k, v in entry.items() if not k.startswith("_")}
        expect("EVIL" not in own, f"an entry with a field that a client made: {own}")
        if entry.get("_COMM") == "penstockd" and not public:
            expect(MARK not in json.dumps(own), f"an entry of penstockd that holds what a client sent: {own}")


def release(ids):
    if ids:
        ctl("done", *map(str, ids)).expect(0)


def taken(requests, outcome):
    """Send them; returns the IDs of those that were taken. The others were refused, by an error that repeats nothing of them."""
    ids = []
    for pairs, (query_id, error, message) in zip(requests, send(requests)):
        what = f"{[(p[0], str(p[2])[:60]) for p in pairs]}: {error} {message}"
        if query_id is None:
            expect(error == "disconnected" or error.startswith(ERROR), f"a named error: {what}")
            expect(MARK not in message, f"an error that does not repeat what came: {what}")
            expect_plain(message.encode(), f"the error's text of {what}")
            expect(outcome != "taken", f"it is taken: {what}")
        else:
            ids.append(query_id)
            expect(outcome != "refused", f"it is refused: {what}")
    return ids


def keeps_off(rows_of_keys, public=False):
    """ROWS_OF_KEYS: KEY: (requests, what may come of them). All of a key's run at once."""
    before, since = daemon_pid(), cursor()
    most = max(len(requests) for requests, _ in rows_of_keys.values())
    with odd_files(), configured(MetricLabelKeys="team", ConcurrencyQuota=most, InitialMemoryBytesQuotaPerQuery="8M", QueueSize=100,
                                 MaxQueriesPerUser=100):
        for key, (requests, outcome) in rows_of_keys.items():
            ids = taken(requests, outcome)
            note(f"{key}: {len(ids)} of {len(requests)} were taken")
            try:
                if outcome != "refused":
                    expect_confined(ids, outcome, public)
            finally:
                release(ids)
        expect_metrics_whole()
    expect_journal_whole(since, public)
    expect(not os.path.exists("/root/evil"), "/root/evil was not made")
    expect_equal(daemon_pid(), before, "the PID of penstockd")


def for_keys(*keys):
    keeps_off({key: rows()[key] for key in keys})


@test("hostile texts, names and paths in a request reach no unit, path, option, journal field, metric, terminal or other user", slow=True)
def hostile_texts():
    for_keys("language", "query", "argv", "database", "file", "working_directory")


@test("hostile names, numbers and descriptors in a request are refused by name, and the refusal repeats nothing of them", slow=True)
def hostile_names():
    for_keys("parameters", "memory_initial_bytes", "memory_max_bytes", "priority", "timeout_usec", "queue_timeout_usec", "labels",
             "environment", "umask", "limits", "dependencies", "user", "stdin", "stderr", "detach", "once")


@test("a label's value stays a value: of metrics, in lists, and where MetricLabelKeys= does not name it nobody sees it", slow=True)
def hostile_labels():
    write_drop_in({"MetricLabelKeys": "team"})  # which counts from a start on
    restart_daemon()
    try:
        keeps_off({"labels": (shell("labels", "a{ss}", [[("hidden", MARK)]]), "taken")})  # first: the metrics keep what they have
        keeps_off({"labels": (shell("labels", "a{ss}", VALUES["labels"]), "taken")}, public=True)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(DROP_IN)
        restart_daemon()


@test("a variable's value is seen by its engine alone", slow=True)
def hostile_variables():
    keeps_off({"environment": (shell("environment", "a{ss}", VALUES["environment"]), "taken")})
    for value in TEXTS[:5]:
        done = run("--env", f"HOSTILE={value}", "--", "printenv", "HOSTILE").expect(0)
        expect_equal(done.out, value.encode() + b"\n", "the variable")


# Its engine prints the element of its argv.
PARAMETER = """[Language]
Description=prints a parameter
QueryFrom=argument
Execute=printf %s {param:x} {query}
"""


@test("a parameter's value is one element of an argv, whatever it holds, and no option", slow=True)
def hostile_parameters():
    with language("parameter", PARAMETER):
        for value in TEXTS:
            done = run("--language", "parameter", "--param", f"x={value}", "END")
            if value.startswith("-"):
                done.expect(125, "InvalidArgument", ["option"])
            else:
                expect_equal(done.expect(0).out, value.encode() + b"END", "what the engine got")


@test("what an engine wrote to stderr reaches root's terminal without control characters, and its owner's as it is", slow=True)
def hostile_stderr():
    text = "evil \x1b]0;evil\x07\x1b[31m"
    q = submit("--", "sh", "-c", f"printf '%s' '{text}' >&2; exit 3")
    done = ctl("wait", str(q), user="root")
    expect_in("evil", done.errors, "what root sees")
    expect_plain(done.err, "what root sees of alice's stderr")
    for words in (["stats"], ["stats", "--json"]):
        expect_plain(ctl(*words, str(q), user="root").out, f"what root sees with {words}")
    done = ctl("wait", str(q))
    expect_in(text.encode(), done.err, "what alice sees of her own")
    ctl("done", str(q)).expect(0)


def most_memory_kib(pid):
    """The most that it has had so far."""
    return next(int(line.split()[1]) for line in cgroups.read(f"/proc/{pid}/status").splitlines() if line.startswith("VmHWM:"))


# Calls as many as the bus takes, from many connections that read nothing of the answers, until the time is over.
FLOOD = """
import select, struct, sys, time
sys.path.insert(0, sys.argv[1])
from lib.rawbus import CONTROLLER, NAME, PATH, Connection, Writer
def message(member, signature="", body=b""):
    w = Writer()
    w.data += struct.pack("=BBBBII", ord("l"), 1, 0, 1, len(body), 1)
    fields = [(1, "o", PATH), (2, "s", CONTROLLER), (3, "s", member), (6, "s", NAME)] + ([(8, "g", signature)] if signature else [])
    def field(f):
        w.align(8).number("B", f[0]).signature(f[1])
        w.signature(f[2]) if f[1] == "g" else w.string(f[2])
    w.array(8, fields, field).align(8)
    return bytes(w.data) + body
calls = [message("ListQueries"), message("Metrics"), message("Queries"), message("Describe", "t", struct.pack("=Q", int(sys.argv[2])))]
many = [Connection() for _ in range(24)]
rest = {c: b"" for c in many}
for c in many: c.socket.setblocking(False)
n, end = 0, time.monotonic() + float(sys.argv[3])
print("up", flush=True)
while time.monotonic() < end:
    for c in many:
        try:
            data = rest[c] or calls[n % len(calls)] * 8
            rest[c] = data[c.socket.send(data):]
            n += 1
        except OSError: pass
    select.select([], [c.socket for c in many], [], 0.05)
print(n)
"""


@test("one who floods penstockd with questions and reads no answer makes it grow by a bounded amount, and others are served", slow=True)
def flood_of_questions():
    with configured(MaxQueriesPerUser=60, QueueSize=100):
        ids = [submit("--label", f"team={'x' * 200}", "--", "true", user="bob") for _ in range(20)]
        for i in ids:
            ctl("wait", str(i), user="bob").expect(0)
        pid = daemon_pid()
        before = most_memory_kib(pid)
        seconds = harness.repeats(10, 60)
        flood = Running(["python3", "-c", FLOOD, os.path.dirname(os.path.dirname(os.path.realpath(__file__))), str(ids[0]), str(seconds)], user="bob")
        wait_for(lambda: b"up" in flood.out(), "the flood begins")
        served = 0
        while flood.is_running():
            served += run("--", "true", limit=300).expect(0) is not None
        most = most_memory_kib(pid)
        note(f"{flood.wait().text.split()[-1]} batches; penstockd had {before} KiB and at most {most} KiB; {served} queries of another user ran")
        expect(served > 0, "another user's query ran meanwhile")
        expect(most - before < 32 << 10, f"its growth: {most - before} KiB")
        ctl("done", *map(str, ids), user="bob").expect(0)
    expect_equal(daemon_pid(), pid, "the PID of penstockd")


@test("one who submits without end has MaxQueriesPerUser queries, from however many connections, and others are served", slow=True)
def flood_of_queries():
    def submit_all():
        seen = []
        for _ in range(12):
            c = Connection()
            serials = [c.send("Query", "a{sv}", Writer().request([("language", "s", "shell"), ("query", "s", SLEEP), ("working_directory", "s", "/"), ("detach", "b", True)]).data) for _ in range(10)]
            seen += [c.answer_to(s).error for s in serials]
            c.close()
        return seen

    with configured(MaxQueriesPerUser=5, ConcurrencyQuota=2, QueueSize=50):
        answers = as_user("bob", submit_all)
        expect_equal(answers.count(None), 5, f"queries that were taken: {set(answers)}")
        expect_equal(set(answers), {None, ERROR + "QueueLengthExceeded"}, "the answers")
        mine = submit("--", "true")
        for q in json.loads(ctl("list", "--json", user="root").text):
            if q["id"] != mine:
                ctl("done", str(q["id"]), user="root").expect(0)
        ctl("wait", str(mine)).expect(0)
        ctl("done", str(mine)).expect(0)


# As JSON each byte takes six: 2.8 MiB.
LARGE = [word for i in range(15) for word in ("--env", f"V{i}={chr(1) * 32000}")]


def submit_large(name=(), user="root"):
    """As many of them as are taken; returns their IDs."""
    taken = []
    while len(taken) < 50:
        done = ctl("submit", "--json", *name, *LARGE, "--", "true", user=user, cwd="/")
        if done.status != 0:
            break
        taken.append(re.search(r'"id": *(\d+)', done.text)[1])
    done.expect(1, "QueueLengthExceeded", ["16 MiB", "64 MiB"])
    return taken


def written():
    return sum(f.stat().st_size for f in os.scandir("/run/penstock/queries"))


@test("requests that are large fill no memory with those that wait: so much is written down for a user, so much for all, and others are served",
      slow=True)
def flood_of_bytes():
    with configured(ConcurrencyQuota=1, MaxQueriesPerUser=60, QueueSize=100):
        holder = Gated()
        ids = submit_large(user="bob")
        expect(ids and written() < 20 * MIB, f"{len(ids)} were taken, {written()} bytes are written")
        others = [submit_large(["--user", name]) for name in ("daemon", "games", "mail", "news")]
        note(f"{len(ids)} of one user were taken, of others {[len(taken) for taken in others]}, {written() >> 10} KiB in all")
        expect_equal([len(taken) for taken in others[:3]], [len(ids)] * 3, "what others have, as long as there is room for all")
        expect(len(others[3]) < len(ids), "the last has less: there was no more room for all")
        expect(60 * MIB < written() < 66 * MIB, f"{written()} bytes are written in all")
        mine = submit("--", "true")
        ctl("done", *sum(others, []), user="root").expect(0)
        holder.go()
        holder.wait().expect(0)
        for q in [*ids, str(mine)]:
            ctl("wait", q, user="root").expect(0)
        ctl("submit", *LARGE, "--", "true", user="bob").expect(0)
        ctl("done", *ids, str(mine), user="root").expect(0)
