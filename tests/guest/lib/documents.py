# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a document says one types, typed: fenced blocks of `console`, in which `alice$ ` and `root# ` begin a command and the lines
below it are what it prints. A line behind `> ` goes on with a command. `...` is any text, alone on a line any lines.

Each person of a document has one shell for all of it, in the home directory, so that variables and files stay. A command must end
with 0; what is to fail says `; echo $?`."""

import os
import re
import select
import subprocess
import time

from lib.harness import LIMIT, Failure, expect, fail, note
from lib.service import environment, home, identity

PROMPTS = {"alice$ ": "alice", "root# ": "root"}
END = "\x1e"  # a byte that no command prints


class Command:
    def __init__(self, place, user, text):
        self.place, self.user, self.text = place, user, text
        self.lines = []  # that it should print


def commands_of(path):
    """The commands of the document, in its order."""
    commands, inside = [], False
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            line = line.rstrip("\n")
            if line.startswith("```"):
                inside = line == "```console" and not inside
                continue
            if not inside:
                continue
            prompt = next((p for p in PROMPTS if line.startswith(p)), None)
            if prompt:
                commands.append(Command(f"{os.path.basename(path)}:{number}", PROMPTS[prompt], line[len(prompt):]))
            elif not commands:
                fail(f"{path}:{number}: output before any command")
            elif line.startswith("> ") and not commands[-1].lines:
                commands[-1].text += "\n" + line.removeprefix("> ")
            else:
                commands[-1].lines.append(line)
    return commands


def pattern(lines):
    """A regular expression for all that is printed."""
    parts = []
    for line in lines:
        if line.strip() == "...":
            parts.append(r"(?:.*\n)*?")
        else:
            parts.append(r"[^\n]*?".join(re.escape(part.rstrip() if i else part) for i, part in enumerate(line.rstrip().split("..."))) + r"[ ]*\n")
    return re.compile("".join(parts))


class Shell:
    """A person's shell."""

    def __init__(self, user):
        self.process = subprocess.Popen(
            ["bash", "--norc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=home(user),
            env=environment(user), start_new_session=True, **identity(user),
        )

    def type(self, text, limit=LIMIT * 5):
        """Returns what it printed, standard error too, and its status."""
        self.process.stdin.write(f"{text}\nprintf '{END}%d\\n' $?\n".encode())
        self.process.stdin.flush()
        seen, deadline = "", time.monotonic() + limit
        while not re.search(f"{END}\\d+\n$", seen):
            ready = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))[0]
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not data:
                raise Failure(f"{'its shell has ended' if ready else f'{limit} s passed'}; so far: {seen[-2000:]!r}")
            seen += data.decode(errors="replace")
        out, status = seen.rstrip("\n").rsplit(END, 1)
        return out, int(status)

    def end(self):
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def follow(path):
    """Do all that the document says."""
    commands, shells = commands_of(path), {}
    expect(commands, f"{path} has commands")
    try:
        for command in commands:
            if command.user not in shells:
                shells[command.user] = Shell(command.user)
            out, status = shells[command.user].type(command.text)
            note(f"{command.place}: {command.text}\n{out}")
            text = out if not out or out.endswith("\n") else out + "\n"
            if status != 0 or (command.lines and not pattern(command.lines).fullmatch(text)):
                wanted = "\n".join(command.lines)
                fail(f"{command.place}: {command.text}\nstatus {status}, printed:\n{out}\nwanted:\n{wanted}")
    finally:
        for shell in shells.values():
            shell.end()
    return len(commands)
