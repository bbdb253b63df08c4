#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is said of one thing in several places is the same: the introspection XML, the code's tables, the manual, docs/,
the shipped configuration and penstockctl's own help. That the running service has the same members is seen in the guest
(tests/guest/suites/agreement.py).

Usage: check_agreement.py SOURCE_ROOT PENSTOCKCTL [MAN_DIRECTORY]
"""
import os
import re
import subprocess
import sys
import xml.etree.ElementTree

XML, CONFIG, DBUS = "src/bus/org.penstock1.xml", "docs/configuration.md", "docs/dbus.md"
VERDICTS = "src/core/query.c"
# Named in the tables of docs/dbus.md, and of other interfaces.
FOREIGN = {"PropertiesChanged", "GetConnectionCredentials", "CORE", "MEMLOCK"}
KIND_TYPES = {"COUNT": "t", "BYTES": "t", "USEC": "t", "BOOL": "b", "CHOICE": "s", "LIST": "as"}


# What each method is in C.
C_CALLS = {
    "Query": "penstock_query_submit", "Queries": "penstock_client_list", "ListQueries": "penstock_client_list",
    "GetQuery": "penstock_query_open", "Describe": "penstock_query_describe", "CancelQuery": "penstock_query_cancel",
    "DoneQuery": "penstock_query_done", "ResultsOf": "penstock_query_open_results", "Shutdown": "penstock_client_shutdown",
    "Pause": "penstock_client_pause", "Resume": "penstock_client_resume", "Reload": "penstock_client_reload",
    "Metrics": "penstock_client_metrics", "History": "penstock_client_history", "Cancel": "penstock_query_cancel", "Done": "penstock_query_done",
    "Results": "penstock_query_open_results", "Statistics": "penstock_query_statistics",
    "ProfilerResults": "penstock_query_open_profile", "ProfilerResultsOf": "penstock_query_open_profile",
}


class Tree:
    def __init__(self, root):
        self.root = root

    def read(self, path):
        with open(os.path.join(self.root, path), encoding="utf-8") as f:
            return f.read()

    def part(self, path, begin, end="\n## "):
        """What stands in PATH from BEGIN to END."""
        text = self.read(path)
        return text.partition(begin)[2].partition(end)[0]


def missing(where, what, wanted, seen):
    """Both ways."""
    for name in sorted(set(wanted) - set(seen)):
        yield f"{where}: {what} {name} is not there"
    for name in sorted(set(seen) - set(wanted)):
        yield f"{where}: there is {what} {name}, which nothing else has"


def interfaces(tree):
    """The XML's interfaces as {name: [(kind, name, type or arguments)]}."""
    root = xml.etree.ElementTree.fromstring(tree.read(XML).encode())
    found = {}
    for interface in root.iter("interface"):
        members = found.setdefault(interface.get("name"), [])
        for m in interface:
            arguments = [(a.get("direction") or "out", a.get("type"), a.get("name")) for a in m.iter("arg")]
            members.append((m.tag, m.get("name"), m.get("type") if m.tag == "property" else arguments))
    return found


def plain(roff):
    """What a page of the manual says, on one line."""
    text = re.sub(r"\\f[A-Z]|\\&", "", roff)
    text = re.sub(r"^\.R[SE].*$|^\.[A-Za-z]+ ?", "", text, flags=re.M)
    text = text.replace(r"\-", "-").replace(r"\(aq", "'").replace(r"\\", "\\").replace(r"\e", "\\")
    return " ".join(text.split())


def check_dbus_page(tree, page):
    for interface, members in interfaces(tree).items():
        if f"INTERFACE {interface}" not in page:
            yield f"org.penstock1(5): there is no interface {interface}"
        for kind, name, what in members:
            shown = f"readonly {what} {name}" if kind == "property" else f"{name}({', '.join(' '.join(a) for a in what)})"
            if f"{kind} {shown}" not in page:
                yield f"org.penstock1(5): {kind} {shown} of {interface} is not there"


