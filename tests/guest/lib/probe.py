# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a hostile engine tries. Runs by itself, as a child of an engine or outside of any, and prints what the kernel answered to each
attempt: {name: "worked" or the error's name}. What it needs to know comes as JSON in PROBE."""

import array
import ctypes
import errno
import json
import mmap
import os
import socket
import stat
import subprocess
import sys

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
facts = json.loads(os.environ["PROBE"])
answers = {}
SYS = {"ptrace": 101, "pivot_root": 155, "swapon": 167, "init_module": 175, "finit_module": 313, "process_vm_readv": 310,
       "process_vm_writev": 311, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "io_uring_setup": 425, "open_tree": 428, "move_mount": 429,
       "fsopen": 430, "clone3": 435, "pidfd_open": 434, "pidfd_getfd": 438, "shmget": 29, "kexec_load": 246, "setns": 308,
       "add_key": 248, "mount_setattr": 442, "memfd_create": 319, "unshare": 272}


def attempt(name, function, *a, **more):
    try:
        function(*a, **more)
        answers[name] = "worked"
    except OSError as e:
        answers[name] = errno.errorcode.get(e.errno, str(e.errno))
    except (ValueError, subprocess.TimeoutExpired) as e:
        answers[name] = type(e).__name__


def call(name, *a):
    # else an integer would be passed as 32 bits
    result = libc.syscall(ctypes.c_long(SYS[name]), *(ctypes.c_long(x) if isinstance(x, int) else x for x in a))
    if result < 0:
        e = ctypes.get_errno()
        raise OSError(e, name)
    return result


def libcall(name, *a):
    if getattr(libc, name)(*a) < 0:
        e = ctypes.get_errno()
        raise OSError(e, name)


def write(path, text):
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def make(path):
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    os.unlink(path)


def connect(path):
    """By whatever kind of socket it is."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        s = socket.socket(socket.AF_UNIX, kind)
        try:
            s.connect(path)
            return
        except OSError as e:
            if e.errno != errno.EPROTOTYPE:
                raise
        finally:
            s.close()
    raise OSError(errno.EPROTOTYPE, path)


def program(*argv, text=""):
    try:
        done = subprocess.run(argv, input=text.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
    except FileNotFoundError:
        raise OSError(errno.ENOENT, argv[0]) from None
    if done.returncode != 0:
        raise OSError(errno.EACCES, argv[0])


def groups():
    own = open("/proc/self/cgroup", encoding="ascii").read().strip().split(":", 2)[2]
    group = "/sys/fs/cgroup" + own
    above = [os.path.dirname(group), os.path.dirname(os.path.dirname(group)), "/sys/fs/cgroup"]
    for name in ("memory.max", "memory.high", "memory.swap.max", "memory.oom.group", "pids.max", "cgroup.freeze", "cgroup.kill",
                 "cgroup.subtree_control", "cgroup.type", "memory.reclaim", "cgroup.procs", "cgroup.threads"):
        for place in (group, *above[:2], facts["other_group"]):
            if os.path.exists(f"{place}/{name}"):
                attempt(f"group: open {name} of {place}", lambda p: os.close(os.open(p, os.O_WRONLY)), f"{place}/{name}")
    for place in (*above, f"{above[0]}/worker", facts["other_group"]):
        attempt(f"group: move to {place}", write, f"{place}/cgroup.procs", "0")
        attempt(f"group: make one in {place}", os.mkdir, f"{place}/own")
    attempt("group: make one in its own", os.mkdir, f"{group}/own")
    fd = os.open("/sys/fs/cgroup/penstock.slice", os.O_RDONLY | os.O_DIRECTORY)
    arguments = array.array("Q", [1 << 33, 0, 0, 0, 17, 0, 0, 0, 0, 0, fd])  # CLONE_INTO_CGROUP

    def clone():
        pid = call("clone3", arguments.buffer_info()[0], len(arguments) * 8)
        if pid == 0:
            os._exit(0)

    attempt("group: be born in the slice", clone)


SOCKETS = ("/run/dbus/system_bus_socket", "/run/systemd/private", "/run/systemd/notify", "/run/penstock-worker/socket",
           "/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock", "/run/crio/crio.sock",
           "/run/libvirt/libvirt-sock", "/run/incus/unix.socket")


def sockets():
    user = f"/run/user/{os.getuid()}"
    for path in (*SOCKETS, f"{user}/systemd/private"):
        attempt(f"socket: {path}", connect, path)
        attempt(f"socket: {path} as another process sees it", connect, f"/proc/{facts['outside']}/root{path}")
    for path in (user, "/run/penstock", "/var/lib/penstock", "/run/penstock-worker", f"/proc/{facts['outside']}/root{user}",
                 f"/proc/{facts['outside']}/cwd"):
        attempt(f"list: {path}", os.listdir, path)
    kinds = {"AF_PACKET": socket.SOCK_RAW, "AF_NETLINK": socket.SOCK_RAW, "AF_ALG": socket.SOCK_SEQPACKET}
    for family in ("AF_PACKET", "AF_NETLINK", "AF_ALG", "AF_VSOCK", "AF_BLUETOOTH", "AF_CAN", "AF_TIPC"):
        if hasattr(socket, family):
            attempt(f"socket: {family}", lambda f: socket.socket(getattr(socket, f), kinds.get(f, socket.SOCK_STREAM)).close(), family)


def processes():
    own = open("/proc/self/cgroup", encoding="ascii").read().strip().split(":", 2)[2]
    if own.endswith("/engine"):
        with open(f"/sys/fs/cgroup{os.path.dirname(own)}/worker/cgroup.procs", encoding="ascii") as f:
            facts["processes"]["its worker"] = int(f.read())
    for what, pid in facts["processes"].items():
        attempt(f"process: signal {what}", os.kill, pid, 0)
        attempt(f"process: see {what}", os.stat, f"/proc/{pid}")
    buffer = ctypes.create_string_buffer(16)
    local = array.array("Q", [ctypes.addressof(buffer), 16])
    for what, pid in {**facts["processes"], "the user's own outside": facts["outside"]}.items():
        attempt(f"process: trace {what}", call, "ptrace", 16, pid, 0, 0)
        attempt(f"process: write memory of {what}", os.open, f"/proc/{pid}/mem", os.O_RDWR)
        attempt(f"process: root of {what}", os.listdir, f"/proc/{pid}/root/")
        attempt(f"process: environment of {what}", lambda p: open(p, "rb").read(), f"/proc/{pid}/environ")
        attempt(f"process: descriptors of {what}", os.listdir, f"/proc/{pid}/fd")
        remote = array.array("Q", [facts["address"], 16])
        for name in ("process_vm_readv", "process_vm_writev"):
            attempt(f"process: {name} of {what}", call, name, pid, local.buffer_info()[0], 1, remote.buffer_info()[0], 1, 0)
        attempt(f"process: take a descriptor of {what}", lambda p: call("pidfd_getfd", os.pidfd_open(p), 1, 0), pid)
        attempt(f"process: enter namespaces of {what}", lambda p: call("setns", os.open(f"/proc/{p}/ns/mnt", os.O_RDONLY), 0), pid)


def privileges():
    attempt("root: setuid", os.setuid, 0)
    attempt("root: setgid", os.setgid, 0)
    attempt("root: setgroups", os.setgroups, [0])
    attempt("root: device", os.mknod, f"{os.environ['TMPDIR']}/m", stat.S_IFCHR | 0o600, os.makedev(1, 1))
    path = f"{os.environ['TMPDIR']}/s"
    open(path, "w", encoding="ascii").close()
    attempt("root: set-user-ID", os.chmod, path, 0o4755)
    os.unlink(path)
    attempt("root: chroot", os.chroot, "/")
    for name, flag in (("user", 1 << 28), ("mount", 1 << 17), ("PID", 1 << 29), ("network", 1 << 30), ("IPC", 1 << 27), ("UTS", 1 << 26),
                       ("cgroup", 1 << 25), ("time", 1 << 7)):
        attempt(f"namespace: {name}", call, "unshare", flag)
        arguments = array.array("Q", [flag, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0])

        def clone(a):
            pid = call("clone3", a.buffer_info()[0], len(a) * 8)
            if pid == 0:
                os._exit(0)

        attempt(f"namespace: clone3 into {name}", clone, arguments)
    attempt("kernel: init_module", call, "init_module", b"", 0, b"")
    attempt("kernel: finit_module", call, "finit_module", 0, b"", 0)
    attempt("kernel: kexec", call, "kexec_load", 0, 0, 0, 0)
    attempt("kernel: bpf", call, "bpf", 0, 0, 0)
    attempt("kernel: perf", call, "perf_event_open", 0, 0, -1, -1, 0)
    attempt("kernel: userfaultfd", lambda: os.close(call("userfaultfd", 0)))
    attempt("kernel: mount", libcall, "mount", b"none", b"/tmp", b"tmpfs", 0, None)
    attempt("kernel: fsopen", call, "fsopen", b"tmpfs", 0)
    attempt("kernel: open_tree", call, "open_tree", -100, b"/", 1)
    attempt("kernel: make a mount writable", call, "mount_setattr", -100, b"/", 0, (ctypes.c_uint64 * 4)(0, 1, 0, 0), 32)
    attempt("kernel: move_mount", call, "move_mount", -100, b"/tmp", -100, b"/var/tmp", 0)
    attempt("kernel: unmount", libcall, "umount2", b"/tmp", 2)
    attempt("kernel: host name", libcall, "sethostname", b"x", 1)
    attempt("kernel: modprobe", program, "modprobe", "dummy")
    for path in ("/proc/sys/vm/overcommit_memory", "/proc/sys/kernel/core_pattern", "/sys/kernel/mm/transparent_hugepage/enabled", "/proc/sysrq-trigger"):
        attempt(f"kernel: write {path}", os.open, path, os.O_WRONLY)


class IoUring(ctypes.Structure):
    _fields_ = [("words", ctypes.c_uint32 * 30)]


def memory():
    for value in ("-1", "-500", "-1000"):
        attempt(f"memory: oom_score_adj {value}", write, "/proc/self/oom_score_adj", value)
    attempt("memory: oom_score_adj of its parent", write, f"/proc/{os.getppid()}/oom_score_adj", "-1")
    # 2 MiB pages; outside they are there for the taking
    size = 64 << 20

    def huge():
        p = libc.mmap(None, ctypes.c_size_t(size), 3, 0x22 | 0x40000, -1, ctypes.c_long(0))
        if p == ctypes.c_void_p(-1).value:
            raise OSError(ctypes.get_errno(), "mmap")
        libc.munmap(ctypes.c_void_p(p), ctypes.c_size_t(size))

    def huge_file():
        fd = call("memfd_create", b"x", 4)
        os.ftruncate(fd, size)
        mmap.mmap(fd, size).close()
        os.close(fd)

    attempt("memory: huge pages", huge)
    attempt("memory: huge pages of a memfd", huge_file)
    attempt("memory: huge pages of shmget", call, "shmget", 0, size, 0o4000 | 0o1000 | 0o600)
    attempt("memory: huge pages of a file", make, "/dev/hugepages/own")
    attempt("memory: io_uring", lambda: os.close(call("io_uring_setup", 1, ctypes.byref(IoUring()))))
    attempt("memory: swapon", call, "swapon", b"/dev/zero", 0)


def programs():
    attempt("program: su", program, "su", "-c", "true", "root")
    attempt("program: pkexec", program, "pkexec", "true")
    attempt("program: systemctl", program, "systemctl", "start", "penstock.slice")
    attempt("program: systemd-run", program, "systemd-run", "true")
    attempt("program: systemd-run --user", program, "systemd-run", "--user", "--quiet", "--wait", "true")
    attempt("program: at", program, "at", "now + 1 day", text="true\n")
    attempt("program: crontab", program, "crontab", "-", text="0 0 1 1 * true\n")
    attempt("program: penstockctl", program, "penstockctl", "status")


def files():
    for path in facts["files"]:
        attempt(f"file: {path}", os.stat, path)
    attempt("file: System V memory", call, "shmget", facts["shm_key"], 0, 0)
    for path in ("/etc", "/usr", "/var/lib", "/var/log", "/boot", "/opt", "/srv", "/var/spool/cron/crontabs", "/var/spool/cron/atjobs",
                 "/run", "/run/systemd/transient", "/dev", "/sys/fs/cgroup", "/home/bob", os.path.expanduser("~")):
        attempt(f"file: in {path}", make, f"{path}/penstock-was-here")


for part in (groups, sockets, processes, memory, files, programs, privileges):
    part()
json.dump(answers, sys.stdout)
