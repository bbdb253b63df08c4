# SPDX-License-Identifier: LGPL-2.1-or-later
"""For tests of tools/: a machine whose programs are not what they seem. Its directory has a blank in its name."""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", ".."))
TOOLS = os.path.join(ROOT, "tools")
DEADLINE_S = 120  # generous: what takes that long has hung

# Debian's tree, or what QEMU is unpacked from, as far as tools/guest looks at them.
MMDEBSTRAP = r"""#!/usr/bin/env python3
import os, sys
def put(path, text=""):
    path = os.path.join(sys.argv[-1], path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, 0o755)
if any("extract" in word for word in sys.argv):
    put("usr/lib64/ld-linux-x86-64.so.2", open(os.environ["FAKE_QEMU"]).read())
    sys.exit(0)
for path in ("var/lib/apt/lists/x_Packages", "etc/machine-id", "usr/bin/busybox", "usr/lib/modules/6/x", "usr/src/x", "lib/ext4.ko"):
    put(path)
put("boot/vmlinuz", "\x7fELF")
sys.exit(int(os.environ.get("FAKE_DEBIAN", "0")))
"""

# Speaks as guest.d/run-job does: says what FAKE_SAYS is, and that the paths of FAKE_GONE went.
QEMU = r"""#!/usr/bin/env python3
import io, os, re, sys, tarfile, time
directory = next(re.search("path=(.*)/stdout$", word).group(1) for word in sys.argv if word.startswith("file,id=stdout"))
out, _, control, changes = (open(f"{directory}/{name}", "wb", 0) for name in ("stdout", "stderr", "control", "changes"))
gone, said = os.environ.get("FAKE_GONE", "").replace(":", "\0").encode(), os.environ.get("FAKE_SAYS", "").encode()
packed = io.BytesIO()
with tarfile.open(fileobj=packed, mode="w") as tar:
    for name, text in ((".penstock-guest-gone", gone), ("new", b"new")):
        member = tarfile.TarInfo(name)
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
changes.write(packed.getvalue())
out.write(said)
for part in b"be", b"gun\nended\nexit 3 %d 0 %d\n" % (len(said), len(packed.getvalue())):
    time.sleep(float(os.environ.get("FAKE_SLOW_S", "0")))
    control.write(part)
time.sleep(1000)
"""


class Machine(unittest.TestCase):
    def setUp(self):
        self.dir = os.path.join(tempfile.mkdtemp(), "a machine")
        self.addCleanup(shutil.rmtree, os.path.dirname(self.dir))
        for name in ("bin", "tmp", "home"):
            os.makedirs(os.path.join(self.dir, name))
        self.env = {"PATH": f"{self.dir}/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": f"{self.dir}/home", "TMPDIR": f"{self.dir}/tmp",
                    "LANG": "C.UTF-8"}
        self.program("id", "#!/bin/sh\necho 0\n")
        self.program("dpkg-query", "#!/bin/sh\nprintf 'ii '\n")

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def put(self, name, text=""):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        return self.path(name)

    def program(self, name, text):
        os.chmod(self.put(f"bin/{name}", text), 0o755)

    def start_tool(self, *words, cwd="/", without=(), **env):
        """In a session of its own. It knows nothing of the host's home."""
        env = {name: value for name, value in {**self.env, **env}.items() if name not in without}
        process = subprocess.Popen(words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   text=True, start_new_session=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        return process

    def run_tool(self, *words, **more):
        return self.end_of(self.start_tool(*words, **more))

    def terminate_when(self, process, exists):
        """End PROCESS by a signal as soon as there is the file EXISTS."""
        self.wait_for_file(exists)
        process.terminate()
        return self.end_of(process)

    def wait_for_file(self, path):
        deadline = time.monotonic() + DEADLINE_S
        while not os.path.exists(path):
            self.assertLess(time.monotonic(), deadline, f"there is no {path}")
            time.sleep(0.05)

    def end_of(self, process):
        try:
            text, _ = process.communicate(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            self.fail(f"it hangs: {process.communicate()[0]}")
        return subprocess.CompletedProcess(process.args, process.returncode, text)

    def shell(self, text, *libs, **more):
        """Bash with parts of tools/lib."""
        head = f"set -euo pipefail\ncd {ROOT}\ntools_dir=$PWD/tools project_dir=$PWD\n" + "".join(f". tools/lib/{lib}.sh\n" for lib in libs)
        return self.run_tool("bash", "-c", head + text, **more)

    def assert_said(self, done, status, *words):
        self.assertEqual(done.returncode, status, done.stdout)
        for word in words:
            self.assertRegex(done.stdout, word)

    def left(self, *names):
        return sorted(os.listdir(self.path(*names))) if os.path.exists(self.path(*names)) else []


class GuestMachine(Machine):
    """Has all that tools/guest calls."""

    def setUp(self):
        super().setUp()
        self.env.update(PENSTOCK_CACHE=self.path("cache"), PENSTOCK_ACCEL="tcg", FAKE_QEMU=self.put("qemu", QEMU))
        self.program("uname", "#!/bin/sh\necho x86_64\n")
        self.program("mmdebstrap", MMDEBSTRAP)
        self.program("chroot", '#!/bin/sh\necho "insmod /lib/ext4.ko"\n')  # as for modprobe
        self.program("cpio", "#!/bin/sh\ncat\n")
        self.program("mke2fs", '#!/bin/sh\nshift $(($# - 2))\n: >"$1"\n')

    def guest(self, *words, **more):
        return self.run_tool(f"{TOOLS}/guest", "--bare", *words, "--", "true", **more)

    def bases(self):
        return [name for name in self.left("cache") if re.fullmatch("base-.*[0-9a-f]{16}", name)]
