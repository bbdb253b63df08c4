# SPDX-License-Identifier: LGPL-2.1-or-later
"""The examples of docs/client.md as programs."""

import contextlib
import os
import re
import shutil
import tempfile

from lib.harness import expect
from lib.service import Running, identity, system

SOURCE = os.path.realpath(f"{os.path.dirname(__file__)}/../../..")
DATABASE = "/srv/sales.db"


def examples():
    """The C programs of docs/client.md, each with the packages that its command line names."""
    with open(f"{SOURCE}/docs/client.md", encoding="utf-8") as f:
        text = f.read()
    found = []
    for block in re.finditer(r"^```c\n(.*?)^```$(.*?)(?=^```|^## |\Z)", text, flags=re.M | re.S):
        packages = re.search(r"pkg-config --cflags --libs ([a-z ]+)\)", block[2])
        expect(packages, f"a command line stands below the example {block[1][:60]!r}")
        found.append((block[1], packages[1].split()))
    return found


@contextlib.contextmanager
def compiled(number):
    """Example NUMBER as a program; the options are those that the installed pkg-config file gives."""
    with program_of(*examples()[number]) as program:
        yield program


@contextlib.contextmanager
def program_of(text, packages):
    directory = tempfile.mkdtemp(prefix="penstock-example.", dir="/var/tmp")
    os.chmod(directory, 0o755)
    try:
        with open(f"{directory}/example.c", "w", encoding="utf-8") as f:
            f.write(text)
        flags = system("pkg-config", "--cflags", "--libs", *packages).text.split()
        system("cc", "-Wall", "-Wextra", "-Werror", "-o", f"{directory}/example", f"{directory}/example.c", *flags)
        yield f"{directory}/example"
    finally:
        shutil.rmtree(directory)


@contextlib.contextmanager
def orders(count):
    """/srv/sales.db with so many orders, alice's."""
    sql = "create table orders (id integer); " + "".join(f"insert into orders values ({i});" for i in range(count))
    system("sqlite3", DATABASE, sql)
    who = identity("alice")
    os.chown(DATABASE, who["user"], who["group"])
    try:
        yield
    finally:
        os.unlink(DATABASE)


def run_example(program):
    return Running([program], user="alice").wait()
