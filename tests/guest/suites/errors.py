# SPDX-License-Identifier: LGPL-2.1-or-later
"""Requests are hostile: each bad one gets its named error, and penstockd goes on as the same process."""

import hashlib
import os

from lib.harness import expect, expect_equal, expect_in, note, test
from lib.rawbus import CONTROLLER, Connection, Disconnected, Reader, Writer
from lib.service import Gated, as_user, ctl, daemon_pid, language, run, submit, wait_for_state

MIB = 1 << 20
ERROR = "org.penstock1.Error."
GOOD = [("language", "s", "shell"), ("query", "s", "true"), ("working_directory", "s", "/")]


def same_daemon(function):
    """The test also fails when penstockd is another process afterwards, or does not answer."""

    def checked():
        before = daemon_pid()
        function()
        ctl("status").expect(0)
        expect_equal(daemon_pid(), before, "the PID of penstockd")

    checked.__module__ = function.__module__
    return checked


def raw(*pairs, user="alice", without=()):
    """The error's name and message for a request sent past penstockctl: GOOD, with PAIRS added or replaced."""
    names = {p[0] for p in pairs} | set(without)

    def call():
        c = Connection()
        try:
            reply = c.query([p for p in GOOD if p[0] not in names] + list(pairs))
            return reply.error, reply.message() if reply.error else "", reply.sender == c.owner()
        except Disconnected:
            return "disconnected", "", None

    return as_user(user, call)


def expect_raw(wanted, word, *pairs, **more):
    error, message, by_penstockd = raw(*pairs, **more)
    what = f"the answer to {[(p[0], p[1], str(p[2])[:60]) for p in pairs]} ({message[:300]})"
    expect_equal(error, ERROR + wanted, what)
    expect(by_penstockd, f"{what} comes from penstockd")
    expect_in(word, message, what)


def exact_bytes(text):
    wanted = hashlib.sha256(text).hexdigest()
    done = run("--language", "bytes", "-", text=text).expect(0)
    expect_equal(done.text.split()[0], wanted, f"the hash of the {len(text)} bytes that the engine got")


# The language "bytes" is no shipped one: its engine does nothing but hash what it was given.
BYTES = """[Language]
Description=prints the hash of its query
QueryFrom=stdin
Execute=sha256sum -
"""


def tricky_text(size):
    """SIZE bytes that begin with "-" and hold quotes, newlines, backslashes, control characters and all of UTF-8."""
    start = "-rf --help\n'\"`$(id)`\\ \t\r\n\x01\x1b[31m{query}{{}}%s%n\u00e4\u20ac\U0001f600\u202e\ufeff\n\n"
    text = start.encode()
    filler = "".join(chr(c) for c in list(range(0x20, 0x7F)) + list(range(0xA1, 0x800)) + list(range(0x3000, 0x3400)))
    filler = filler.encode()
    while len(text) + len(filler) < size:
        text += filler
    return text + b"x" * (size - len(text))


@test("a query text of 1 MiB with a leading -, quotes, newlines and any UTF-8 reaches the engine byte for byte", slow=True)
@same_daemon
def text_is_exact():
    with language("bytes", BYTES):
        exact_bytes(tricky_text(1 * MIB))
        exact_bytes(tricky_text(4 * MIB))  # the most there may be
        exact_bytes(b"-")