def check_dbus_docs(tree):
    members = [m for found in interfaces(tree).values() for m in found]
    methods = {name for kind, name, _ in members if kind == "method"}
    names = {name for _, name, _ in members}
    table = "\n".join(re.findall(r"^\|[^|]*\|", tree.part(DBUS, "## Who may call"), flags=re.M))
    said = set(re.findall(r"`([A-Z][A-Za-z]+)`", table))
    yield from missing(f"{DBUS}: who may call", "the method", methods, said - FOREIGN)
    for name in set(re.findall(r"`([A-Z][A-Za-z]+)`", tree.part(DBUS, "## Good to know"))):
        if name not in names | FOREIGN | error_names(tree) | config_keys(tree).keys():
            yield f"{DBUS}: `{name}` is no member of {XML}"


def functions(tree):
    return set(re.findall(r"^(?!typedef)[A-Za-z].*?\b\**(penstock_[a-z0-9_]+)\(", tree.read("include/penstock.h"), flags=re.M))


def check_parity(tree):
    """Each method and each request key has its function in libpenstock."""
    declared = functions(tree)
    for members in interfaces(tree).values():
        for kind, name, _ in members:
            if kind == "method" and C_CALLS.get(name) not in declared:
                yield f"include/penstock.h: the method {name} has no function (C_CALLS in check_agreement.py)"
    setters = {re.sub("^penstock_request_(set|add)_", "", f) for f in declared}
    said = {"argv": "argument", "parameters": "parameter", "labels": "label", "limits": "limit", "detach": "detached",
            "dependencies": "dependency", "timeout_usec": "timeout", "queue_timeout_usec": "queue_timeout",
            "memory_initial_bytes": "memory_initial", "memory_max_bytes": "memory_max"}
    for key in request_keys(tree):
        if said.get(key, key) not in setters:
            yield f"include/penstock.h: the request key {key} has no setter"


def request_keys(tree):
    return dict(re.findall(r'^        \{ "([a-z_]+)", "([^"]+)", decode_', tree.read("src/bus/decode.c"), flags=re.M))


def error_names(tree):
    return set(re.findall(r'ENTRY\("([A-Za-z]+)"', tree.read("src/core/error.c")))


def check_errors(tree):
    names = error_names(tree)
    comment = re.search(r"Errors, all below org\.penstock1\.Error\.:(.*?)\. ", " ".join(tree.read(XML).split()))
    yield from missing(XML, "the error", names, re.findall(r"[A-Z][A-Za-z]+", comment[1]) if comment else ())
    rows = re.findall(r"^\| (`[^|]*`) \|", tree.part(DBUS, "## Errors"), flags=re.M)
    yield from missing(f"{DBUS}: errors", "the error", names, re.findall(r"`([A-Za-z]+)`", " ".join(rows)))


def check_request_keys(tree):
    code = request_keys(tree)
    text = re.search(r"Request keys: (.*?)\. Another key", " ".join(tree.read(XML).split()))
    said = dict(re.findall(r"([a-z_]+) ((?:a\{[a-z()]+\}+|as|[a-z]))(?=[ ,]|$)", re.sub(r" \([^()]*\)", "", text[1])))
    for key, kind in code.items():
        if said.get(key) != kind:
            yield f"{XML}: the request key {key} is of type {kind}, and is said to be {said.get(key)}"
    yield from missing(XML, "the request key", code, said)


def check_statistics_keys(tree):
    code = set(re.findall(r'(?:append_u64\(m, |\{ |"\{sv\}", |append_basic\(m, \'s\', )"([a-z_]+)"',
                          tree.read("src/bus/statistics.c")))
    text = tree.part(XML, "Statistics (Statistics, Done", "-->")
    said = {w for line in re.findall(r"^    ([a-z_]+(?:, [a-z_]+)*) ", text, flags=re.M) for w in line.split(", ")}
    yield from missing(f"{XML}: statistics", "the key", code, said)


