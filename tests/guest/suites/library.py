# SPDX-License-Identifier: LGPL-2.1-or-later
"""libpenstock as another program uses it: what is installed is enough to compile and run the examples of docs/client.md."""

import os
import re
import shutil
import tempfile

from lib.examples import compiled, orders, program_of, run_example
from lib.harness import expect, expect_equal, expect_in, test
from lib.service import DROP_IN, Gated, Running, bus_property, identity, list_queries, reload_daemon, system, write_drop_in

LIBRARY = "libpenstock.so.0"


def queries_of_alice():
    return [q["id"] for q in list_queries() if q["user_id"] == identity("alice")["user"]]


@test("the blocking example of docs/client.md compiles with pkg-config alone, runs a query and prints its result and peak", slow=True)
def blocking():
    with orders(7), compiled(0) as program:
        before = queries_of_alice()
        done = run_example(program).expect(0)
        expect_equal(done.text, "7\n", "its output")
        peak = re.fullmatch(r"peak: (\d+) bytes\n", done.errors)
        expect(peak and int(peak[1]) > 0, f"the peak on stderr: {done}")
        expect_equal(queries_of_alice(), before, "queries that are there afterwards")


@test("the event loop example of docs/client.md compiles with pkg-config alone, sees each state and the final statistics", slow=True)
def with_loop():
    with orders(9), compiled(1) as program:
        before = queries_of_alice()
        done = run_example(program).expect(0)
        expect_equal(done.text, "9\n", "its output")
        states = re.findall(r"^state: ([a-z]+)$", done.errors, flags=re.M)
        expect(states and states[-1] == "finished", f"the states: {done}")
        expect_in("CPU time: ", done.errors, "the final statistics")
        expect_equal(queries_of_alice(), before, "queries that are there afterwards")


@test("both examples tell a failed query by its name and sentence, and end with a status that is not 0", slow=True)
def failure():
    for number in range(2):
        with compiled(number) as program:  # there is no database
            done = run_example(program)
            expect_in("InvalidArgument: ", done.errors, f"example {number}")
            expect_in("database", done.errors, f"example {number}")
    # One that may not submit is told so by the call itself.
    with compiled(1) as program:
        done = Running([program], user="carol").wait().expect(1)
        expect_in("PermissionDenied: ", done.errors, "the refusal")


@test("what is installed of libpenstock is a header, a versioned shared library and its pkg-config file, and they agree", slow=True)
def installed():
    for name, wanted in (("--libs", "-lpenstock"), ("--variable=includedir", "/usr/include")):
        text = system("pkg-config", name, "libpenstock").text.strip()
        expect_equal(text, wanted, f"pkg-config {name}")
    version = system("pkg-config", "--modversion", "libpenstock").text.strip()
    expect_in(version, system("penstockctl", "--version").text, "penstockctl --version")
    with compiled(0) as program:
        linked = system("ldd", program).text
        expect_in(f"{LIBRARY} => /", linked, "the library by its soname")
        needed = system("readelf", "--version-info", program).text
        expect_in("LIBPENSTOCK_0", needed, "the symbol version that the program asks for")


@test("penstock.h stands alone: a strict C99 program that includes nothing else compiles and links")
def header_alone():
    directory = tempfile.mkdtemp(prefix="penstock-example.", dir="/var/tmp")
    try:
        with open(f"{directory}/a.c", "w", encoding="ascii") as f:
            f.write("#include <penstock.h>\nint main(void) { return penstock_client_free(0) != 0; }\n")
        flags = system("pkg-config", "--cflags", "--libs", "libpenstock").text.split()
        system("cc", "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-o", f"{directory}/a", f"{directory}/a.c", *flags)
        system(f"{directory}/a")
    finally:
        shutil.rmtree(directory)


ADMINISTRATOR = r"""
#include <penstock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char *argv[]) {
        PenstockClient *c = NULL;
        PenstockError e = {0};
        PenstockInfo **list;
        uint64_t used, unused;
        size_t n;
        char *text;
        int r = penstock_client_new(&c, &e);

        for (int i = 1; i < argc && r >= 0; i++)
                if (strcmp(argv[i], "pause") == 0)
                        r = penstock_client_pause(c, &e);
                else if (strcmp(argv[i], "resume") == 0)
                        r = penstock_client_resume(c, &e);
                else if (strcmp(argv[i], "reload") == 0)
                        r = penstock_client_reload(c, &e);
                else if (strcmp(argv[i], "memory") == 0) {
                        r = penstock_client_memory(c, &used, &unused, &e);
                        if (r >= 0)
                                printf("%llu %llu\n", (unsigned long long) used, (unsigned long long) unused);
                } else if (strcmp(argv[i], "list") == 0) {
                        r = penstock_client_list(c, &list, &n, &e);
                        for (size_t k = 0; r >= 0 && k < n; k++) {
                                uint64_t id = 0;
                                (void) penstock_info_get_u64(list[k], "id", &id);
                                printf("%llu\n", (unsigned long long) id);
                        }
                        if (r >= 0)
                                penstock_info_list_free(list, n);
                } else if (strcmp(argv[i], "metrics") == 0) {
                        r = penstock_client_metrics(c, &text, &e);
                        if (r >= 0) {
                                fputs(text, stdout);
                                free(text);
                        }
                }
        if (r < 0)
                printf("%d %s: %s\n", r, e.name, e.message);
        penstock_client_free(c);
        return r < 0;
}
"""


@test("pause, resume, reload, memory, list and metrics in C do and say what the D-Bus calls do; others than root are refused",
      slow=True)
def administration():
    with program_of(ADMINISTRATOR, ["libpenstock"]) as program:
        def call(*words, user="root"):
            return Running([program, *words], user=user, cwd="/").wait_and_forget()

        query = Gated()
        used, unused = map(int, call("memory").expect(0).text.split())
        expect_equal((used, unused), (int(bus_property("UsedMemoryBytes")), int(bus_property("UnusedMemoryBytes"))), "memory")
        expect_equal(list(map(int, call("list").expect(0).text.split())), [q["id"] for q in list_queries()], "the list")
        expect_in("penstock_executing_active 1\n", call("metrics").expect(0).text, "the metrics")
        query.go()
        query.wait().expect(0)
        call("pause").expect(0)
        expect_equal(bus_property("Paused"), "true", "Paused after pause")
        call("resume").expect(0)
        expect_equal(bus_property("Paused"), "false", "Paused after resume")
        write_drop_in({"QueueSize": "11"})
        try:
            call("reload").expect(0)
            expect_equal(bus_property("QueueSize"), "11", "QueueSize after reload")
            write_drop_in({"QueueSize": "many"})
            expect_in("InvalidArgument: ", call("reload").expect(1).text, "a bad reload")
        finally:
            os.unlink(DROP_IN)
            reload_daemon()
        for verb in ("pause", "resume", "reload"):
            expect_in("PermissionDenied: ", call(verb, user="alice").expect(1).text, f"{verb} by alice")