@test("python and shell get a text of 1 MiB as it is", slow=True)
@same_daemon
def long_texts_in_shipped_languages():
    data = "äöü€'" * 90_000
    program = f"import hashlib\ndata = {data!r}\nprint(len(data), hashlib.sha256(data.encode()).hexdigest())\n"
    program += f"#{'x' * (MIB - len(program.encode()) - 2)}\n"
    expect(len(program.encode()) == MIB, f"a text of 1 MiB: {len(program.encode())}")
    wanted = f"{len(data)} {hashlib.sha256(data.encode()).hexdigest()}\n"
    expect_equal(run("--language", "python", "-", text=program.encode()).expect(0).text, wanted, "what python got")
    line = "x" * 1000 + "\n"
    script = "sha256sum <<'END'\n" + line * (MIB // 1001) + "END\n"
    wanted = hashlib.sha256((line * (MIB // 1001)).encode()).hexdigest()
    expect_equal(run("--language", "shell", "-", text=script.encode()).expect(0).text.split()[0], wanted, "what shell got")


@test("a text may begin with - on the command line, too", slow=True)
@same_daemon
def leading_dash():
    expect_equal(run("--language", "python", "--", "-1; print('dash')").expect(0).text, "dash\n", "the output")
    expect_equal(run("--language", "sqlite", "--", "-- a comment\nselect 'it''s';").expect(0).text, "it's\n", "the output")


@test("an argument of 100 KiB with every byte but NUL that UTF-8 allows arrives as it is", slow=True)
@same_daemon
def arguments_are_exact():
    argument = tricky_text(100 << 10).decode()
    done = run("--", "python3", "-c", "import sys,os; sys.stdout.buffer.write(os.fsencode(sys.argv[1]))", argument).expect(0)
    expect_equal(done.out, argument.encode(), "the argument")


@test("an unknown language is UnknownLanguage")
@same_daemon
def unknown_language():
    run("--language", "cobol", "select 1").expect(125, "UnknownLanguage", ["penstockctl languages"])
    expect_raw("UnknownLanguage", "languages", ("language", "s", "cobol"))
    for name in ("../shell", "", "x" * 10000):
        error, message, _ = raw(("language", "s", name))
        expect(error in (ERROR + "UnknownLanguage", ERROR + "InvalidArgument"), f"language {name[:20]!r}: {error} {message[:200]}")


@test("an empty query is InvalidArgument")
@same_daemon
def empty_query():
    run("--language", "shell", "").expect(125, "InvalidArgument", ["query"])
    expect_raw("InvalidArgument", "query", ("query", "s", ""))
    expect_raw("InvalidArgument", "query", without=["query"])


@test("a query of 10 MiB is InvalidArgument, sent by penstockctl and sent past it", slow=True)
@same_daemon
def query_too_long():
    text = b"#" * (10 * MIB)
    run("--language", "shell", "-", text=text).expect(125, "InvalidArgument", ["query"])
    expect_raw("InvalidArgument", "query", ("query", "s", text))
    expect_raw("InvalidArgument", "query", ("query", "s", b"#" * (4 * MIB + 1)))


@test("negative and overflowing sizes are InvalidArgument")
@same_daemon
def bad_sizes():
    for size in ("-1", "-64M", "0", "18446744073709551616", "16E", "99999999999G", "64Q", "1.5.5G", "", "nan", "0x40", "64 M M"):
        run(f"--memory-max={size}", "--language", "shell", "true").expect(125, "InvalidArgument", ["--memory-max"])
    for key in ("memory_initial_bytes", "memory_max_bytes"):
        expect_raw("InvalidArgument", key, (key, "t", (1 << 64) - 1))
        expect_raw("InvalidArgument", key, (key, "t", 1))
        expect_raw("InvalidArgument", key, (key, "x", -1))


@test("a text that is not UTF-8 is InvalidArgument with the offset, and sent past penstockctl it is cut off by the bus")
@same_daemon
def not_utf8():
    run("--language", "shell", "-", text=b"echo \xff\xfe").expect(125, "InvalidArgument", ["query", "5"])
    run("--language", "shell", "-", text=b"echo \0 x").expect(125, "InvalidArgument", ["query", "5"])
    run("--", "echo", os.fsdecode(b"\xc3\x28")).expect(125, "InvalidArgument", ["argv[1]"])
    expect_equal(raw(("query", "s", b"echo \xff\xfe"))[0], "disconnected", "the bus's answer")


@test("an unknown key of a request is InvalidArgument and is named")
@same_daemon
def unknown_key():
    expect_raw("InvalidArgument", "memory_maximum", ("memory_maximum", "t", 1 << 30))


@test("a key that comes twice is InvalidArgument")
@same_daemon
def double_key():
    expect_raw("InvalidArgument", "query", ("query", "s", "true"), ("query", "s", "false"))


@test("a wrong D-Bus type is InvalidArgument and names the key")
@same_daemon
def wrong_types():
    for key, signature, value in (
        ("query", "u", 7),
        ("language", "as", ["shell"]),
        ("argv", "s", "a"),
        ("memory_max_bytes", "s", "64M"),
        ("memory_max_bytes", "u", 64 * MIB),
        ("priority", "t", 1),
        ("labels", "as", ["a"]),
        ("environment", "s", "A=b"),
        ("detach", "s", "yes"),
        ("stdin", "u", 0),
        ("timeout_usec", "v", ("t", 5)),
    ):
        expect_raw("InvalidArgument", key, (key, signature, value))


@test("a method called with another signature is refused, and so is one that does not exist")
@same_daemon
def wrong_signatures():
    def call():
        c = Connection()
        calls = [
            c.call("Query", "s", Writer().string("select 1").data),
            c.call("Query"),
            c.call("Shutdown", "s", Writer().string("now").data),
            c.call("Nonsense"),
            c.call("GetQuery", "t", Writer().number("Q", 1 << 63).data),
            c.call("Cancel", path="/org/penstock1/query/_99999999", interface="org.penstock1.Query"),
            c.call("Cancel", path="/org/penstock1/query/_1x", interface="org.penstock1.Query"),
            c.call("Query", "a{sv}", Writer().request(GOOD).data, interface="org.penstock1.Query"),
        ]
        return [r.error for r in calls]

    errors = as_user("alice", call)
    expect(all(errors), f"each got an error: {errors}")
    expect_equal(errors[4], ERROR + "NoSuchQuery", "the answer for an ID that was never issued")


@test("names of variables, labels, paths and counts out of bounds are InvalidArgument")
@same_daemon
def out_of_bounds():
    expect_raw("InvalidArgument", "working_directory", ("working_directory", "s", "relative/path"))
    expect_raw("InvalidArgument", "environment", ("environment", "a{ss}", [("A=B", "c")]))
    expect_raw("InvalidArgument", "environment", ("environment", "a{ss}", [(f"V{i}", "x") for i in range(300)]))
    expect_raw("InvalidArgument", "labels", ("labels", "a{ss}", [("team", "x" * 5000)]))
    expect_raw("InvalidArgument", "argv", ("argv", "as", ["x"] * 5000))
    expect_raw("InvalidArgument", "priority", ("priority", "i", 2_000_000))


@test("a user outside the group gets PermissionDenied with a hint, from penstockd itself and not from the bus", slow=True)
@same_daemon
def outsider():
    run("--language", "shell", "echo no", user="carol").expect(125, "PermissionDenied", ["penstock", "usermod"])
    expect_raw("PermissionDenied", "usermod", user="carol")
    ctl("submit", "--language", "shell", "echo no", user="carol").expect(1, "PermissionDenied")


@test("one user can neither cancel nor release another's query, and root can", slow=True)
@same_daemon
def foreign_queries():
    q = Gated("print('mine')")
    for verb in ("cancel", "done"):
        done = ctl(verb, str(q.id), user="bob")
        expect(done.status != 0, f"{verb} by bob: {done}")
        expect_in("PermissionDenied", done.errors, f"{verb} by bob")
    q.go()
    expect_equal(q.wait().expect(0).text, "mine\n", "the output")
    other = submit("--", "sleep", "1000")
    expect_equal(ctl("cancel", str(other), user="root").status, 0, "cancel by root")
    wait_for_state(other, "canceled")
    ctl("done", str(other)).expect(0)


@test("an ordinary user may not name another user, nor raise a priority, nor shut down, pause or reload", slow=True)
@same_daemon
def privileges():
    run("--user", "bob", "--", "true").expect(125, "PermissionDenied")
    run("--priority", "5", "--", "true").expect(125, "PermissionDenied")
    for words in (("shutdown", "--timeout", "0"), ("pause",)):
        done = ctl(*words)
        expect(done.status != 0 and "PermissionDenied" in done.errors, f"{words} by alice: {done}")

    def call():
        return Connection().call("Reload").error

    expect_equal(as_user("alice", call), ERROR + "PermissionDenied", "Reload by alice")


@test("root's own queries are refused while AllowRootQueries=no, and root runs one as a user it names", slow=True)
@same_daemon
def root_queries():
    run("--", "id", "-un", user="root", cwd="/").expect(125, "PermissionDenied", ["AllowRootQueries"])
    expect_equal(run("--user", "bob", "--", "id", "-un", user="root", cwd="/").expect(0).text, "bob\n", "who it ran as")


@test("the reply of Query holds the ID, results and a hold, and closing the hold cancels the query", slow=True)
@same_daemon
def hold_of_a_raw_client():
    def call():
        c = Connection()
        reply = c.query([("language", "s", "shell"), ("query", "s", "echo up; exec sleep 1000"), ("working_directory", "s", "/")])
        if reply.error:
            return reply.error, reply.message()
        results, hold = reply.fds
        first = os.read(results, 3)
        os.close(hold)
        rest = os.read(results, 100)
        return Reader(reply.body).number("Q"), (first, rest)

    query_id, outputs = as_user("alice", call)
    expect_equal(outputs, (b"up\n", b""), f"results of query {query_id}, which end when it is canceled")
    note(f"{CONTROLLER}.Query gave query {query_id}")
    wait_for_state(query_id, "canceled")
