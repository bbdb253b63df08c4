#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A linter that never complains proves nothing: break each rule in a small tree, and see it found."""
import contextlib
import io
import os
import sys
import tempfile

import check_layers

SPDX_C = "/* SPDX-License-Identifier: LGPL-2.1-or-later */\n"
SPDX_HASH = "# SPDX-License-Identifier: LGPL-2.1-or-later\n"

CLEAN = {
    "src/core/a.c": SPDX_C + '#include <string.h>\n#include "core/b.h"\n\n'
                             "/* time() and printf() in a comment; stdout too */\n"
                             'static const char *text(void) {\n        return "open(stdout)";\n}\n\n'
                             "int run_time(const char *s) {\n        return snprintf(0, 0, text(), s->time(1));\n}\n",
    "src/core/b.h": SPDX_C + "#pragma once\n",
    "src/host/h.c": SPDX_C + '#include <fcntl.h>\n#include <systemd/sd-bus.h>\n#include <systemd/sd-event.h>\n'
                             '#include "core/b.h"\n#include "host/h.h"\n#include "worker/protocol.h"\n',
    "src/worker/w.c": SPDX_C + '#include <unistd.h>\n#include "core/base.h"\n#include "worker/w.h"\n',
    "src/ctl/c.c": SPDX_C + '#include <jansson.h>\n#include "penstock.h"\n#include "core/base.h"\n#include "ctl/c.h"\n',
    "src/client/c.c": SPDX_C + '#include "penstock.h"\n#include "client/c.h"\n',
    "src/sim/s.c": SPDX_C + '#include "core/engine.h"\n#include "sim/s.h"\n',
    "include/penstock.h": SPDX_C + "#include <stdint.h>\n#include <systemd/sd-event.h>\n",
    "tests/unit/meson.build": SPDX_HASH,
}


def function_of(lines):
    return SPDX_C + "static int f(int a,\n             int b) {\n" + "        a++;\n" * (lines - 3) + "}\n"


def array_of(lines):
    return SPDX_C + "static const int v[] = {\n" + "        (1),\n" * (lines - 2) + "};\n"


