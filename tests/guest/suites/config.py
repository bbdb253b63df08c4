# SPDX-License-Identifier: LGPL-2.1-or-later
"""The configuration as an operator meets it: where values come from, how sizes are written, what a reload changes under
queries that run, and what no limit means."""

import contextlib
import json
import os
import re

from lib import cgroups
from lib.harness import expect, expect_equal, expect_in, test, wait_for
from lib.service import (
    DROP_IN, MIB, Gated, bus_property, configured, ctl, ctl_json, ctl_start, reload_daemon, run, status, system,
    write_drop_in,
)

SOURCE = "/usr/src/penstock/source"
INFINITY = 2**64 - 1


def ram_bytes():
    with open("/proc/meminfo", encoding="ascii") as f:
        return int(re.search(r"^MemTotal:\s+(\d+) kB", f.read(), flags=re.M)[1]) * 1024


def shown():
    """What `config show --json` says would be in force."""
    return json.loads(ctl("config", "show", "--json", user="root").expect(0).text)


@contextlib.contextmanager
def files(**texts):
    """Configuration files for the time of a test: PLACE_NAME (etc_10, run_20) to their text."""
    paths = {}
    for name, text in texts.items():
        place, number = name.split("_")
        directory = {"etc": "/etc", "run": "/run", "lib": "/usr/lib"}[place] + "/penstock/penstock.conf.d"
        os.makedirs(directory, exist_ok=True)
        paths[f"{directory}/{number}-test.conf"] = text
    try:
        for path, text in paths.items():
            with open(path, "w", encoding="ascii") as f:
                f.write(text)
        yield list(paths)
    finally:
        for path in paths:
            os.unlink(path)


@test("drop-ins of /usr/lib, /run and /etc are read in the order of their names, the last wins, and config show tells which")
def drop_ins():
    before = shown()
    with files(
        lib_10="[Controller]\nQueueSize=10\nWarmUnits=1\nMaxQueriesPerUser=11\n",
        run_20="[Controller]\nQueueSize=20\nMaxQueriesPerUser=12\n",
        etc_15="[Controller]\n\nQueueSize=15\n",
    ):
        seen = shown()
        text = ctl("config", "show", user="root").expect(0).text
        # Others can't look into /run/penstock, and are told.
        others = ctl("config", "show").expect(0)
    expect_in("\nQueueSize=15\n", others.text, "config show of alice")
    expect_in("warning: /run/penstock is closed", others.errors, "what alice is told")
    for key, value, origin in (
        ("QueueSize", "20", "/run/penstock/penstock.conf.d/20-test.conf:2"),
        ("MaxQueriesPerUser", "12", "/run/penstock/penstock.conf.d/20-test.conf:3"),
        ("WarmUnits", "1", "/usr/lib/penstock/penstock.conf.d/10-test.conf:3"),
    ):
        expect_equal((seen[key]["value"], seen[key]["origin"]), (value, origin), key)
        expect_in(f"# {origin}\n{key}={value}\n", text, "config show")
    expect_equal(shown(), before, "the values when the files are gone")


@test("of drop-ins with one name only that of the first place counts, and a link to /dev/null hides all of them")
def same_name():
    with files(lib_10="[Controller]\nQueueSize=10\n", etc_10="[Controller]\nWarmUnits=3\n") as paths:
        seen = shown()
        expect_equal((seen["QueueSize"]["value"], seen["WarmUnits"]["value"]), ("64", "3"), "QueueSize and WarmUnits")
        os.unlink(paths[1])
        os.symlink("/dev/null", paths[1])
        seen = shown()
        expect_equal((seen["QueueSize"]["value"], seen["WarmUnits"]["value"]), ("64", "2"), "QueueSize and WarmUnits")


