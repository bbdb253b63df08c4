# SPDX-License-Identifier: LGPL-2.1-or-later
"""What polkit, the real one, may let others than root do; and what it may not."""

import contextlib
import os
import signal
import time

from lib import cgroups
from lib.harness import expect, expect_equal, expect_in, test, wait_for
from lib.rawbus import Connection, Reader, Writer
from lib.service import Gated, Running, as_user, bus_property, ctl, ctl_json, daemon_pid, home, run, submit, system, wait_for_state

RULES = "/etc/polkit-1/rules.d/00-penstock-test.rules"
INTERACTIVE = 4  # the flag of a message that allows interactive authorization
AUTHORITY = {
    "destination": "org.freedesktop.PolicyKit1", "path": "/org/freedesktop/PolicyKit1/Authority",
    "interface": "org.freedesktop.PolicyKit1.Authority",
}
ACTIONS = ("submit", "manage-queries", "raise-priority", "pause", "reload", "shutdown")


@contextlib.contextmanager
def rule(condition):
    """YES from polkit where CONDITION, JavaScript over action and subject, is true."""
    with open(RULES, "w", encoding="ascii") as f:
        f.write(f"polkit.addRule(function(action, subject) {{ if ({condition}) return polkit.Result.YES; }});\n")
    os.chmod(RULES, 0o644)
    try:
        yield
    finally:
        os.unlink(RULES)


def denied(user, *words):
    done = ctl(*words, user=user)
    return done if "PermissionDenied" in done.errors else None


def allowed_in_time(user, *words):
    """polkit looks at its rules again a moment after they changed."""
    return wait_for(lambda: None if denied(user, *words) else True, f"polkit lets {user} {' '.join(words)}")


def denied_in_time(user, *words):
    return wait_for(lambda: denied(user, *words), f"{user} may not {' '.join(words)} any more")


@test("polkit knows every action that penstockd asks about: submit is for nobody, the others for administrators who authenticate",
      slow=True)
def actions():
    for action in ACTIONS:
        text = system("pkaction", "--verbose", "--action-id", f"org.penstock1.{action}").text
        wanted = "no" if action == "submit" else "auth_admin_keep"
        for who in ("any", "inactive", "active"):
            expect(any(line.split() == ["implicit", f"{who}:", wanted] for line in text.splitlines()), f"{action}, {who}: {text}")


@test("without a rule others' queries, a priority, pause, shutdown and reload are refused, and the refusal says which action would help",
      slow=True)
def refusals():
    q = Gated()
    for action, words in (
        ("manage-queries", ["cancel", str(q.id)]),
        ("manage-queries", ["done", str(q.id)]),
        ("raise-priority", ["run", "--priority", "5", "--", "true"]),
        ("pause", ["pause"]),
        ("pause", ["resume"]),
        ("shutdown", ["shutdown", "--timeout", "0"]),
    ):
        done = ctl(*words, user="bob")
        expect(done.status != 0, f"{words} by bob: {done}")
        for word in ("PermissionDenied", f"org.penstock1.{action}", "authenticate"):
            expect_in(word, done.errors, f"{words} by bob")
    error = as_user("bob", lambda: Connection().call("Reload").message())
    expect_in("org.penstock1.reload", error, "Reload by bob")
    expect_in("penstockctl", error, "one that did not allow polkit to ask")
    done = run("--", "true", user="carol").expect(125, "PermissionDenied", ["usermod", "org.penstock1.submit"])
    expect_in("rules.d", done.errors, "the hint")
    q.go()
    q.wait().expect(0)


@test("a rule that decides on owner and query lets bob cancel and release that query of alice's, and never read its results", slow=True)
def rule_on_details():
    first, second = submit("--", "sh", "-c", "echo secret; exec sleep 1000"), submit("--", "sleep", "1000")
    uid = os.stat(home("alice")).st_uid
    condition = (f'action.id == "org.penstock1.manage-queries" && subject.user == "bob" && '
                 f'action.lookup("owner") == "{uid}" && action.lookup("query") == "{first}"')
    with rule(condition):
        allowed_in_time("bob", "cancel", str(first))
        wait_for_state(first, "canceled")
        expect(denied("bob", "cancel", str(second)), "another query of the same owner")
        expect(denied("carol", "done", str(first)), "another user")
        for words in (["results", str(first)], ["profile", str(first)]):
            done = ctl(*words, user="bob")
            expect(denied("bob", *words), f"{words} by bob: {done}")
            expect("secret" not in done.text, f"{words} by bob: {done}")
        done = ctl("done", "--json", str(first), user="bob")
        expect(done.status == 0 and "secret" not in done.text, f"done by bob: {done}")
    expect_equal(ctl_json("show", str(second))["state"] in ("executing", "queueing", "created"), True, "the other query lives")
    ctl("cancel", str(second)).expect(0)
    ctl("done", str(second)).expect(0)


