#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Check the rules of the house: who may include whom, what core may call, how long things are, SPDX.

Usage: check_layers.py SOURCE_ROOT
Prints one line a fault (file:line: what, and the rule) and ends with 1 when there is any. Lines that start with
"note:" are soft limits: no fault, but worth a look.
"""
import os
import re
import sys

FILE_SOFT, FILE_HARD = 400, 450
FUNCTION_SOFT, FUNCTION_HARD = 60, 80

# What core may have of the system: libc, and of it nothing that reaches outside the process.
CORE_HEADERS = {
    "assert.h", "ctype.h", "errno.h", "inttypes.h", "limits.h", "signal.h", "stdarg.h", "stdbool.h", "stddef.h",
    "stdint.h", "stdio.h", "stdlib.h", "string.h", "sys/resource.h",
}
# No clock, no descriptor, no log, no environment, no chance, no process: else a step were no pure function. (fprintf() is
# not here: without fopen() and stdout there is only open_memstream() to write to.)
CORE_FORBIDDEN = (
    "time clock clock_gettime gettimeofday timerfd_create nanosleep usleep sleep "
    "open openat creat fopen fdopen read write close pread pwrite ioctl fcntl socket pipe pipe2 poll epoll_wait "
    "printf vprintf puts putchar perror syslog vsyslog "
    "getenv secure_getenv setenv putenv rand random srand srandom getrandom "
    "fork execve system popen kill raise signal sigaction exit _exit getpid getuid geteuid"
).split()
CORE_STREAMS = ("stdout", "stderr", "stdin")

# Headers of outside libraries, by their beginning. Whatever is neither of these nor ours is libc's or the kernel's.
LIBRARIES = {
    "systemd/": "libsystemd", "libcgroup": "libcgroup", "ini.h": "inih", "jansson": "jansson",
    "libsmartcols": "smartcols", "libsmartcols/": "smartcols", "curses.h": "ncurses", "sqlite3": "sqlite3", "microhttpd": "libmicrohttpd",
    "libmount": "libmount", "glib": "glib", "cmocka": "cmocka", "curl/": "curl", "zstd": "zstd", "cairo": "cairo", "nettle/": "nettle",
}

# A room's own headers are its own in any case. A name that ends in "/" is a whole room, else one header.
# "libraries": those that may be used at all; each file uses at most one of them.
ROOMS = {
    "core": {"rooms": [], "libraries": []},
    "host": {"rooms": ["core/", "worker/protocol.h", "worker/launch.h"],
             "libraries": ["libsystemd", "libcgroup", "inih", "jansson", "sqlite3", "nettle"]},
    "worker": {"rooms": ["core/base.h", "core/language.h", "core/request.h"], "libraries": []},
    "bus": {"rooms": ["core/", "host/", "daemon/manager.h"], "libraries": ["libsystemd"]},
    "daemon": {"rooms": ["core/", "host/", "bus/bus.h", "worker/launch.h"], "libraries": ["libsystemd"]},
    "client": {"rooms": ["penstock.h", "core/base.h"], "libraries": ["libsystemd"]},
    "ctl": {"rooms": ["penstock.h", "core/base.h"], "libraries": ["libsystemd", "jansson", "smartcols", "ncurses"]},
    "draw": {"rooms": ["core/base.h", "ctl/csv.h", "ctl/format.h", "ctl/picture_size.h"], "libraries": ["cairo"]},
    "exporter": {"rooms": ["penstock.h", "core/base.h"], "libraries": ["libsystemd", "libmicrohttpd"]},
    "sim": {"rooms": ["core/"], "libraries": []},
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
SPDX = "SPDX-License-Identifier: LGPL-2.1-or-later"
SOURCE_SUFFIXES = (".c", ".h", ".py", ".sh", ".xml", ".build")
SPDX_TREES = ("src", "include", "tests", "tools", "units", "docs")


class Report:
    def __init__(self):
        self.faults, self.notes = [], []

    def fault(self, where, line, text):
        self.faults.append(f"{where}:{line}: {text}")

    def note(self, where, line, text):
        self.notes.append(f"note: {where}:{line}: {text}")


def strip_code(text):
    """Blank out comments and the contents of strings, and keep every line where it is."""
    def blank(match):
        found = match.group(0)
        if found.startswith(("/*", "//")):
            return re.sub(r"[^\n]", " ", found)
        return found[0] + " " * (len(found) - 2) + found[-1]
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def library_of(header):
    for beginning, name in LIBRARIES.items():
        if header.startswith(beginning):
            return name
    return None


def check_include(report, where, line, room, quoted, header, used):
    rule = ROOMS[room]
    library = library_of(header)
    if library:
        used.add(library)
        if library not in rule["libraries"]:
            report.fault(where, line, f"<{header}>: {room} does not use {library}")
        elif len(used) > 1:
            report.fault(where, line, f"<{header}>: one outside library a file, this has {' and '.join(sorted(used))}")
        return
    if not quoted:
        if room == "core" and header not in CORE_HEADERS:
            report.fault(where, line, f"<{header}>: core includes plain libc only")
        if "/" in header and header.split("/")[0] in ROOMS:
            report.fault(where, line, f"<{header}>: our own headers are included with quotes")
        return
    if header.startswith(room + "/"):
        return
    if "/" not in header and header != "penstock.h":
        report.fault(where, line, f'"{header}": includes are rooted at src/ ("{room}/{header}")')
    elif not any(header == r or (r.endswith("/") and header.startswith(r)) for r in rule["rooms"]):
        report.fault(where, line, f'"{header}": {room} may not look there')


def check_core_calls(report, where, code):
    call = re.compile(r"(?<![\w.>])(" + "|".join(CORE_FORBIDDEN) + r")\s*\(")
    stream = re.compile(r"\b(" + "|".join(CORE_STREAMS) + r")\b")
    for number, line in enumerate(code.split("\n"), 1):
        for match in call.finditer(line):
            report.fault(where, number, f"{match.group(1)}(): core has no clock, descriptor, log or process")
        for match in stream.finditer(line):
            if not line.lstrip().startswith("#"):
                report.fault(where, number, f"{match.group(1)}: core prints nothing")


def check_min_and_max(report, where, code):
    """They evaluate an argument twice: what is drawn, read or written in it is another thing the second time."""
    effect = re.compile(r"\+\+|--|\b(random_\w+|\w*_between|skewed|perhaps|world_wake|read|read_\w+|getc\w*)\s*\(")
    for match in re.finditer(r"\b(MIN|MAX)\s*\(", code):
        depth, end = 1, match.end()
        while depth > 0 and end < len(code):
            depth += {"(": 1, ")": -1}.get(code[end], 0)
            end += 1
        found = effect.search(code, match.end(), end)
        if found:
            line = code.count("\n", 0, match.start()) + 1
            report.fault(where, line, f"{found[1] or found[0]} in {match[1]}(), which evaluates its arguments twice")


def functions(code):
    """Yield (name, first line, number of lines) of each function that is defined in @code."""
    depth, start, declaration = 0, None, ""
    for number, line in enumerate(code.split("\n"), 1):
        if line.lstrip().startswith("#"):
            continue
        for character in line:
            if character == "{":
                if depth == 0:
                    found = re.search(r"(\w+)\s*\([^{}]*\)[^=;{}]*$", declaration)
                    name = found.group(1) if found and "=" not in declaration else None
                depth += 1
            elif character == "}":
                depth -= 1
                if depth == 0:
                    if name:
                        yield name, start, number - start + 1
                    start, declaration = None, ""
                    continue
            if depth == 0:
                if character == ";":
                    start, declaration = None, ""
                elif start or not character.isspace():
                    start = start or number
                    declaration += character
        if depth == 0 and declaration:
            declaration += " "


def check_source(report, root, path):
    where = os.path.relpath(path, root)
    room = where.split(os.sep)[1]
    with open(path, encoding="utf-8") as f:
        text = f.read()
    lines = text.count("\n")
    if lines > FILE_HARD:
        report.fault(where, lines, f"{lines} lines: a file has at most {FILE_SOFT}")
    elif lines > FILE_SOFT:
        report.note(where, lines, f"{lines} lines, the aim is {FILE_SOFT}")
    if room not in ROOMS:
        report.fault(where, 1, f"the room {room}/ has no rule in {os.path.basename(__file__)}")
        return
    used = set()
    for number, line in enumerate(text.split("\n"), 1):
        match = INCLUDE.match(line)
        if match:
            check_include(report, where, number, room, match.group(1) == '"', match.group(2), used)
    code = strip_code(text)
    if room == "core":
        check_core_calls(report, where, code)
    if len(re.findall(r"\bopen_memstream\s*\(", code)) > len(re.findall(r"\bmemstream_close\s*\(", code)):
        report.fault(where, 1, "open_memstream(): memstream_close() alone tells whether there is a text")
    check_min_and_max(report, where, code)
    for name, start, length in functions(code):
        if length > FUNCTION_HARD:
            report.fault(where, start, f"{name}() has {length} lines: a function has at most {FUNCTION_SOFT}")
        elif length > FUNCTION_SOFT:
            report.note(where, start, f"{name}() has {length} lines, the aim is {FUNCTION_SOFT}")


def check_public_header(report, root, path):
    """What is installed can be compiled by who has only the installed headers."""
    where = os.path.relpath(path, root)
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            match = INCLUDE.match(line)
            if match and (match.group(1) == '"' or library_of(match.group(2)) not in (None, "libsystemd")):
                report.fault(where, number, f"{match.group(2)}: a public header includes libc and libsystemd only")


def check_spdx(report, root, path):
    where = os.path.relpath(path, root)
    try:
        with open(path, encoding="utf-8") as f:
            head = [f.readline() for _ in range(5)]
    except UnicodeDecodeError:
        return
    if (path.endswith(SOURCE_SUFFIXES) or head[0].startswith("#!")) and not any(SPDX in line for line in head):
        report.fault(where, 1, f'no "{SPDX}" in its first lines')


def walk(top):
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "__pycache__")
        for name in sorted(files):
            yield os.path.join(folder, name)


def check_tree(root):
    report = Report()
    for path in walk(os.path.join(root, "src")):
        if path.endswith((".c", ".h")):
            check_source(report, root, path)
    for path in walk(os.path.join(root, "include")):
        check_public_header(report, root, path)
    for tree in SPDX_TREES:
        for path in walk(os.path.join(root, tree)):
            if os.path.isfile(path):
                check_spdx(report, root, path)
    return report


def main(argv):
    if len(argv) != 2 or not os.path.isdir(os.path.join(argv[1], "src")):
        print(__doc__, file=sys.stderr)
        return 2
    report = check_tree(argv[1])
    for line in report.notes + report.faults:
        print(line)
    print(f"layers: {len(report.faults)} faults, {len(report.notes)} notes")
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