# (what, path, text, a piece of the complaint; None: it must stay clean)
CASES = [
    ("core includes another room", "src/core/x.c", SPDX_C + '#include "host/cgroup.h"\n', "core may not look there"),
    ("core includes a library", "src/core/x.c", SPDX_C + "#include <systemd/sd-bus.h>\n", "does not use libsystemd"),
    ("core includes a system header", "src/core/x.c", SPDX_C + "#include <unistd.h>\n", "plain libc"),
    ("core asks for the time", "src/core/x.c", SPDX_C + "int f(void) {\n        return time(0);\n}\n", "time()"),
    ("core reads a clock", "src/core/x.c", SPDX_C + "int f(void) {\n  return clock_gettime (1, 0);\n}\n",
     "clock_gettime()"),
    ("core opens a file", "src/core/x.c", SPDX_C + 'int f(void) {\n        return open("x", 0);\n}\n', "open()"),
    ("core prints", "src/core/x.c", SPDX_C + 'void f(void) {\n        printf("x");\n}\n', "printf()"),
    ("core writes to stderr", "src/core/x.c", SPDX_C + 'void f(void) {\n        fputs("x", stderr);\n}\n', "stderr"),
    ("core reads the environment", "src/core/x.c", SPDX_C + 'char *f(void) {\n  return getenv("X");\n}\n', "getenv()"),
    ("core throws dice", "src/core/x.c", SPDX_C + "int f(void) {\n        return rand();\n}\n", "rand()"),
    ("a memory stream that fclose() closes", "src/host/x.c",
     SPDX_C + "void f(void) {\n        fclose(open_memstream(0, 0));\n}\n", "memstream_close()"),
    ("a draw in MAX()", "src/host/x.c", SPDX_C + "int f(void) {\n        return MAX(3, 1 + random_between(0, 9));\n}\n",
     "random_between in MAX()"),
    ("a step in MIN()", "src/host/x.c", SPDX_C + "int f(int i) {\n        return MIN(g(i++), 9);\n}\n", "++ in MIN()"),
    ("a draw beside MIN()", "src/host/x.c", SPDX_C + "int f(int i) {\n        return MIN(g(i), 9) + random_between(0, 9);\n}\n", None),
    ("host uses two libraries in a file", "src/host/x.c", SPDX_C + "#include <libcgroup.h>\n#include <ini.h>\n",
     "one outside library a file"),
    ("host uses two libraries in two files", "src/host/x.c", SPDX_C + "#include <libcgroup.h>\n", None),
    ("host looks into the daemon", "src/host/x.c", SPDX_C + '#include "daemon/manager.h"\n', "may not look there"),
    ("worker uses a library", "src/worker/x.c", SPDX_C + "#include <systemd/sd-daemon.h>\n", "does not use libsystemd"),
    ("worker uses the engine", "src/worker/x.c", SPDX_C + '#include "core/engine.h"\n', "may not look there"),
    ("ctl looks into core", "src/ctl/x.c", SPDX_C + '#include "core/query.h"\n', "may not look there"),
    ("ctl looks into the client", "src/ctl/x.c", SPDX_C + '#include "client/internal.h"\n', "may not look there"),
    ("client looks into core", "src/client/x.c", SPDX_C + '#include "core/error.h"\n', "may not look there"),
    ("bus looks into the worker", "src/bus/x.c", SPDX_C + '#include "worker/protocol.h"\n', "may not look there"),
    ("bus looks into the daemon's own", "src/bus/x.c", SPDX_C + '#include "daemon/entry.h"\n', "may not look there"),
    ("sim uses the host", "src/sim/x.c", SPDX_C + '#include "host/cgroup.h"\n', "may not look there"),
    ("an include that is not rooted", "src/host/x.c", SPDX_C + '#include "cgroup.h"\n', "rooted at src/"),
    ("our own header in angles", "src/host/x.c", SPDX_C + "#include <core/base.h>\n", "with quotes"),
    ("a room without a rule", "src/attic/x.c", SPDX_C, "has no rule"),
    ("a public header that needs the source", "include/x.h", SPDX_C + '#include "core/base.h"\n', "public header"),
    ("a source without a licence", "src/core/x.c", "int x;\n", "SPDX"),
    ("a build file without a licence", "tests/unit/sub/meson.build", "x = 1\n", "SPDX"),
    ("a script without a suffix and a licence", "tools/x", "#!/bin/sh\ntrue\n", "SPDX"),
    ("a text that needs no licence line", "docs/x.md", "# x\n", None),
    ("a file of 450 lines", "src/host/x.c", SPDX_C + "int x;\n" * 449, "note:"),
    ("a file of 451 lines", "src/host/x.c", SPDX_C + "int x;\n" * 450, "451 lines"),
    ("a function of 60 lines", "src/host/x.c", function_of(60), None),
    ("a function of 80 lines", "src/host/x.c", function_of(80), "note:"),
    ("a function of 81 lines", "src/host/x.c", function_of(81), "f() has 81 lines"),
    ("a table of 100 lines", "src/host/x.c", array_of(100), None),
]


def check(files):
    with tempfile.TemporaryDirectory() as root:
        for name, text in files.items():
            path = os.path.join(root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            status = check_layers.main(["check_layers.py", root])
        return status, output.getvalue()


def main():
    failures = 0
    cases = [("a clean tree", None, None, None)] + CASES
    for what, path, text, complaint in cases:
        status, output = check(CLEAN | ({path: text} if path else {}))
        noted_only = complaint == "note:"
        expected = 0 if complaint is None or noted_only else 1
        found = complaint is None or complaint in output
        quiet = complaint is not None or "note:" not in output
        if status != expected or not found or not quiet:
            failures += 1
            print(f"FAILED: {what}: ended with {status}, expected {expected} and {complaint!r}\n{output}")
    print(f"layers-self: {len(cases) - failures} of {len(cases)} as expected")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