def check_verdicts(tree):
    """docs/dbus.md has each verdict in the table by errors, and in the line of Statistics."""
    code = re.findall(r'\[VERDICT_\w+\] = "(\w+)"', tree.read(VERDICTS))
    if len(code) < 10:
        yield f"{VERDICTS}: hardly any verdict was found; is this check out of date?"
    table = tree.part(DBUS, "| verdict | of the error |", "\n\n")
    rows = re.findall(r"^\| ([a-z]+(?:, [a-z]+)*) \|", table, flags=re.M)
    yield from missing(f"{DBUS}: verdicts by error", "the verdict", code, ", ".join(rows).split(", "))
    line = tree.part(DBUS, "| `verdict` | whose limit or hand ended it: ", ";")
    yield from missing(f"{DBUS}: `verdict` of Statistics", "the verdict", code, line.split(", "))


def config_keys(tree):
    """The code's table: {key: (kind, default)}."""
    text = " ".join(tree.read("src/core/config.c").split())
    found = re.findall(r'\[CONFIG_[A-Z_]+\] = ([A-Z]+)\(\s*"([A-Za-z]+)", [a-z_]+,(?: "([^"]*)")?', text)
    return {name: (kind, "" if kind == "LIST" else default) for kind, name, default in found}


def bus_name(key, kind):
    return re.sub(r"Sec$", "USec", key) if kind == "USEC" else key


def check_config(tree):
    keys = config_keys(tree)
    if len(keys) < 20:
        yield "src/core/config.c: hardly any key was found; is this check out of date?"
    members = {name: what for kind, name, what in interfaces(tree)["org.penstock1.Controller"] if kind == "property"}
    own = {"Version", "UsedMemoryBytes", "UnusedMemoryBytes", "Created", "Compiling", "Queueing", "Executing", "Errored",
           "Finished", "Canceled", "Paused", "ShuttingDown", "Languages", "LanguageMemoryNotes"}
    wanted = {bus_name(k, kind): KIND_TYPES.get(kind) for k, (kind, _) in keys.items()}
    yield from missing(XML, "the configuration's property", wanted, set(members) - own)
    for name in wanted.keys() & members.keys():
        if members[name] != wanted[name]:
            yield f"{XML}: {name} is of type {members[name]}, and its key is {wanted[name]}"
    shipped = dict(re.findall(r"^#([A-Z][A-Za-z]+)=(.*)$", tree.part("units/penstock.conf", "[Controller]", "#[Dependency"),
                              flags=re.M))
    rows = dict(re.findall(r"^\| `([A-Z][A-Za-z]+)` \| `([^`]*)` \|", tree.part(CONFIG, "\n## `[Controller]`"), flags=re.M))
    for where, said in (("units/penstock.conf", shipped), (CONFIG, rows)):
        yield from missing(where, "the key", keys, said)
        for key in keys.keys() & said.keys():
            if said[key].strip() != keys[key][1]:
                yield f"{where}: {key} is {said[key]!r}, and its default is {keys[key][1]!r}"


def check_sections(tree):
    """[Dependency], [Language] and [Sandbox]: keys of the code and of the docs."""
    code = set(re.findall(r'^        \{ "([A-Z][A-Za-z]+)", [A-Z]+, offsetof\(Dependency', tree.read("src/core/dependency.c"), flags=re.M))
    shipped = set(re.findall(r"^#([A-Z][A-Za-z]+)=", tree.read("units/penstock.conf").partition("#[Dependency")[2], flags=re.M))
    yield from missing("units/penstock.conf", "the [Dependency] key", code, shipped)
    yield from missing(CONFIG, "the [Dependency] key", code, table_keys(tree.part(CONFIG, "## `[Dependency NAME]`")))
    language = re.findall(r'KEY\("(Language|Sandbox)", "([A-Za-z]+)"', tree.read("src/core/language.c"))
    properties = re.findall(r'^        \{ "([A-Za-z]+)"', tree.read("src/core/language_property.c"), flags=re.M)
    for section in ("Language", "Sandbox"):
        wanted = {k for s, k in language if s == section} | (set(properties) if section == "Sandbox" else set())
        said = table_keys(tree.part("docs/languages.md", f"### `[{section}]`", "\n##"))
        yield from missing(f"docs/languages.md: [{section}]", "the key", wanted, said)