@test("a percentage is of the host's memory, and the budget on the bus is that number in whole pages")
def percent():
    with configured(MaxMemoryBytes="40%", ReserveMemoryBytes="20%"):
        # The kernel's MemTotal may be told in another unit than the service reads it; a page of each hundredth is enough.
        wanted = ram_bytes() * 40 // 100
        seen = int(bus_property("MaxMemoryBytes"))
        expect(abs(seen - wanted) <= 4096 and seen % 4096 == 0, f"MaxMemoryBytes: {seen}, 40 % of RAM is {wanted}")
        expect_equal(shown()["MaxMemoryBytes"]["number"], seen, "what config show says")
        expect(abs(int(bus_property("ReserveMemoryBytes")) - ram_bytes() // 5) <= 4096, "ReserveMemoryBytes")
    with files(etc_95="[Controller]\nMaxMemoryBytes=95%\n") as paths:
        done = ctl("config", "check", user="root")
        for word in (f"{paths[0]}:2", "MaxMemoryBytes=", "ReserveMemoryBytes", "AllowOvercommit=yes"):
            expect_in(word, done.text + done.errors, "a budget that leaves no reserve")
        expect(done.status != 0, "it is refused")


def spellings():
    """Rows of docs/configuration.md's table of spellings: the text, and its bytes (None: refused)."""
    with open(f"{SOURCE}/docs/configuration.md", encoding="utf-8") as f:
        rows = re.findall(r"^\| `([^`]*)` \| (refused|infinity|[0-9]+( % of the host's memory)?) \|", f.read(), flags=re.M)
    expect(len(rows) > 25, f"the table is there: {rows}")
    for text, value, percent_of in rows:
        if percent_of:
            # As the reader computes it: the whole percents, then what is left.
            number = int(value.split()[0])
            yield text, ram_bytes() // 100 * number + ram_bytes() % 100 * number // 100
        else:
            yield text, {"refused": None, "infinity": INFINITY}.get(value) if not value.isdigit() else int(value)


@test("each spelling of a size in the docs is accepted in a file with its byte count shown, or refused with key, value and rule",
      slow=True)
def sizes_in_files():
    for text, wanted in spellings():
        with files(etc_99=f"[Controller]\nResultsMaxBytes={text}\n") as paths:
            done = ctl("config", "check", user="root")
            if wanted is None:
                expect(done.status != 0, f"{text!r} is refused in a file: {done}")
                for word in (f"{paths[0]}:2: ResultsMaxBytes={text.strip()} is refused", "a size"):
                    expect_in(word, done.text + done.errors, f"what is said of {text!r}")
                continue
            expect(done.status == 0, f"{text!r} is taken in a file: {done}")
            seen = shown()["ResultsMaxBytes"]
            expect_equal(seen["number"], None if wanted == INFINITY else wanted, f"the bytes of {text!r}")
            if wanted != INFINITY:
                expect_in(f"{wanted} bytes\nResultsMaxBytes=", ctl("config", "show").text, f"config show of {text!r}")


@test("the same spellings mean the same for --memory-max, or are refused with option, value and rule", slow=True)
def sizes_on_the_command_line():
    with configured(MaxMemoryBytes="infinity", MemoryBytesQuotaPerQuery="infinity", AllowOvercommit="yes",
                    InitialMemoryBytesQuotaPerQuery="1M"):
        ctl("pause", user="root", cwd="/").expect(0)  # none is to run
        try:
            for text, wanted in spellings():
                check_on_command_line(text, wanted)
        finally:
            ctl("resume", user="root", cwd="/").expect(0)


def check_on_command_line(text, wanted):
    if wanted is None or wanted == 0 or "%" in text:
        done = ctl("submit", f"--memory-max={text}", "--", "true").expect(2, "InvalidArgument")
        for word in ("--memory-max", f"'{text}'", "a size"):
            expect_in(word, done.errors, f"what is said of {text!r}")
        return
    done = ctl("submit", "--json", f"--memory-max={text}", "--", "true")
    if wanted < MIB:
        # Read well, and then too little for the service, which names its own key and the smallest.
        done.expect(1, "InvalidArgument", ["memory_max_bytes", "1048576"])
        return
    query_id = json.loads(done.expect(0).text)["id"]
    seen = ctl_json("show", str(query_id))["memory_max_bytes"]
    # memory.max counts in pages.
    expect_equal(seen, None if wanted == INFINITY else wanted - wanted % 4096, f"memory_max_bytes of {text!r}")
    ctl("done", str(query_id)).expect(0)


HOLD = "b=bytearray({0}<<20); print('got', flush=True); sys.stdin.readline()"


@test("a smaller budget kills nobody: what is held stays, nothing is granted until it fits, and then all goes on", slow=True)
def smaller_budget():
    with configured(MaxMemoryBytes="1G", MemoryBytesQuotaPerQuery="512M"):
        first, second = Gated(HOLD.format(300)), Gated(HOLD.format(150))
        first.go()
        first.wait_for_output(b"got\n")
        held = cgroups.limit(first.group)
        expect_equal(held, 512 * MIB, "the first query's quota")
        write_drop_in({"MaxMemoryBytes": "512M", "MemoryBytesQuotaPerQuery": "512M"})
        reload_daemon()
        # 512M and 64M are held, of 512M.
        expect_equal(int(bus_property("UnusedMemoryBytes")), 0, "unused memory while more is held than the budget has")
        second.go()
        wait_for(lambda: cgroups.read(f"{second.group}/cgroup.freeze") == "1\n", "the second waits, frozen, for a raise")
        expect_in("MaxMemoryBytes", ctl("why", str(second.id)).expect(0).text, "what the second waits for")
        third = ctl_start("run", "--", "echo", "third")
        wait_for(lambda: status()["queueing"] == 1, "the third waits for its start")
        expect_in("MaxMemoryBytes", ctl("why", str(waiting_id())).expect(0).text, "what the third waits for")
        # The first may give back what it does not need, since others wait for it; not a byte is granted.
        meanwhile = [cgroups.limit(q.group) for q in (first, second)]
        expect(300 * MIB <= meanwhile[0] <= held and meanwhile[1] == 64 * MIB, f"the limits meanwhile: {meanwhile}")
        first.go()
        first.wait().expect(0)
        second.wait_for_output(b"got\n")
        expect_equal(third.wait().expect(0).text, "third\n", "the third's output")
        second.go()
        second.wait().expect(0)
        # A page of an ended one counts until its unit is gone.
        wait_for(lambda: int(bus_property("UsedMemoryBytes")) == 4 * 64 * MIB, "used memory is that of the slots at the end")


@test("a smaller ConcurrencyQuota kills nobody: the next starts when fewer than that execute; a larger one starts it at once",
      slow=True)
def smaller_concurrency():
    running = [Gated() for _ in range(3)]
    with configured(ConcurrencyQuota="2"):
        expect_equal(status()["executing"], 3, "queries that execute after the reload")
        waiting = ctl_start("run", "--", "echo", "ran")
        wait_for(lambda: status()["queueing"] == 1, "the next one waits")
        expect_in("ConcurrencyQuota", ctl("why", str(waiting_id())).text, "what it waits for")
        running[0].go()
        running[0].wait().expect(0)
        wait_for(lambda: status()["executing"] == 2, "one has left")
        expect_equal(status()["queueing"], 1, "queries that wait while 2 of 2 execute")
        running[1].go()
        running[1].wait().expect(0)
        expect_equal(waiting.wait().expect(0).text, "ran\n", "the output of the one that waited")
        more = Gated()
        last = ctl_start("run", "--", "echo", "ran too")
        wait_for(lambda: status()["queueing"] == 1, "the next one waits")
    # The drop-in is gone: 4 may execute again.
    expect_equal(last.wait().expect(0).text, "ran too\n", "its output")
    for q in (running[2], more):
        q.go()
        q.wait().expect(0)


def waiting_id():
    return [q["id"] for q in ctl_json("list", user="root") if q["state"] == "queueing"][0]


@test("a smaller MemoryBytesQuotaPerQuery leaves the maximum of queries that were admitted before, and holds for the next", slow=True)
def smaller_maximum():
    q = Gated(HOLD.format(300))
    with configured(MemoryBytesQuotaPerQuery="256M"):
        run("--memory-max", "300M", "--", "true").expect(125, "InvalidArgument", ["MemoryBytesQuotaPerQuery"])
        q.go()
        q.wait_for_output(b"got\n")
        expect(cgroups.limit(q.group) > 300 * MIB, "it got more than the new maximum")
        run("--", "python3", "-c", "b=bytearray(300<<20)").expect(137, "MemoryLimitExceeded")
        q.go()
        q.wait().expect(0)


def controller_values():
    text = system("busctl", "--json=short", "call", "org.penstock1", "/org/penstock1", "org.freedesktop.DBus.Properties",
                  "GetAll", "s", "org.penstock1.Controller").text
    return json.loads(text)["data"][0]


@test("a reload with a bad value changes no value at all, also none that stands before it in the file", slow=True)
def bad_reload():
    before = controller_values()
    for bad in ("MaxMemoryBytes=64Q", "QueueSize=-1", "ExhaustionPolicy=maybe", "ExecutorDependencies=nowhere", "garbage",
                "InitialMemoryBytesQuotaPerQuery=2G"):
        with files(etc_90=f"[Controller]\nQueueSize=7\nCancelGraceSec=1\n{bad}\n") as paths:
            done = system("busctl", "call", "org.penstock1", "/org/penstock1", "org.penstock1.Controller", "Reload", check=False)
            expect(done.status != 0, f"{bad} is refused: {done}")
            expect_in(f"{paths[0]}:4: ", done.errors, f"what is said of {bad}")
            expect_in(bad.split("=")[0] if "=" in bad else "KEY=VALUE", done.errors, f"what is said of {bad}")
        expect_equal(controller_values(), before, f"all values after {bad}")
    expect_equal(run("--", "echo", "serves").expect(0).text, "serves\n", "a query afterwards")


@test("an unlimited ConcurrencyQuota admits no queue and no limited budget, and says which key to change")
def unlimited_rules():
    for keys, words in (
        ({"ConcurrencyQuota": "infinity", "QueueSize": "5"}, ("QueueSize=5", "ConcurrencyQuota=infinity")),
        ({"ConcurrencyQuota": "infinity", "MaxMemoryBytes": "1G"}, ("MaxMemoryBytes", "ConcurrencyQuota=infinity")),
        ({"ConcurrencyQuota": "infinity"}, ("MaxMemoryBytes=infinity", "AllowOvercommit=yes")),
        ({"MaxMemoryBytes": "infinity"}, ("MaxMemoryBytes=infinity", "AllowOvercommit=yes")),
    ):
        write_drop_in(keys)
        try:
            done = ctl("config", "check", user="root")
        finally:
            os.unlink(DROP_IN)
        expect(done.status != 0, f"{keys} is refused: {done}")
        for word in (DROP_IN, *words):
            expect_in(word, done.text + done.errors, f"what is said of {keys}")


@test("with ConcurrencyQuota, MaxMemoryBytes and MemoryBytesQuotaPerQuery unlimited, any number runs, each grows, none waits",
      slow=True)
def unlimited():
    with configured(ConcurrencyQuota="infinity", MaxMemoryBytes="infinity", AllowOvercommit="yes",
                    MemoryBytesQuotaPerQuery="infinity", MaxQueriesPerUser="infinity"):
        queries = [Gated() for _ in range(6)]  # more than the shipped 4
        seen = status()
        expect_equal((seen["executing"], seen["queueing"]), (6, 0), "queries that execute and wait")
        expect_equal((seen["max_memory_bytes"], seen["concurrency_quota"]), (None, None), "the limits in status")
        big = Gated(HOLD.format(200))
        big.go()
        big.wait_for_output(b"got\n")
        expect(cgroups.limit(big.group) > 200 * MIB, "it grew")
        for q in [*queries, big]:
            q.go()
            q.wait().expect(0)
