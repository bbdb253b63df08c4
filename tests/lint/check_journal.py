#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every kind of journal entry has an ID, a row in docs/journal.md and a catalog entry with a remedy, and none is left over.

Usage: check_journal.py SOURCE_ROOT
"""
import os
import re
import sys

WORDS_MIN = 20  # of a catalog text: fewer can't say what happened and what to do
# A remedy names a setting, a command or a place to look.
REMEDY = re.compile(r"[A-Z][A-Za-z]+=|--[a-z]|`[a-z]|Nothing is")


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as f:
        return f.read()


def catalog_entries(text):
    """The entries of a catalog as {id: (headers, body)}; a doubled ID is in the list."""
    found, doubled = {}, []
    for part in re.split(r"^-- ", text, flags=re.M)[1:]:
        head, _, body = part.partition("\n\n")
        lines = head.split("\n")
        headers = dict(line.partition(": ")[::2] for line in lines[1:])
        if lines[0] in found:
            doubled.append(lines[0])
        found[lines[0]] = (headers, body)
    return found, doubled


def check_entry(message_id, headers, body, fields):
    where = f"units/penstock.catalog: {message_id}"
    for name in ("Subject", "Defined-By", "Documentation"):
        if not headers.get(name):
            yield f"{where}: there is no {name}:"
    if len(body.split()) < WORDS_MIN or not REMEDY.search(body):
        yield f"{where}: it does not say what to do"
    for field in re.findall(r"@([A-Z_]+)@", headers.get("Subject", "") + body):
        if field not in fields:
            yield f"{where}: @{field}@ is no field that src/host/journal.c writes"


def check(root):
    header, code = read(root, "src/host/journal.h"), read(root, "src/host/journal.c")
    kinds = re.findall(r"^ +(JOURNAL_[A-Z_]+),", header, flags=re.M)
    ids = dict(re.findall(r'\[(JOURNAL_[A-Z_]+)\] = "([^"]*)"', code))
    fields = set(re.findall(r'"([A-Z_]+)=', code))
    docs = read(root, "docs/journal.md")
    rows = re.findall(r"^\| ([0-9a-f]+) \|", docs, flags=re.M)
    entries, doubled = catalog_entries(read(root, "units/penstock.catalog"))
    used = "".join(read(root, os.path.join(d, f)) for d, _, files in os.walk(os.path.join(root, "src")) for f in files
                   if f.endswith(".c") and f != "journal.c")

    if not kinds or not ids:
        yield "src/host/journal: no kinds were found; is this check out of date?"
    for kind in kinds:
        if kind != "JOURNAL_PLAIN" and kind not in ids:
            yield f"src/host/journal.c: {kind} has no ID"
        if not re.search(rf"\b{kind}\b", used):
            yield f"src/host/journal.h: {kind} is written by nobody"
    if len(set(ids.values())) != len(ids):
        yield "src/host/journal.c: two kinds have one ID"
    for kind, message_id in ids.items():
        if not re.fullmatch(r"[0-9a-f]{32}", message_id):
            yield f"src/host/journal.c: {kind}: {message_id} is no ID"
        if rows.count(message_id) != 1:
            yield f"docs/journal.md: {kind} ({message_id}) has {rows.count(message_id)} rows"
        if message_id not in entries:
            yield f"units/penstock.catalog: {kind} ({message_id}) has no entry"
    for message_id in set(rows) - set(ids.values()):
        yield f"docs/journal.md: {message_id} is no ID of src/host/journal.c"
    for message_id in doubled:
        yield f"units/penstock.catalog: {message_id} is there twice"
    for message_id, (headers, body) in entries.items():
        if message_id not in ids.values():
            yield f"units/penstock.catalog: {message_id} is no ID of src/host/journal.c"
        yield from check_entry(message_id, headers, body, fields)
    for field in sorted(fields - {"MESSAGE", "PRIORITY", "MESSAGE_ID"}):
        if f"`{field}=`" not in docs:
            yield f"docs/journal.md: the field {field}= is not there"


if __name__ == "__main__":
    faults = list(check(sys.argv[1]))
    print("\n".join(faults))
    sys.exit(1 if faults else 0)
