# SPDX-License-Identifier: LGPL-2.1-or-later
"""The same asked of every shipped language."""

import functools

LANGUAGES = ("exec", "shell", "python", "sqlite")


def words(name, command):
    """The words of `penstockctl run` by which the engine of language NAME runs the shell command COMMAND, which has no
    quotes: the last thing that an engine of each language can do is to start a program."""
    return {
        "exec": ["--", "sh", "-c", command],
        "shell": ["--language", "shell", command],
        "python": ["--language", "python", f"import subprocess, sys; sys.exit(subprocess.run(['sh', '-c', {command!r}]).returncode)"],
        "sqlite": ["--language", "sqlite", f".shell {command}"],
    }[name]


def for_each(function):
    """The test for every language; what failed says in which."""

    @functools.wraps(function)
    def all_of_them():
        for name in LANGUAGES:
            try:
                function(name)
            except Exception as e:
                e.args = (f"language {name}: {e}",)
                raise

    return all_of_them
