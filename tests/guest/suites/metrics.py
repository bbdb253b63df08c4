# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is counted, who may read it, and Prometheus itself reading it."""

import contextlib
import http.client
import json
import os
import pwd
import re
import socket
import tempfile
import urllib.parse

from lib import cgroups
from lib.harness import expect, expect_equal, expect_in, note, test, wait_for
from lib.rawbus import Connection
from lib.service import (
    DAEMON,
    DROP_IN,
    Gated,
    Running,
    as_user,
    bus_property,
    configured,
    ctl,
    daemon_pid,
    run,
    system,
    unit_property,
    write_drop_in,
)

SOURCE = os.path.realpath(f"{os.path.dirname(__file__)}/../../..")
PORT = 17367
EXPORTER, EXPORTER_SOCKET = "penstock-exporter.service", "penstock-exporter.socket"
STATES = ("all", "compiling", "queueing", "executing")
ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
_LINE = re.compile(r'(\w+)(?:\{((?:\w+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)')
_LABEL = re.compile(r'(\w+)="((?:[^"\\\n]|\\["\\n])*)"')


def parse(text):
    """Each series, as its name and the set of its labels, with its value; a line that is none is an error."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        expect(match, f"a line of the text format: {line!r}")
        labels = {k: re.sub(r"\\.", lambda m: ESCAPES[m[0]], v) for k, v in _LABEL.findall(match[2] or "")}
        key = (match[1], frozenset(labels.items()))
        expect(key not in found, f"a series comes once: {line!r}")
        found[key] = float(match[3])
    return found


def metrics(user="carol"):
    """By penstockctl, as anyone may."""
    return parse(ctl("metrics", user=user).expect(0).text)


def value(name, seen=None, **labels):
    """0 when there is no such series yet: a counter that begins with its first count."""
    return (metrics() if seen is None else seen).get((f"penstock_{name}", frozenset(labels.items())), 0)


class Change:
    """How far counters have moved since the object was made."""

    def __init__(self):
        self.before = metrics()

    def expect(self, **wanted):
        """Wait until each has moved by so much (the text may be a moment old), and see that all RESULTS are as wanted."""
        names = {"success": 0, "compile_error": 0, "runtime_error": 0, "queue_error": 0} | {s: 0 for s in STATES} | wanted

        def moved():
            seen = metrics()
            return {n: self._now(n, seen) - self._now(n, self.before) for n in names}

        wait_for(lambda: moved() == names, f"the counters move by {names} ({moved()})")

    @staticmethod
    def _now(name, seen):
        if name in STATES:
            return value(f"{name}_duration_seconds_count", seen)
        return value("requests_total", seen, result=name)


def active(seen):
    return {(name, tuple(labels)): n for (name, labels), n in seen.items() if name.endswith("_active") and n != 0}


def expect_nothing_active():
    # units_active: PID 1 forgets a unit a little later
    wait_for(lambda: not active(metrics()), f"every gauge of what is active is zero ({active(metrics())})")


@test("success, compile error, runtime error and queue error each end in the right counter and duration histogram", slow=True)
def results():
    change = Change()
    run("--language", "shell", "true").expect(0)
    change.expect(success=1, all=1, compiling=1, queueing=1, executing=1)
    change = Change()
    run("--language", "shell", "if").expect(125, "CompilationFailed")
    change.expect(compile_error=1, all=1, compiling=1)
    change = Change()
    run("--language", "shell", "exit 3").expect(3)
    change.expect(runtime_error=1, all=1, compiling=1, queueing=1, executing=1)
    change = Change()
    run("--", "true").expect(0)
    change.expect(success=1, all=1, queueing=1, executing=1)  # exec has no compile step
    expect_nothing_active()


@test("a full queue and a queue timeout are queue errors; a query that was never let in has no duration", slow=True)
def queue_errors():
    with configured(ConcurrencyQuota=1, QueueSize=1, MaxMemoryBytes="512M"):
        q = Gated()
        change = Change()
        run("--queue-timeout", "100ms", "--", "true").expect(124, "QueueTimeout")
        change.expect(queue_error=1, all=1, queueing=1)
        change = Change()
        waiting = Running(["penstockctl", "run", "--", "true"])
        wait_for(lambda: value("queueing_active") == 1, "one waits")
        expect_equal(value("executing_active"), 1, "executing")
        expect_equal(value("all_active"), 2, "all")
        run("--", "true").expect(125, "QueueLengthExceeded")
        change.expect(queue_error=1)
        q.go()
        q.wait().expect(0)
        waiting.wait().expect(0)
        change.expect(queue_error=1, success=2, all=2, queueing=2, executing=2)
    expect_nothing_active()


@test("a canceled query counts by the state that it left, and each death by its verdict", slow=True)
def deaths():
    change, before = Change(), metrics()
    q = Gated()
    ctl("cancel", str(q.id)).expect(0)
    q.run.wait().expect(125, "Canceled")
    change.expect(runtime_error=1, all=1, queueing=1, executing=1)
    run("--memory-max", "128M", "--language", "python", "b = bytearray(400 << 20)").expect(137, "MemoryLimitExceeded")
    for verdict in ("cancel", "maximum"):
        wanted = value("deaths_total", before, verdict=verdict) + 1
        wait_for(lambda: value("deaths_total", verdict=verdict) == wanted, f"the verdict {verdict} is counted")
    expect_nothing_active()


@test("a raise counts once with its latency, memory gauges add up to the budget, units and PID 1 are timed", slow=True)
def growth():
    before = metrics()
    q = Gated("b=bytearray(300<<20); print('got', flush=True); sys.stdin.readline()")
    q.go()
    q.wait_for_output(b"got\n")
    expected = int(bus_property("UnusedMemoryBytes"))
    wait_for(lambda: value("memory_unused_bytes") == expected, "unused memory is that of the property")
    seen = metrics()
    used, total = value("memory_used_bytes", seen), value("memory_max_bytes", seen)
    expect_equal(used + expected, total, "used and unused together")
    expect_equal(total, int(bus_property("MaxMemoryBytes")), "the budget")
    expect_equal(value("memory_quota_bytes", seen), cgroups.limit(q.group), "the sum of quotas, of one query")
    raises = value("raises_total", seen) - value("raises_total", before)
    expect(raises >= 1, f"there were raises: {raises}")
    for name, wanted in (("raise_latency_seconds_count", raises), ("unit_start_seconds_count", 1)):
        expect_equal(value(name, seen) - value(name, before), wanted, name)
    expect(value("systemd_answer_seconds_count", seen) > value("systemd_answer_seconds_count", before), "PID 1 was asked")
    expect_equal(value("units_active", seen), 1, "units")
    q.go()
    q.wait().expect(0)
    expect_nothing_active()


@contextlib.contextmanager
def label_keys(keys):
    """MetricLabelKeys counts from a start on."""
    write_drop_in({"MetricLabelKeys": keys})
    system("systemctl", "restart", DAEMON)
    try:
        yield
    finally:
        os.unlink(DROP_IN)
        system("systemctl", "restart", DAEMON)


def by_label(result="success"):
    return {
        (dict(labels)["team"], dict(labels)["site"]): n
        for (name, labels), n in metrics().items()
        if name == "penstock_requests_total" and dict(labels)["result"] == result and n
    }


def refused_with_labels(count):
    """COUNT requests past penstockctl, each with a team of its own; nothing is started for them."""
    c = Connection()
    names = set()
    for i in range(count):
        pairs = [("language", "s", "shell"), ("query", "s", "true"), ("working_directory", "s", "/")]
        names.add(c.query([*pairs, ("labels", "a{ss}", [("team", f"t{i}")])]).error)
    return names


@test("MetricLabelKeys label every series by the request's labels: empty when absent, capped with other, kept by a reload", slow=True)
def labels():
    with label_keys("team site"):
        odd = 'a"b\\c\nd'
        run("--label", "team=ads", "--label", "other_key=x", "--", "true").expect(0)
        run("--label", "team=ads", "--label", "site=ber", "--", "true").expect(0)
        run("--label", f"team={odd}", "--", "true").expect(0)
        run("--", "true").expect(0)
        wanted = {("ads", ""): 1, ("ads", "ber"): 1, (odd, ""): 1, ("", ""): 1}
        wait_for(lambda: by_label() == wanted, f"each is counted under its labels ({by_label()})")
        for name, keys in metrics():
            expect({"team", "site"} <= {k for k, _ in keys}, f"{name} carries the keys: {sorted(keys)}")
        with configured(MetricLabelKeys="team site", ConcurrencyQuota=1, QueueSize=0, MaxMemoryBytes="512M"):
            expect_equal(by_label(), wanted, "the counts after a reload")
            q = Gated()
            errors = as_user("alice", lambda: refused_with_labels(80))
            expect_equal(errors, {"org.penstock1.Error.QueueLengthExceeded"}, "what was answered")
            q.go()
            q.wait().expect(0)
        write_drop_in({"MetricLabelKeys": "team site"})
        wait_for(lambda: sum(by_label("queue_error").values()) == 80, f"all are counted ({by_label('queue_error')})")
        seen = by_label("queue_error")
        expect(len(seen) < 80 and seen[("other", "other")] == 80 - len(seen) + 1, f"those beyond the cap are others: {seen}")
        expect_equal(seen[("t0", "")], 1, "one that came early")
        expect_nothing_active()


@test("a key that the metrics use themselves is refused, with file, line, key and rule")
def reserved_keys():
    write_drop_in({"MetricLabelKeys": "team result"})
    try:
        done = ctl("config", "check", user="root")
        expect(done.status != 0, f"it is refused: {done}")
        for word in (f"{DROP_IN}:2", "MetricLabelKeys=team result", "metrics' own labels"):
            expect_in(word, done.errors + done.text, "the message")
    finally:
        os.unlink(DROP_IN)


@contextlib.contextmanager
def exporter():
    system("systemctl", "start", EXPORTER_SOCKET)
    try:
        yield
    finally:
        system("systemctl", "stop", EXPORTER_SOCKET, EXPORTER)
        system("systemctl", "reset-failed", EXPORTER, check=False)


def ask(path="/metrics", method="GET", port=PORT):
    """Status, type and text of an answer."""
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        c.request(method, path)
        answer = c.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read().decode()
    finally:
        c.close()


@test("penstock-exporter is started by a scrape and gives what penstockctl does; other paths and methods are refused", slow=True)
def scrape():
    run("--", "true").expect(0)
    expect_nothing_active()
    with exporter():
        expect_equal(unit_property(EXPORTER, "ActiveState"), "inactive", "the exporter before")
        status, kind, text = ask()
        expect_equal((status, kind), (200, "text/plain; version=0.0.4; charset=utf-8"), "the answer")
        seen = parse(text)
        expect(seen.keys() == metrics().keys(), "the same series")
        for name, result in (("requests_total", "success"), ("requests_total", "queue_error")):
            expect_equal(value(name, seen, result=result), value(name, result=result), f"{name} {result}")
        expect_in('href="/metrics"', ask("/")[2], "the first page")
        expect_equal(ask("/metrics/../x")[0], 404, "another path")
        expect_equal(ask(method="POST")[0], 405, "another method")
        expect_equal(ask(method="HEAD")[2], "", "the body of HEAD")


@test("promtool check metrics finds nothing to say about the metrics, with and without labels", slow=True)
def promtool():
    def check():
        status, _, text = ask()
        expect_equal(status, 200, "the status")
        with tempfile.TemporaryFile() as f:
            f.write(text.encode())
            f.seek(0)
            done = Running(["promtool", "check", "metrics"], user="carol", stdin=f).wait()
        expect_equal((done.status, done.text, done.errors), (0, "", ""), "what promtool says")

    run("--language", "shell", "exit 3").expect(3)
    with exporter():
        check()
        with label_keys("team site"):
            run("--label", 'team=a"b\\c\nd', "--language", "shell", "if").expect(125)
            wait_for(lambda: value("requests_total", team='a"b\\c\nd', site="", result="compile_error"), "it is counted")
            check()


@test("each alert of docs/prometheus-alerts.yml comes when it should, and none from a host that does well, says promtool", slow=True)
def alerts():
    done = Running(["promtool", "test", "rules", f"{SOURCE}/tests/lint/alerts.yml"]).wait()
    expect_equal((done.status, done.errors), (0, ""), f"what promtool says ({done.text})")


@contextlib.contextmanager
def prometheus():
    """The real one, as an ordinary user; gives the port of its API."""
    user = pwd.getpwnam("carol")
    with tempfile.TemporaryDirectory(prefix="penstock-prometheus.") as path, socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
        s.close()
        os.chown(path, user.pw_uid, user.pw_gid)
        with open(f"{path}/prometheus.yml", "w", encoding="ascii") as f:
            f.write("global: {scrape_interval: 2s}\nscrape_configs:\n- job_name: penstock\n"
                    f"  static_configs: [{{targets: ['127.0.0.1:{PORT}']}}]\n")
        argv = ["prometheus", f"--config.file={path}/prometheus.yml", f"--storage.tsdb.path={path}/data",
                f"--web.listen-address=127.0.0.1:{port}"]
        process = Running(argv, user="carol", cwd=path)
        try:
            yield port, process
        finally:
            process.end()


def promql(port, process, query):
    """The value of an instant query with one result; None while there is none."""
    expect(process.is_running(), f"prometheus runs: {process.err()[-2000:]!r}")
    try:
        status, _, text = ask(f"/api/v1/query?query={urllib.parse.quote(query)}", port=port)
    except OSError:
        return None  # it does not listen yet
    if status != 200:
        return None
    found = json.loads(text)["data"]["result"]
    return float(found[0]["value"][1]) if len(found) == 1 else None


@test("a real Prometheus scrapes the exporter: up is 1, and its API gives the counts", slow=True)
def scraped_by_prometheus():
    with exporter(), prometheus() as (port, process):
        wait_for(lambda: promql(port, process, "up") == 1, "Prometheus says that the exporter is up", 300)
        query = 'penstock_requests_total{result="success"}'
        run("--", "true").expect(0)
        wanted = value("requests_total", result="success")
        wait_for(lambda: promql(port, process, query) == wanted, f"{query} is {wanted}")
        run("--", "true").expect(0)
        wait_for(lambda: promql(port, process, query) == wanted + 1, f"{query} is {wanted + 1}")
        name = "penstock_all_duration_seconds"
        count = promql(port, process, f"{name}_count")
        expect(count and count >= wanted, f"a histogram is one: {count}")
        expect(promql(port, process, f"histogram_quantile(0.5, {name}_bucket)"), "its quantile can be asked")
        system("systemctl", "stop", DAEMON)
        try:
            wait_for(lambda: promql(port, process, "up") == 0, "without penstockd it is down")
        finally:
            system("systemctl", "start", DAEMON)


def listeners(name):
    """Local addresses on which somebody listens for TCP, as the kernel writes them."""
    with open(f"/proc/net/{name}", encoding="ascii") as f:
        rows = [line.split() for line in f.readlines()[1:]]
    return {row[1] for row in rows if row[3] == "0A" and int(row[1].rsplit(":", 1)[1], 16) == PORT}


@test("the exporter is not root, has no capability and no network, and listens on loopback alone", slow=True)
def unprivileged():
    with exporter():
        expect_equal(listeners("tcp"), {f"0100007F:{PORT:04X}"}, "where it listens")
        if os.path.exists("/proc/net/tcp6"):
            expect_equal(listeners("tcp6"), set(), "where else it listens")
        expect_equal(ask()[0], 200, "a scrape")
        pid = unit_property(EXPORTER, "MainPID")
        status = dict(line.split(":\t", 1) for line in cgroups.read(f"/proc/{pid}/status").splitlines())
        uids, gids = status["Uid"].split(), status["Gid"].split()
        expect("0" not in uids + gids + status["Groups"].split(), f"its users and groups: {uids} {gids} {status['Groups']}")
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            expect_equal(int(status[name], 16), 0, name)
        expect_equal(status["NoNewPrivs"], "1", "NoNewPrivs")
        expect(os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/1/ns/net"), "it has a network of its own")
        expect_equal(len(cgroups.pids(f"{cgroups.ROOT}/system.slice/{EXPORTER}")), 1, "its processes")


@test("systemd-analyze security finds the exporter at most 1.5 exposed")
def exposure():
    text = system("systemd-analyze", "security", "--no-pager", EXPORTER).text
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", text)
    expect(found, f"the figure: {text[-500:]}")
    note(f"exposure of {EXPORTER}: {found[1]}")
    expect(float(found[1]) <= 1.5, f"{found[0]}\n{text}")


@test("without penstockd the exporter answers 503 with the reason, and does not start it", slow=True)
def without_daemon():
    with exporter():
        expect_equal(ask()[0], 200, "with penstockd")
        system("systemctl", "stop", DAEMON)
        try:
            status, _, text = ask()
            expect_equal((status, text), (503, "penstockd.service is not running\n"), "the answer")
            expect_equal(ask("/")[0], 200, "the first page")
            expect_equal((unit_property(DAEMON, "ActiveState"), daemon_pid()), ("inactive", 0), "penstockd")
        finally:
            system("systemctl", "start", DAEMON)
        expect_equal(ask()[0], 200, "with penstockd again")


@test("the exporter ends when nobody asks, and the next scrape starts it again", slow=True)
def ends_when_idle():
    with exporter():
        expect_equal(ask()[0], 200, "a scrape")
        first = unit_property(EXPORTER, "MainPID")
        wait_for(lambda: unit_property(EXPORTER, "ActiveState") == "inactive", "it has ended")
        expect_equal(unit_property(EXPORTER, "Result"), "success", "how")
        expect_equal(unit_property(EXPORTER_SOCKET, "ActiveState"), "active", "its socket")
        expect_equal(ask()[0], 200, "the next scrape")
        expect(unit_property(EXPORTER, "MainPID") not in ("0", first), "another process")