@test("a rule lets one outside the group submit as himself and nobody else, and taking it away counts for the next call", slow=True)
def rule_on_submit():
    with rule('action.id.indexOf("org.penstock1.") == 0 && subject.user == "carol"'):
        allowed_in_time("carol", "run", "--", "true")
        expect_equal(run("--", "id", "-un", user="carol").expect(0).text, "carol\n", "who it ran as")
        run("--user", "alice", "--", "true", user="carol").expect(125, "PermissionDenied", ["only root may name another user"])
        expect(denied("bob", "pause"), "it is not for bob")
    denied_in_time("carol", "run", "--", "true")


@test("rules let users raise a priority, pause and resume, reload and shut down", slow=True)
def rule_on_the_rest():
    with rule('action.id.indexOf("org.penstock1.") == 0 && subject.user == "bob"'):
        allowed_in_time("bob", "pause")
        expect_equal(bus_property("Paused"), "true", "paused")
        ctl("resume", user="bob").expect(0)
        expect_equal(bus_property("Paused"), "false", "paused")
        q = submit("--priority", "7", "--", "true", user="bob")
        expect_equal(ctl_json("show", str(q), user="bob")["priority"], 7, "its priority")
        ctl("wait", str(q), user="bob").expect(0)
        ctl("done", str(q), user="bob").expect(0)
        expect_equal(as_user("bob", lambda: Connection().call("Reload").error), None, "Reload by bob")
        ctl("shutdown", "--timeout", "0", user="bob").expect(0)
        run("--", "true").expect(125, "ShuttingDown")
    system("systemctl", "restart", "penstockd")


class Agent:
    """An authentication agent for the process it is made in: polkit asks it, and it says what the test wants."""

    def __init__(self):
        self.bus = Connection()
        fields = open("/proc/self/stat", encoding="ascii").read().rsplit(") ", 1)[1].split()
        w = Writer().string("unix-process")

        def entry(e):
            w.align(8).string(e[0]).signature(e[1]).number("I" if e[1] == "u" else "Q" if e[1] == "t" else "i", e[2])

        w.array(8, [("pid", "u", os.getpid()), ("start-time", "t", int(fields[19])), ("uid", "i", os.getuid())], entry)
        w.string("C").string("/agent")
        reply = self.bus.call("RegisterAuthenticationAgent", "(sa{sv})ss", w.data, **AUTHORITY)
        if reply.error:
            raise RuntimeError(f"the agent: {reply.error} {reply.message()}")

    def wait_until_asked(self):
        """Returns the action and the cookie, by which root would answer."""
        message = self.bus.wait_for_call("BeginAuthentication")
        self.message = message
        return parse_begin(message.body)


def parse_begin(body):
    r = Reader(body)
    action = r.string()
    for _ in ("message", "icon"):
        r.string()
    size = r.number("I")
    r.at += -r.at % 8
    end = r.at + size
    details = {}
    while r.at < end:
        r.at += -r.at % 8
        key = r.string()
        details[key] = r.string()
    return action, r.string(), details


def pause_with_agent(then):
    """In a process of alice's that has an agent: call Pause, wait until the agent is asked, and go on with THEN(agent, cookie)."""
    agent, caller = Agent(), Connection()
    serial = caller.send("Pause", flags=INTERACTIVE)
    action, cookie, _details = agent.wait_until_asked()
    then(agent, cookie)
    reply = caller.answer_to(serial)
    return action, reply.error, reply.message() if reply.error else ""


def root_answers(cookie, uid, who=0):
    """What polkit's own helper, which is root, does when the password was right."""
    w = Writer().number("I", uid).string(cookie)
    w.align(8).string("unix-user").array(8, [("uid", who)], lambda e: w.align(8).string(e[0]).signature("u").number("I", e[1]))
    return Connection().call("AuthenticationAgentResponse2", "us(sa{sv})", w.data, **AUTHORITY).error


@test("an administrator who authenticates may: polkit asks the session's agent, and the call waits without holding up anybody else",
      slow=True)
def authentication():
    readable, writable = os.pipe()
    uid = os.stat(home("alice")).st_uid

    def hold(agent, cookie):
        os.write(writable, cookie.encode() + b"\n")
        agent.bus.socket.settimeout(240)
        # polkit waits for the answer to BeginAuthentication, which comes when root has said that the password was right
        while not os.path.exists("/tmp/penstock-test-answered"):
            time.sleep(0.05)
        agent.bus.answer(agent.message)

    def forget():
        with contextlib.suppress(FileNotFoundError):
            os.unlink("/tmp/penstock-test-answered")

    forget()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(0)
            os.setpgid(0, 0)
            seen = as_user("alice", lambda: pause_with_agent(hold))
            os.write(writable, repr(seen).encode() + b"\n")
            status = 0
        finally:
            os._exit(status)
    with contextlib.suppress(ProcessLookupError):  # it may have done that, and ended
        os.setpgid(child, child)
    os.close(writable)
    try:
        with os.fdopen(readable) as f:
            cookie = f.readline().strip()
            expect(cookie, "the agent was asked")
            expect_equal(bus_property("Paused"), "false", "paused before the answer")
            run("--", "true").expect(0)  # alice's other calls, and everybody's, go on
            expect_equal(root_answers(cookie, uid), None, "the helper's answer")
            open("/tmp/penstock-test-answered", "w", encoding="ascii").close()
            seen = f.readline().strip()
        expect_equal(seen, "('org.penstock1.pause', None, '')", "the action that was asked about, and the call's answer")
        expect_equal(bus_property("Paused"), "true", "paused")
    finally:
        os.killpg(child, signal.SIGKILL)  # with what it forked, which waits without end when the test has failed
        os.waitpid(child, 0)
        forget()
        ctl("resume", user="root").expect(0)


