# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host that is full of doors, and lib/probe.py that tries them from inside a query and from outside."""

import contextlib
import ctypes
import json
import os
import shutil
import socket

from lib import cgroups
from lib.every_language import words
from lib.service import Gated, Running, as_user, environment, home, run, system

CONTAINER_SOCKETS = ("/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock", "/run/crio/crio.sock",
                     "/run/libvirt/libvirt-sock", "/run/incus/unix.socket")


@contextlib.contextmanager
def listening(path, mode=0o666, uid=0):
    """A socket where PATH is, for whoever comes."""
    made = not os.path.exists(os.path.dirname(path))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    os.chmod(path, mode)
    os.chown(path, uid, uid)
    s.listen(64)
    try:
        yield
    finally:
        s.close()
        os.unlink(path)
        if made:
            os.rmdir(os.path.dirname(path))


def kernel_setting(path, value):
    with open(path, encoding="ascii") as f:
        before = f.read()
    write_setting(path, value)
    return before


def write_setting(path, value):
    with open(path, "w", encoding="ascii") as f:
        f.write(value)


@contextlib.contextmanager
def surroundings():
    """What there is for a probe to find on a host that is full of doors. Yields the facts that it needs."""
    uid = os.stat(home("alice")).st_uid
    with contextlib.ExitStack() as stack:
        for path in CONTAINER_SOCKETS:
            stack.enter_context(listening(path))
        runtime = f"/run/user/{uid}"
        made = not os.path.exists(runtime)
        os.makedirs(runtime, exist_ok=True)
        os.chown(runtime, uid, uid)
        if made:
            stack.callback(shutil.rmtree, runtime)
        stack.enter_context(listening(f"{runtime}/systemd/private", 0o600, uid))
        before = kernel_setting("/proc/sys/vm/nr_hugepages", "64")
        stack.callback(write_setting, "/proc/sys/vm/nr_hugepages", before)
        yama = "/proc/sys/kernel/yama/ptrace_scope"
        if os.path.exists(yama):
            stack.callback(write_setting, yama, kernel_setting(yama, "0"))
        if os.path.ismount("/dev/hugepages"):
            stack.callback(os.chmod, "/dev/hugepages", os.stat("/dev/hugepages").st_mode & 0o7777)
            os.chmod("/dev/hugepages", 0o1777)
        files = [f"/tmp/outside-{os.getpid()}", f"/dev/shm/outside-{os.getpid()}"]
        for path in files:
            as_user("alice", lambda p=path: open(p, "w", encoding="ascii").close())
            stack.callback(os.unlink, path)
        key = 0x50454E53
        as_user("alice", lambda: ctypes.CDLL(None).shmget(key, 4096, 0o1000 | 0o600))
        stack.callback(system, "ipcrm", "-M", str(key))
        outside = Running(["sleep", "1000"])
        bobs = Gated(user="bob")
        with open(f"/proc/{outside.pid}/maps", encoding="ascii") as f:
            address = int(next(line for line in f if " rw-p " in line).split("-")[0], 16)
        daemon = cgroups.pids(f"{cgroups.ROOT}/system.slice/penstockd.service")[0]
        worker = cgroups.pids(f"{cgroups.unit_group(bobs.id)}/worker")[0]
        yield {
            "outside": outside.pid, "address": address, "files": files, "shm_key": key, "other_group": bobs.group,
            "processes": {"bob's query": cgroups.pids(bobs.group)[0], "the worker of bob's query": worker, "penstockd": daemon, "PID 1": 1},
        }


def probe_file():
    """lib/probe.py where alice's queries see it."""
    path = f"{home('alice')}/probe.py"
    shutil.copyfile(os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "lib/probe.py"), path)
    os.chmod(path, 0o644)
    return path


def answers_outside(path, facts):
    env = environment("alice", PROBE=json.dumps(facts), TMPDIR="/var/tmp")
    return json.loads(Running(["python3", path], env=env).wait(300).expect(0).text)


def answers_inside(name, path, facts):
    """Each query has its own worker and group, which the probe finds by itself."""
    return json.loads(run("--env", f"PROBE={json.dumps(facts)}", *words(name, f"python3 {path}"), limit=400).expect(0).text)
