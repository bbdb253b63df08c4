#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/contract.md has a row for each item of the model's public API, and each row says where the item lives and has a
test: members of the introspection XML, verbs and options of penstockctl, functions of penstock.h and tests that exist.

Usage: check_contract.py SOURCE_ROOT
"""
import os
import re
import subprocess
import sys
import xml.etree.ElementTree

PAGE = "docs/contract.md"

# The model's API, item by item, and what its text promises beside the names.
REQUIRED = [
    "Config.ConcurrencyQuota", "Config.InitialMemoryBytesQuotaPerQuery", "Config.InitialMemoryBytesQuotaPerQuery unset",
    "Config.MemoryBytesQuotaPerQuery", "Config.MaxMemoryBytes", "Config.MaxMemoryBytes unset",
    "Config.MaxMemoryBytes at least ConcurrencyQuota × Initial",
    "Config.MaxMemoryBytes less than ConcurrencyQuota × MemoryBytesQuotaPerQuery", "Config.QueueSize", "Config.Logger",
    "Config.MetricLabelKeys", "Config.ExecutorDependencies",
    "Controller.New", "Controller.Query", "Controller.Queries", "Controller.GetUsedMemoryBytes",
    "Controller.GetUnusedMemoryBytes", "Controller.Shutdown", "Controller.PrometheusCollectors",
    "Query.ID", "Query.State", "Query.Err", "Query.Results", "Query.Results closed before any data",
    "Query.Results back-pressure", "Query.Cancel", "Query.Done", "Query.Done after Cancel", "Query.Statistics",
    "Query.ProfilerResults",
    "State.Created", "State.Compiling", "State.Queueing", "State.Executing", "State.Errored", "State.Finished",
    "State.Canceled",
    "at least one goroutine", "a minimum amount of memory is available",
    "growth: double", "growth: up to the maximum", "growth: the rest of the pool", "growth: say so",
    "request: another initial quota", "request: a smaller maximum", "request: a larger maximum",
    "budget: larger than the host",
]
# What may live in fewer than all three: a rule or a promise has no name to call.
NOWHERE = "–"


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as f:
        return f.read()


def sources(root, directory):
    return [read(root, os.path.join(directory, n)) for n in sorted(os.listdir(os.path.join(root, directory))) if n.endswith(".c")]


def bus_names(root):
    """Members by name, request keys and keys of the statistics."""
    text = read(root, "src/bus/org.penstock1.xml")
    members = {m.get("name") for i in xml.etree.ElementTree.fromstring(text.encode()).iter("interface") for m in i}
    keys = set(re.findall(r'^        \{ "([a-z_]+)", "[^"]+", decode_', read(root, "src/bus/decode.c"), flags=re.M))
    return members | keys | set(re.findall(r'"([a-z_]+)"', read(root, "src/bus/statistics.c")))


def ctl_names(root):
    """Verbs; options with their dashes; keys of the configuration with their "="."""
    text = "\n".join(sources(root, "src/ctl"))
    verbs = set(re.findall(r'\.name = "([a-z]+)"', text))
    options = {f"--{o}" for o in re.findall(r'\{ "([a-z-]+)", (?:required|no|optional)_argument', text)}
    keys = {f"{k}=" for k in re.findall(r'=\s+[A-Z]+\(\s*"([A-Za-z]+)"', read(root, "src/core/config.c"))}
    return verbs, options, keys


def functions(root):
    return set(re.findall(r"\b(penstock_[a-z0-9_]+)\(", read(root, "include/penstock.h")))


def tests(root):
    """Unit tests as "test-NAME: function", guest tests as "suite: promise"."""
    found = set()
    for directory in ("tests/unit", "tests/bus", "tests/sim"):
        for name in os.listdir(os.path.join(root, directory)):
            if name.startswith("test") and name.endswith(".c"):
                text = read(root, os.path.join(directory, name))
                registered = text.partition("int main(void)")[2]
                for function in re.findall(r"^static void ([a-z0-9_]+)\(void \*\*", text, flags=re.M):
                    if re.search(rf"\b{function}\b", registered):
                        found.add(f"{name[:-2]}: {function}")
    run = subprocess.run([sys.executable, "-B", os.path.join(root, "tests/guest/run"), "--list"], check=True,
                         stdout=subprocess.PIPE)
    return found | set(run.stdout.decode().splitlines())


def rows(text):
    """The rows of the page's tables whose head is that of the contract: the cells of each."""
    inside = False
    for line in text.split("\n"):
        cells = [c.strip() for c in line.strip("|").split("|")] if line.startswith("|") else None
        if cells is None:
            inside = False
        elif cells[-1] == "proved by":
            inside = True
        elif inside and not set(line) <= set("|- "):
            yield cells


def check_cell(what, cell, is_known):
    names = re.findall(r"`([^`]+)`", cell)
    if not names and cell != NOWHERE:
        yield f"{what}: neither a name nor {NOWHERE}: {cell!r}"
    for name in names:
        if not is_known(name):
            yield f"{what}: `{name}` does not exist"


def command_is_known(name, verbs, options, keys):
    words = name.split()
    if name in keys:
        return True
    return words[0] == "penstockctl" and words[1] in verbs and all(w in options for w in words[2:] if w.startswith("-"))


def check(root, known_tests=None):
    on_bus, (verbs, options, keys), in_c = bus_names(root), ctl_names(root), functions(root)
    known_tests = tests(root) if known_tests is None else known_tests
    seen = []
    for cells in rows(read(root, PAGE)):
        if len(cells) != 6:
            yield f"{PAGE}: a row of {len(cells)} cells: {cells[0]}"
            continue
        item, _, bus, ctl, c, proofs = cells
        item = item.strip("`")
        seen.append(item)
        where = f"{PAGE}: {item}"
        yield from check_cell(f"{where}: D-Bus", bus, on_bus.__contains__)
        yield from check_cell(f"{where}: CLI", ctl, lambda n: command_is_known(n, verbs, options, keys))
        yield from check_cell(f"{where}: C", c, lambda n: n.rstrip("()") in in_c)
        named = [p.strip() for p in proofs.split("<br>") if p.strip(f" {NOWHERE}")]
        if not named:
            yield f"{where}: no test proves it"
        for proof in named:
            if proof not in known_tests:
                yield f"{where}: there is no test {proof!r}"
    for item in REQUIRED:
        if seen.count(item) != 1:
            yield f"{PAGE}: {item} has {seen.count(item)} rows"
    for item in set(seen) - set(REQUIRED):
        yield f"{PAGE}: {item} is no item of the contract (REQUIRED in tests/lint/check_contract.py)"


if __name__ == "__main__":
    faults = list(check(sys.argv[1]))
    print("\n".join(faults))
    sys.exit(1 if faults else 0)