def ask_and_leave():
    """As a caller whose agent never answers: five connections ask, and the process goes."""
    agent = Agent()
    callers = [Connection() for _ in range(5)]
    for c in callers[:4]:
        c.send("Pause", flags=INTERACTIVE)
    cookies = [agent.wait_until_asked()[1] for _ in range(4)]
    # Only now: the bus daemon takes what several connections have sent in any order.
    refused = [c.answer_to(c.send("Pause", flags=INTERACTIVE)) for c in callers[4:]]
    for c in callers[1:]:
        c.close()
    # The first is still there; the three that closed theirs are told of.
    canceled = [agent.bus.wait_for_call("CancelAuthentication") for _ in range(3)]
    return len(set(cookies)), [r.error for r in refused], len(canceled)


@test("a user whose agent never answers has so many questions open and no more, and one who leaves takes his along", slow=True)
def questions_without_end():
    before = daemon_pid()
    n_asked, refused, n_canceled = as_user("alice", ask_and_leave)
    expect_equal((n_asked, n_canceled), (4, 3), "what the agent was asked, and what was taken back when callers left")
    expect_equal(refused, ["org.penstock1.Error.QueueLengthExceeded"], "the fifth")
    run("--", "true").expect(0)
    # All are gone by now, so there is room again: an answer, and not "too many".
    wait_for(lambda: denied("alice", "pause"), "alice may ask again")
    expect_equal((bus_property("Paused"), daemon_pid()), ("false", before), "paused, and the PID of penstockd")


def polkit_pid():
    return min(cgroups.pids(f"{cgroups.ROOT}/system.slice/polkit.service"), default=0)


# As many as a user may have open, and one: that it is refused at once shows that the others have come to polkit. Each Ping is answered
# when the call before it has been taken.
ASK = """
import sys
sys.path.insert(0, sys.argv[1])
from lib.rawbus import Connection
many, serials = [Connection() for _ in range(5)], []
for c in many[:4]:
    serials.append(c.send("Pause"))
    c.call("Ping", interface="org.freedesktop.DBus.Peer")
print(many[4].call("Pause").error, flush=True)
for c, serial in zip(many, serials):
    print(c.answer_to(serial).message(), flush=True)
"""


def others_are_first():
    """Whether others are served before any of those who wait for polkit is refused, as they are in the end."""
    asking = Running(["python3", "-c", ASK, os.path.dirname(os.path.dirname(os.path.realpath(__file__)))], user="bob")
    first = wait_for(lambda: b"\n" in asking.out() and asking.out().decode(), "the questions are open")
    expect_equal(first, "org.penstock1.Error.QueueLengthExceeded\n", f"the answer to one question more ({asking.err().decode()[-600:]})")
    for user in ("alice", "bob", "root"):
        ctl("status", user=user).expect(0)
    run("--", "true").expect(0)
    run("--", "true", user="bob").expect(0)
    are_first = asking.out().decode() == first
    _, *answers = asking.wait_and_forget().expect(0).text.splitlines()
    expect_equal(len(answers), 4, f"the refusals: {answers}")
    for text in answers:
        expect_in("polkit did not answer for org.penstock1.pause within 25 s", text, "the refusal")
    return are_first


@test("while polkit hangs nobody waits but those who ask it, who are refused in the end", slow=True)
def polkit_hangs():
    denied("bob", "pause")  # it is started by that
    pid = polkit_pid()
    expect(pid, "polkit runs")
    os.kill(pid, signal.SIGSTOP)
    try:
        # More than once where all is so slow that polkit's time is up before a query has run.
        wait_for(others_are_first, "others are served while some wait for polkit", 400)
    finally:
        os.kill(pid, signal.SIGCONT)
    expect_equal(bus_property("Paused"), "false", "paused")


@test("without polkit all is for root, and a refusal says that polkit is not there", slow=True)
def without_polkit():
    system("systemctl", "mask", "--runtime", "--now", "polkit.service")
    try:
        done = denied("bob", "pause")
        expect(done, "pause by bob is refused")
        expect_in("polkit, which could allow org.penstock1.pause to others, is not there", done.errors, "the refusal")
        run("--", "true", user="carol").expect(125, "PermissionDenied", ["usermod", "is not there"])
        run("--", "true").expect(0)
        for verb in ("pause", "resume"):
            ctl(verb, user="root").expect(0)
    finally:
        system("systemctl", "unmask", "--runtime", "polkit.service")
    wait_for(lambda: "authenticate" in ctl("pause", user="bob").errors, "polkit is asked again")
