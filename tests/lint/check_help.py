#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What penstockctl says of itself fits any terminal, and explains what its own examples use.

Usage: check_help.py PENSTOCKCTL
"""
import re
import subprocess
import sys

COLUMNS = 80


def verbs_of(overview):
    return re.findall(r"^  ([a-z]+) ", overview.partition("\nExamples:\n")[0], flags=re.M)


def calls(verb, examples):
    """The words of each example that calls VERB, up to the end of the command."""
    for line in examples.splitlines():
        found = re.search(rf"\bpenstockctl {verb}\b([^|)>]*)", line)
        if found:
            yield found[1].partition(" -- ")[0].split()


def check_verb(verb, text):
    for line in text.splitlines():
        if len(line) > COLUMNS:
            yield f"penstockctl {verb} --help: a line has {len(line)} columns, {COLUMNS} are there: {line}"
    said, _, examples = text.partition("\nExamples:\n")
    found = list(calls(verb, examples))
    if not found:
        yield f"penstockctl {verb} --help: there is no example"
    for option in {w.partition("=")[0] for words in found for w in words if re.match(r"--?[a-z]", w)}:
        if not re.search(rf"^ +(-[a-z], +)?{option}\b", said, flags=re.M):
            yield f"penstockctl {verb} --help: an example has {option}, which is not explained"


def check(help_of):
    """HELP_OF(verb) is what `penstockctl VERB --help` prints, and of "" the overview."""
    overview = help_of("")
    verbs = verbs_of(overview)
    if len(verbs) < 10:
        yield "penstockctl --help: hardly any verb was found; is this check out of date?"
    for line in overview.splitlines():
        if len(line) > COLUMNS:
            yield f"penstockctl --help: a line has {len(line)} columns, {COLUMNS} are there: {line}"
    for verb in verbs:
        yield from check_verb(verb, help_of(verb))


def help_from(penstockctl):
    return lambda verb: subprocess.run([penstockctl, *([verb] if verb else []), "--help"], check=True,
                                       stdout=subprocess.PIPE).stdout.decode()


if __name__ == "__main__":
    faults = list(check(help_from(sys.argv[1])))
    print("\n".join(faults))
    sys.exit(1 if faults else 0)
