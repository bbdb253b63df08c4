# SPDX-License-Identifier: LGPL-2.1-or-later
"""The shells that complete penstockctl: what each would offer, and what it runs when one presses the key and then Enter."""
import os
import re
import shutil
import subprocess

from kit import DEADLINE_SEC, Terminal, skip, wait_for

# Runs in place of penstockctl and tells its words; completion asks `command penstockctl`, which is the program.
TELL = 'for w in "$@"; do printf "%s\\n" "$w"; done >"$TOLD.new"; mv "$TOLD.new" "$TOLD"'


class Shell:
    def __init__(self, scripts, folder):
        self.scripts, self.folder = scripts, folder
        self.told = os.path.join(folder, ".told")

    @classmethod
    def find(cls):
        if not shutil.which(cls.name):
            skip(f"{cls.name} is not installed")

    def run(self, *command, **more):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder,
                              timeout=DEADLINE_SEC, **more)
        assert not done.stderr, f"{self.name} says: {done.stderr}"
        return done.stdout

    def take_told(self):
        wait_for(f"{self.name} to run the line", lambda: os.path.exists(self.told))
        with open(self.told, encoding="utf-8") as f:
            text = f.read()
        os.unlink(self.told)
        return text.splitlines()

    def start(self, setup):
        shell = Terminal(self.interactive(), TOLD=self.told, cwd=self.folder)
        shell.send(setup)
        shell.expect("ready\r\n")
        return shell

    def runs(self, line, then=""):
        """The words that LINE comes to, with a tab behind it, and what one types THEN."""
        shell = self.start(self.setup())
        try:
            shell.send(f"{line}\t{then}\n")
            return self.take_told()
        finally:
            shell.kill()

    def survives(self, line):
        """Run whatever LINE comes to with a tab behind it, or give it up where its quotes do not end. Another line runs then."""
        shell = self.start(self.setup())
        try:
            shell.send(f"{line}\t\n")
            wait_for(f"{self.name} to run another line", lambda: self.runs_another(shell))
        finally:
            shell.kill()

    def runs_another(self, shell):
        """^C may come too early, and be lost with what is behind it."""
        shell.send("\x03")
        shell.drain(0.2)
        shell.send("penstockctl survived\n")
        shell.drain(0.5)
        return os.path.exists(self.told) and self.take_told() == ["survived"]


class Bash(Shell):
    name = "bash"
    has_descriptions = False
    library = None

    def offers(self, line):
        """By a call of the function, with the words as readline cuts them."""
        words = [w for w in re.split(r"\s+|([=:]+)", line) if w] + ([""] if line[-1] in " =:" else [])
        source = f"source {self.library}; " if self.library else ""
        script = (source + 'compopt() { :; }; source "$1"; COMP_LINE=$2; COMP_POINT=${#2}; shift 2; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
                  '_penstockctl; [ ${#COMPREPLY[@]} = 0 ] || printf "%s\\n" "${COMPREPLY[@]}"')
        out = self.run("bash", "--norc", "-c", script, "bash", f"{self.scripts}/penstockctl.bash", line, *words)
        return [(value, "") for value in out.splitlines()]

    def interactive(self):
        return ["bash", "--norc", "--noprofile", "-i"]

    def setup(self):
        source = f"source {self.library}; " if self.library else ""
        return f"{source}source {self.scripts}/penstockctl.bash; penstockctl() {{ {TELL}; }}; echo rea''dy\n"


class BashCompletion(Bash):
    """bash with the package bash-completion, whose helpers are used where they are there."""
    library = "/usr/share/bash-completion/bash_completion"

    @classmethod
    def find(cls):
        super().find()
        if not os.path.exists(cls.library):
            skip("bash-completion is not installed")


class Zsh(Shell):
    name = "zsh"
    has_descriptions = True
    # What is added, each with what is shown for it, as far as it matches; the key ^O says that all is.
    capture = r"""
compadd() {
        local -a _hits _shown
        local _at=${@[(i)-d]} _i
        if [[ ${@[(I)-[OAD]]} -gt 0 ]]; then builtin compadd "$@"; return; fi
        (( _at < $# )) && _shown=("${(@P)@[_at + 1]}")
        builtin compadd -D _shown -A _hits "$@"
        for (( _i = 1; _i <= $#_hits; _i++ )) print -r -- "$_hits[_i]"$'\t'"${_shown[_i]}" >>"$TOLD.new"
        builtin compadd "$@"
}
tell() { touch "$TOLD.new"; mv "$TOLD.new" "$TOLD"; BUFFER= }
zle -N tell; bindkey '^O' tell
"""

    def interactive(self):
        return ["zsh", "-f", "-i"]

    def setup(self, capture=""):
        path = os.path.join(self.folder, ".setup")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"PS1='$ '; LISTMAX=100000; fpath=({self.scripts} $fpath); autoload -Uz compinit; compinit -u -d {self.folder}/.dump; "
                    f"bindkey '^I' complete-word\n{capture}penstockctl() {{ {TELL} }}\n")
        return f"source {path}; echo rea''dy\n"

    def offers(self, line):
        shell = self.start(self.setup(self.capture))
        try:
            shell.send(f"{line}\t\x0f")
            found = [tuple(told.partition("\t")[::2]) for told in self.take_told()]
        finally:
            shell.kill()
        return [(value, shown.partition("  -- ")[2]) for value, shown in found]


class Fish(Shell):
    name = "fish"
    has_descriptions = True

    def offers(self, line):
        out = self.run("fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", f"{self.scripts}/penstockctl.fish", line)
        return [tuple(found.partition("\t")[::2]) for found in out.splitlines()]

    def interactive(self):
        return ["fish", "--no-config", "-i"]

    def setup(self):
        return (f"source {self.scripts}/penstockctl.fish; function penstockctl; printf '%s\\n' $argv >$TOLD.new; "
                "mv $TOLD.new $TOLD; end; echo rea''dy\n")


SHELLS = {"bash": Bash, "bash-completion": BashCompletion, "zsh": Zsh, "fish": Fish}
