#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What penstockctl says of itself fits any terminal, explains what its own examples use, and is what it completes.

Usage: check_help.py SOURCE_ROOT PENSTOCKCTL PENSTOCK_SIM
"""
import os
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
        if not re.search(rf"^ +(-[a-zA-Z], +)?{option}\b", said, flags=re.M):
            yield f"penstockctl {verb} --help: an example has {option}, which is not explained"


def options_of(text):
    return set(re.findall(r"(?<![a-z])--[a-z][a-z-]+", text))


def check_simulate(said, simulator):
    """`simulate` explains penstock-sim, which reads its words."""
    for option in sorted(options_of(said.partition("\nExamples:\n")[0]) ^ (options_of(simulator) - {"--help"})):
        yield f"penstockctl simulate --help: {option} is not in the help of both it and penstock-sim"


def check_completion(verb, said, offers):
    """The options that are offered are those that are explained, each with a word of what it is."""
    explained = set(re.findall(r"^ +(?:-[a-zA-Z], +)?(--[a-z][a-z-]+)", said.partition("\nExamples:\n")[0], flags=re.M))
    offered = dict(offers(verb, "--"))
    for option in sorted(explained ^ (offered.keys() - {"--help"})):
        yield f"penstockctl {verb}: {option} is not both in its help and completed"
    for option, text in offered.items():
        if not text:
            yield f"penstockctl {verb}: {option} is completed without a word of what it is"


def check_values(said_of, table):
    """What the values of each option are stands in the TABLE of src/ctl/complete_options.c, and nothing else does."""
    known = set(re.findall(r'^        \{ "([a-z-]+)", (?:complete_[a-z]+|NULL) \},', table, flags=re.M))
    used = {o for said in said_of.values() for o in re.findall(r"^ +(?:-[a-zA-Z], +)?--([a-z-]+)\[?[ =][A-Z]", said, flags=re.M)}
    for option in sorted(used - known):
        yield f"src/ctl/complete_options.c: it does not say what the values of --{option} are (NULL: nothing to offer)"
    for option in sorted(known - used):
        yield f"src/ctl/complete_options.c: there is --{option}, which no verb has with a value"


def check(help_of, simulator, offers, table):
    """HELP_OF(verb) is what `penstockctl VERB --help` prints, and of "" the overview; SIMULATOR what penstock-sim --help prints;
    OFFERS(words) what completion offers for the last of them, as (word, description)."""
    overview = help_of("")
    verbs = verbs_of(overview)
    if len(verbs) < 10:
        yield "penstockctl --help: hardly any verb was found; is this check out of date?"
    for line in overview.splitlines():
        if len(line) > COLUMNS:
            yield f"penstockctl --help: a line has {len(line)} columns, {COLUMNS} are there: {line}"
    for verb in verbs:
        yield from check_verb(verb, help_of(verb))
        yield from check_completion(verb, help_of(verb), offers)
    if [verb for verb, _ in offers("")] != verbs:
        yield f"penstockctl completes other verbs than its help has: {offers('')}"
    yield from check_simulate(help_of("simulate"), simulator)
    yield from check_values({verb: help_of(verb) for verb in verbs}, table)


def output(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.decode()


def help_from(penstockctl):
    return lambda verb: output(penstockctl, *([verb] if verb else []), "--help")


def offers_from(penstockctl):
    def offers(*words):
        lines = output(penstockctl, "__complete", *words).splitlines()
        return [tuple(line.partition("\t")[::2]) for line in lines[1:]]
    return offers


def main(root, penstockctl, simulator):
    with open(os.path.join(root, "src/ctl/complete_options.c"), encoding="utf-8") as f:
        table = f.read()
    return list(check(help_from(penstockctl), output(simulator, "--help"), offers_from(penstockctl), table))


if __name__ == "__main__":
    faults = main(*sys.argv[1:])
    print("\n".join(faults))
    sys.exit(1 if faults else 0)