def table_keys(text):
    return set(re.findall(r"`([A-Z][A-Za-z]+)=`", "\n".join(re.findall(r"^\|([^|]*)\|", text, flags=re.M))))


def check_pages(tree, pages):
    """The built pages say all that is checked above in their sources."""
    conf, languages, library = (pages[n] for n in ("penstock.conf.5", "penstock-languages.5", "libpenstock.3"))
    for key in config_keys(tree):
        if not re.search(rf"(^|\W){key} \((default|values):", conf):
            yield f"penstock.conf(5): the key {key} is not there"
    for key in re.findall(r'KEY\("(?:Language|Sandbox)", "([A-Za-z]+)"', tree.read("src/core/language.c")):
        if f"{key}=" not in languages:
            yield f"penstock-languages(5): the key {key}= is not there"
    for name in functions(tree):
        if f"{name}(" not in library:
            yield f"libpenstock(3): {name}() is not there"


def check_ctl(tree, help_of):
    """HELP_OF(verb) is what `penstockctl VERB --help` prints, and of "" the list of verbs."""
    page, simulator = tree.read("docs/penstockctl.1.scd"), tree.read("docs/penstock-sim.1.scd")
    verbs = re.findall(r"^  ([a-z]+) ", help_of("").partition("\nExamples:\n")[0], flags=re.M)
    if len(verbs) < 10:
        yield "penstockctl --help: hardly any verb was found; is this check out of date?"
    synopsis = page.partition("# SYNOPSIS")[2].partition("# DESCRIPTION")[0]
    options = set()
    for verb in verbs:
        if not re.search(rf"(\*penstockctl\* |\| ){verb}\b", synopsis):
            yield f"penstockctl(1): the verb {verb} is not in the synopsis"
        if not re.search(rf"^\*.*\b{verb}\b", page.partition("# DESCRIPTION")[2], flags=re.M):
            yield f"penstockctl(1): the verb {verb} is not described"
        text = help_of(verb).partition("\n")
        found = set(re.findall(r"^ +(?:-[a-z], +)?(--[a-z][a-z-]+)", text[2], flags=re.M))
        found |= set(re.findall(r", (--[a-z][a-z-]+)", text[2])) | set(re.findall(r"\[(--[a-z][a-z-]+)", text[0]))
        if verb == "simulate":
            for option in found - {"--help"}:
                if f"*{option}*" not in simulator:
                    yield f"penstock-sim(1): {option} is not there"
            continue
        options |= found
        for option in found - {"--help"}:
            if f"*{option}*" not in page and not re.search(rf"[\[ ]{option}\b", synopsis):
                yield f"penstockctl(1): {option} of {verb} is not there"
    for option in set(re.findall(r"^\*.*?\*(--[a-z][a-z-]+)\*", page, flags=re.M)) - options:
        yield f"penstockctl(1): there is {option}, which no verb's --help has"


def check(root, help_of, pages=None):
    tree = Tree(root)
    yield from check_dbus_docs(tree)
    yield from check_errors(tree)
    yield from check_parity(tree)
    yield from check_request_keys(tree)
    yield from check_statistics_keys(tree)
    yield from check_verdicts(tree)
    yield from check_config(tree)
    yield from check_sections(tree)
    yield from check_ctl(tree, help_of)
    if pages:
        yield from check_dbus_page(tree, pages["org.penstock1.5"])
        yield from check_pages(tree, pages)


def read_pages(directory):
    found = {}
    for name in os.listdir(directory):
        if re.search(r"\.[1-8]$", name):
            with open(os.path.join(directory, name), encoding="utf-8") as f:
                found[name] = plain(f.read())
    return found


def help_from(penstockctl):
    return lambda verb: subprocess.run([penstockctl, *([verb] if verb else []), "--help"], check=True,
                                       stdout=subprocess.PIPE).stdout.decode()


if __name__ == "__main__":
    faults = list(check(sys.argv[1], help_from(sys.argv[2]), read_pages(sys.argv[3]) if len(sys.argv) > 3 else None))
    print("\n".join(faults))
    sys.exit(1 if faults else 0)
