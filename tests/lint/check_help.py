#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What penstockctl says of itself fits any terminal, and explains what its own examples use.

Usage: check_help.py PENSTOCKCTL PENSTOCK_SIM
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


def options_of(text):
    return set(re.findall(r"(?<![a-z])--[a-z][a-z-]+", text))


def check_simulate(said, simulator):
    """`simulate` explains penstock-sim, which reads its words."""
    for option in sorted(options_of(said.partition("\nExamples:\n")[0]) ^ (options_of(simulator) - {"--help"})):
        yield f"penstockctl simulate --help: {option} is not in the help of both it and penstock-sim"


def check(help_of, simulator):
    """HELP_OF(verb) is what `penstockctl VERB --help` prints, and of "" the overview; SIMULATOR what penstock-sim --help prints."""
    overview = help_of("")
    verbs = verbs_of(overview)
    if len(verbs) < 10:
        yield "penstockctl --help: hardly any verb was found; is this check out of date?"
    for line in overview.splitlines():
        if len(line) > COLUMNS:
            yield f"penstockctl --help: a line has {len(line)} columns, {COLUMNS} are there: {line}"
    for verb in verbs:
        yield from check_verb(verb, help_of(verb))
    yield from check_simulate(help_of("simulate"), simulator)


def output(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.decode()


def help_from(penstockctl):
    return lambda verb: output(penstockctl, *([verb] if verb else []), "--help")


if __name__ == "__main__":
    faults = list(check(help_from(sys.argv[1]), output(sys.argv[2], "--help")))
    print("\n".join(faults))
    sys.exit(1 if faults else 0)
