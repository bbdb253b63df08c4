# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian packages on a machine without Penstock. One story, whose tests follow each other: install, use, upgrade, remove,
install again, purge. `tools/package --test` boots the machine and has the packages at hand."""

import glob
import io
import os
import re
import stat
import subprocess
import tarfile
import urllib.request

from lib import cgroups
from lib.examples import SOURCE, compiled, orders, run_example
from lib.harness import expect, expect_equal, expect_in, test, wait_for
from lib.service import DAEMON, Gated, bus_property, ctl, daemon_pid, home, run, submit, system, unit_property, wait_for_state

PACKAGES = "/share/packages"
NEXT = "/share/next"  # the same under a higher version
NAMES = ["cockpit-penstock", "libpenstock-dev", "libpenstock0", "penstock", "penstock-exporter"]
SOCKET, EXPORTER = "penstock-worker.socket", "penstock-exporter.socket"
OURS = "/etc/penstock/penstock.conf.d/10-operator.conf"
DOCUMENTS = "./usr/share/doc/penstock"
CATALOG_ENTRY = "0b5e6b0cf3d14a0fb6c3a3d9b2b0e101"
GUEST_JOB = "penstock-guest-job.service"  # what runs this
STARTED = "39f53479d3a045ac8e11786248231fbf"  # systemd's message that a unit was started

# Not the host's own, or written by whatever runs: the kernel's, logs, what packages are made of, and what installing anything
# leaves. The rest of the tree must be as it was.
NOT_COMPARED = re.compile(
    r"/(proc|sys|dev|run|share|tmp|lost\+found|usr/src|usr/local/lib/penstock-guest|root/penstock-test\.[^/]*)(/|$)"
    r"|/var/(log|cache|tmp|backups|lib/(dpkg|apt|systemd/(deb-systemd-helper-[^/]*|catalog/database|timers|random-seed)))(/|$)"
    r"|/etc/(\.pwd\.lock|(passwd|group|shadow|gshadow|subuid|subgid)-?)$"
)


def tree():
    """Every path, with its type and permissions."""
    found = {}
    for directory, directories, files in os.walk("/"):
        directories[:] = [d for d in directories if not NOT_COMPARED.match(os.path.join(directory, d))]
        for name in directories + files:
            path = os.path.join(directory, name)
            if not NOT_COMPARED.match(path):
                found[path] = stat.filemode(os.lstat(path).st_mode)
    return found


def accounts():
    found = set()
    for name in ("passwd", "group"):
        with open(f"/etc/{name}", encoding="utf-8") as f:
            found |= {f"{name}: {line.split(':')[0]}" for line in f}
    return found


before = {}  # what a later test compares with


def apt(verb, *words):
    done = system("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--yes", "--no-install-recommends", verb, *words,
                  limit=600)
    expect("newly installed" in done.text, f"apt-get {verb}: {done}")
    return done.text


def install(directory, *options):
    return apt("install", *options, *sorted(glob.glob(f"{directory}/*.deb")))


def installed():
    """The version of each package that is installed."""
    text = system("dpkg-query", "--show", "--showformat=${Package} ${Version} ${db:Status-Status}\n", "*penstock*", check=False).text
    return {line.split()[0]: line.split()[1] for line in text.splitlines() if line.endswith(" installed")}


def enabled(unit):
    return system("systemctl", "is-enabled", unit, check=False).text.strip()


def active(unit):
    return unit_property(unit, "ActiveState")


def starts():
    """How often penstockd.service was started, as PID 1 tells."""
    return len(system("journalctl", "--quiet", "--output=cat", "_PID=1", f"MESSAGE_ID={STARTED}", f"UNIT={DAEMON}").text.splitlines())


def units():
    """Every unit of ours that PID 1 has loaded. (It knows names, too, that a link names without a unit.)"""
    found = [line.split() for line in system("systemctl", "list-units", "--all", "--plain", "--no-legend", "*penstock*").text.splitlines()]
    return [words[0] for words in found if words[1] == "loaded" and words[0] != GUEST_JOB]


@test("apt installs all packages at once, with nothing but what Debian has")
def installing():
    before.update(tree=tree(), accounts=accounts())
    said = install(PACKAGES)
    expect_equal(sorted(installed()), NAMES, "the packages that are installed")
    expect_in(f" {len(NAMES)} newly installed", said, "what apt says")
    # The guest's dpkg leaves documentation out.
    bad = [line for line in system("dpkg", "--verify", *NAMES).text.splitlines() if not re.search(" /usr/share/(doc|man)/", line)]
    expect_equal(bad, [], "dpkg --verify")


@test("what README.md names and shows lies beside it; of CONTRIBUTING.md only the source has one")
def readme():
    package = glob.glob(f"{PACKAGES}/penstock_*.deb")[0]
    readme = f"{DOCUMENTS}/README.md"
    contents = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(contents)) as tar:
        text = tar.extractfile(readme).read().decode()
        names = tar.getnames()
    linked = re.findall(r"\]\((?!https?:)([^)]+)\)|`([\w/-]+\.md)`", text)
    paths = {f"{DOCUMENTS}/{link or name}" for link, name in linked}
    expect(len(paths) > 10, f"links of README.md: {paths}")
    expect_equal(paths - set(names), {f"{DOCUMENTS}/CONTRIBUTING.md"}, "what README.md names and the package has not")


@test("after that the service and the exporter's socket are enabled and run, penstockd at its first attempt")
def running():
    for unit in (DAEMON, SOCKET, EXPORTER):
        expect_equal((enabled(unit), active(unit)), ("enabled", "active"), unit)
        file = os.path.realpath(unit_property(unit, "FragmentPath"))  # Debian 12 says /lib
        expect_equal(file, f"/usr/lib/systemd/system/{unit}", f"the file of {unit}")
    expect_equal(unit_property(DAEMON, "NRestarts"), "0", "restarts of penstockd")
    ctl("config", "check", user="root", cwd="/").expect(0)


@test("what other parts of the system are told is in force: accounts, the bus, polkit's actions, the journal's catalog")
def told():
    made = accounts() - before["accounts"]
    expect_equal(made, {"group: penstock", "group: penstock-exporter", "passwd: penstock-exporter"}, "accounts that were made")
    expect_equal(bus_property("ConcurrencyQuota"), "4", "a property, over the bus")
    expect_in("org.penstock1.submit", system("pkaction").text, "polkit's actions")
    expect_in("Penstock", system("journalctl", "--list-catalog", CATALOG_ENTRY).text, "the catalog")


@test("who is not in the group penstock is refused and told of it; once he is, he runs queries, attached and detached")
def using():
    run("--", "echo", "hello").expect(125, "PermissionDenied", ["penstock"])
    system("usermod", "--append", "--groups", "penstock", "alice")
    expect_equal(run("--", "echo", "hello").expect(0).text, "hello\n", "an attached query")
    for language, text in (("sqlite", "select 6 * 7"), ("python", "print(6 * 7)"), ("shell", "echo $((6 * 7))")):
        expect_equal(run("--language", language, text).expect(0).text, "42\n", language)
    query = str(submit("--language", "sqlite", "select 6 * 7"))
    ctl("wait", query).expect(0)
    expect_equal(ctl("results", query).expect(0).text, "42\n", "a detached query")
    ctl("done", query).expect(0)


@test("the packages' own tests pass (debian/tests)")
def autopkgtest():
    with open(f"{SOURCE}/debian/tests/control", encoding="utf-8") as f:
        names = re.findall(r"^Tests: (.*)$", f.read(), flags=re.M)
    expect(len(names) >= 2, f"tests: {names}")
    for name in names:
        system("env", f"--chdir={SOURCE}", f"debian/tests/{name}", limit=300)


@test("libpenstock-dev is enough to compile both examples of docs/client.md, which run queries")
def library():
    for number, count in ((0, 7), (1, 9)):
        with orders(count), compiled(number) as program:
            expect_equal(run_example(program).expect(0).text, f"{count}\n", f"what example {number} prints")


@test("the exporter serves penstockd's metrics to whoever asks on its port of the loopback interface")
def metrics():
    with urllib.request.urlopen("http://127.0.0.1:17367/metrics", timeout=120) as answer:
        text = answer.read().decode()
    expect_in("\npenstock_all_active 0\n", text, "the metrics")
    expect_in('penstock_requests_total{result="success"}', text, "the metrics")


@test("Cockpit finds its page")
def cockpit():
    expect_in("/usr/share/cockpit/penstock", system("cockpit-bridge", "--packages").text, "the pages that Cockpit has")


@test("an upgrade while queries run restarts penstockd once, and they go on: one grows afterwards, one is detached; all end right")
def upgrading():
    gate = f"{home('alice')}/go"
    growing = Gated("b = bytearray(200 << 20); print(len(b))")
    detached = submit("--language", "shell", f"until [ -e {gate} ]; do sleep 0.1; done; echo detached")
    wait_for_state(detached, "executing")
    engines = {q: cgroups.pids(cgroups.engine_group(q)) for q in (growing.id, detached)}
    old, pid, count = installed(), daemon_pid(), starts()

    install(NEXT)
    new = installed()
    for name in NAMES:
        expect(old[name] != new[name], f"{name} was not upgraded: {old[name]}, {new[name]}")
    wait_for(lambda: daemon_pid() not in (0, pid), "another penstockd runs")
    expect_equal(starts() - count, 1, "starts of penstockd")
    for query, pids in engines.items():
        expect(pids and pids[0] in cgroups.pids(cgroups.engine_group(query)), f"query {query} runs in the process that it had: {pids}")

    growing.go()
    expect_equal(growing.wait().expect(0).text, f"{200 << 20}\n", "what the growing one prints")
    with open(gate, "w", encoding="ascii"):
        pass
    ctl("wait", str(detached)).expect(0)
    expect_equal(ctl("results", str(detached)).expect(0).text, "detached\n", "what the detached one printed")
    ctl("done", str(detached)).expect(0)
    os.unlink(gate)
    expect_equal(run("--", "echo", "new").expect(0).text, "new\n", "a query afterwards")
    metrics()


@test("what the operator disabled and stopped is left so by an upgrade")
def disabled():
    system("systemctl", "disable", "--now", DAEMON, EXPORTER)
    install(NEXT, "--reinstall")
    for unit in (DAEMON, SOCKET, EXPORTER):
        expect_equal((enabled(unit), active(unit)), ("disabled", "inactive"), unit)
    system("systemctl", "enable", "--now", DAEMON, EXPORTER)


@test("removing ends running queries as a stop does, and their callers are told; configuration and results stay, and no unit does")
def removing():
    with open(OURS, "w", encoding="ascii") as f:
        f.write("[Controller]\nConcurrencyQuota=3\n")
    system("systemctl", "reload", DAEMON)
    kept = submit("--", "echo", "kept")
    ctl("wait", str(kept)).expect(0)
    running = Gated()
    before["id"] = running.id

    apt("remove", *NAMES)
    running.wait().expect(125, "ShuttingDown")
    expect_equal(installed(), {}, "packages that are installed")
    expect(not os.path.exists(cgroups.SLICE), "the slice's group is gone")
    expect_equal(units(), [], "units that are left")
    expect(os.path.exists(OURS), f"{OURS} is there")
    expect(glob.glob("/var/lib/penstock/results/*"), "results are there")
    for place in ("/usr/lib/penstock", "/run/systemd/system.control/penstock.slice.d"):
        expect(not os.path.exists(place), f"{place} is gone")


@test("installed again, it has the configuration that it had, knows what was there, and IDs go on")
def again():
    install(NEXT)
    expect_equal(bus_property("ConcurrencyQuota"), "3", "ConcurrencyQuota")
    query = submit("--", "echo", "again")
    expect(query > before["id"], f"IDs go on: {before['id']}, {query}")
    ctl("wait", str(query)).expect(0)


@test("purging leaves nothing: no file, no unit, no group of control; the accounts stay, as Debian's rules have it")
def purging():
    apt("purge", *NAMES)
    after = tree()
    expect_equal(sorted(set(after.items()) - set(before["tree"].items())), [], "what is there more, or otherwise")
    expect_equal(sorted(set(before["tree"]) - set(after)), [], "what is there no more")
    expect_equal(units(), [], "units that are left")
    expect_equal(glob.glob("/run/penstock*") + glob.glob("/run/systemd/system.control/penstock*"), [], "what is left in /run")
    expect(not os.path.exists(cgroups.SLICE), "the slice's group is gone")
    files = system("systemctl", "list-unit-files", "--no-legend", "penstock*").text.splitlines()
    expect_equal([line.split()[0] for line in files], [GUEST_JOB], "unit files")
    expect_in("group: penstock", accounts(), "accounts")


@test("a disk of its own for the state is emptied by a purge, and stays mounted")
def disk_of_its_own():
    state = "/var/lib/penstock"
    os.mkdir(state)
    system("mount", "-t", "tmpfs", "penstock-state", state)
    install(NEXT)
    submit("--", "true")
    expect(os.listdir(state), "there is state on the disk")
    apt("purge", *NAMES)
    expect(os.path.ismount(state), "it is mounted")
    expect_equal(os.listdir(state), [], "what is left on it")
    expect_equal(installed(), {}, "packages that are installed")
    system("umount", state)
    os.rmdir(state)
