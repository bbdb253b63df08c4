/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a query's surroundings promise, seen from inside: each script runs as the unit's first process, and its exit
 * status is the unit's Result. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "host-check.h"

/* -e: the first line that fails ends it; -x: the journal shows which. */
static void check_script(Check *c, UnitSpec *spec, const char *what, const char *script) {
        char *argv[] = { (char *) "/bin/sh", (char *) "-exuc", (char *) script, NULL };
        CheckUnit *u;

        spec->exec_argv = argv;
        spec->query_id = 0;
        u = start_unit(c, spec);
        if (!check(c, u && wait_for(c, unit_is_gone, u) && strcmp(unit_result(u), "success") == 0, "%s (%s %s)", what,
                   u ? u->start_text : "refused", u ? u->result : "") &&
            u)
                run_command("journalctl --no-pager -o cat -u penstock-q%" PRIu64
                            ".service | sed 's/^/# /' | tail -n 12",
                            u->id);
        if (u)
                check_nothing_left(c, u);
}

#define NO(command) "if " command "; then exit 1; fi\n"

static const char common_script[] = NO("touch /usr/x") NO("touch /etc/x") NO("touch /x") NO("touch "
                                                                                            "/sys/fs/cgroup/"
                                                                                            "penstock.slice/"
                                                                                            "cgroup.freeze") NO(
                "mkdir /sys/fs/cgroup/penstock.slice/x") NO("echo 1 >/proc/sys/vm/drop_caches") NO("mount -t tmpfs x "
                                                                                                   "/tmp")
                NO("unshare -U true") NO("unshare -m true") NO("chown nobody /tmp") NO("cat /dev/kmsg") NO(
                                "ls /run/user") NO("ls /run/dbus") NO("python3 -c 'import socket as s; "
                                                                      "s.socket(s.AF_UNIX).connect(\"/run/systemd/"
                                                                      "private\")'") NO("test -e /dev/vda")
                                NO("ls /home/alice") NO("setpriv --reuid 65534 --regid 65534 --clear-groups test -e "
                                                        "/proc/1/status") NO("systemctl --version >/dev/null && "
                                                                             "systemctl status") NO("busctl list") NO(
                                                "chmod u+s /bin/sh")
                                                NO("hostname other") "touch /tmp/x /var/tmp/x /dev/shm/x\n"
                                                                     "test \"$(awk '/^CapEff:/{print $2}' "
                                                                     "/proc/self/status)\" = 00000000002001e0\n"
                                                                     "test \"$(awk '/^NoNewPrivs:/{print $2}' "
                                                                     "/proc/self/status)\" = 1\n"
                                                                     "test \"$(awk '/^Seccomp:/{print $2}' "
                                                                     "/proc/self/status)\" = 2\n"
                                                                     "test \"$(ulimit -n)\" = 1024; test \"$(ulimit "
                                                                     "-Hn)\" = 524288; test \"$(ulimit -l)\" = "
                                                                     "unlimited\n"
                                                                     "test \"$(cat /proc/self/oom_score_adj)\" = 0; "
                                                                     "test \"$(umask)\" = 0077\n"
                                                                     "test \"$(stat -fc %T /dev/shm)\" = tmpfs; test "
                                                                     "\"$(stat -fc '%b' /dev/shm)\" = 16384\n"
                                                                     "test \"$(stat -c %a /dev/shm)\" = 1777; test "
                                                                     "\"$(stat -c %a /tmp)\" = 1777; test \"$(stat "
                                                                     "-c %a /var/tmp)\" = 1777\n"
                                                                     "test \"$(awk '/^Max core/{print $5}' "
                                                                     "/proc/self/limits)\" = 1\n";

static void check_kinds(Check *c) {
        UnitSpec spec;

        default_spec(&spec);
        check_script(c, &spec, "the sandbox is closed", common_script);
        check_script(c, &spec, "/var/tmp is on disk, /tmp is the unit's own, there is no network",
                     "test \"$(stat -fc %T /var/tmp)\" = ext2/ext3\n"
                     "test -z \"$(ls -A /tmp)\"; test -z \"$(ls -A /var/tmp)\"\n"
                     "test \"$(ls /sys/class/net)\" != x; test \"$(wc -l </proc/net/dev)\" = 3\n");
        spec.tmp_on_disk = false;
        check_script(c, &spec, "/tmp and /var/tmp are in memory, with a size",
                     "for d in /tmp /var/tmp /dev/shm; do\n"
                     "test \"$(stat -fc %T $d)\" = tmpfs; test \"$(stat -fc %b $d)\" = 16384; test \"$(stat -c %a "
                     "$d)\" = 1777\n"
                     "done\n" NO("head -c 70M /dev/zero >/tmp/x"));
        spec.home = UNIT_HOME_READ_ONLY;
        spec.network = true;
        check_script(c, &spec, "homes can be read-only",
                     "test -d /home/bob\n" NO("touch /home/x") NO("ls /run/user"));
        spec.home = UNIT_HOME_READ_WRITE;
        check_script(c, &spec, "homes can be writable",
                     "touch /home/x; rm /home/x\n" NO("touch /usr/x") NO("ls /run/user"));
}

/* The strangest names that may pass, in the places that need binding. */
static const char *const strange_names[] = { "a b",   "per%cent%n",    "co:lon", "back\\slash", "dollar$HOME",
                                             "-dash", "\u00fcn\u00ef", "end\\",  "#hash; semi" };

static void make_strange_directories(StrList *binds, StrList *read_only, char *script, size_t size) {
        char path[256];

        run_command("rm -rf /tmp/check /srv/check; mkdir -p /tmp/check /srv/check/rw; touch /tmp/check/file; chmod "
                    "777 /srv/check/rw");
        for (size_t i = 0; i < ELEMENTSOF(strange_names); i++) {
                size_t used = strlen(script);

                snprintf(path, sizeof path, "/tmp/check/%s", strange_names[i]);
                mkdir(path, 0777);
                chmod(path, 0777);
                strlist_add(i % 2 ? binds : read_only, path);
                snprintf(script + used, size - used, "findmnt '%s' >&2\nif %stouch '%s/x'; then exit 1; fi\n", path,
                         i % 2 ? "! " : "", path);
        }
}

static void check_paths(Check *c) {
        static const char *const bad[] = { "/tmp/check/new\nExecStopPost=/bin/touch /tmp/pwned", "/tmp/check/a'b",
                                           "/tmp/check/a\"b", "/tmp/check/\xff", "/tmp/check/../x" };
        CLEANUP(strlist_done) StrList binds = {}, read_only = {};
        CLEANUP(pairlist_done) PairList extra = {};
        char script[8192] = "";
        UnitSpec spec;

        make_strange_directories(&binds, &read_only, script, sizeof script);
        strlist_add(&binds, "/tmp/check/file");
        strlist_add(&binds, "/tmp/check/vanished");
        pairlist_set(&extra, "ReadWritePaths", "/srv/check/rw /srv/check/vanished");
        strcat(script, "test -f /tmp/check/file; touch /srv/check/rw/x\n" NO("touch /srv/check/x")
                                       NO("test -e /tmp/check/vanished") "test \"$(ls /tmp)\" = check\n");
        default_spec(&spec);
        spec.bind_paths = &binds;
        spec.bind_read_only_paths = &read_only;
        spec.extra = &extra;
        check_script(c, &spec, "paths are bound under their own names, however strange", script);
        spec.tmp_on_disk = false;
        check_script(c, &spec, "\u2026 into a tmpfs too", script);

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                CLEANUP(strlist_done) StrList one = {};

                strlist_add(&one, bad[i]);
                default_spec(&spec);
                spec.bind_paths = &one;
                spec.exec_argv = (char *[]) { (char *) "/bin/true", NULL };
                check(c, !start_unit(c, &spec), "a path that can't be passed on is refused (%zu)", i);
        }
}

static void check_extra(Check *c) {
        CLEANUP(pairlist_done) PairList extra = {};
        UnitSpec spec;

        default_spec(&spec);
        pairlist_set(&extra, "MemoryDenyWriteExecute", "yes");
        pairlist_set(&extra, "Nice", "5");
        pairlist_set(&extra, "CPUWeight", "50");
        pairlist_set(&extra, "LimitNOFILE", "512");
        pairlist_set(&extra, "InaccessiblePaths", "/usr/share /no/such/path");
        pairlist_set(&extra, "RestrictAddressFamilies", "AF_PACKET");
        pairlist_set(&extra, "SystemCallFilter", "@mount");
        spec.extra = &extra;
        check_script(c, &spec, "a language's own properties count",
                     "test \"$(nice)\" = 5; test \"$(ulimit -n)\" = 512; test \"$(ulimit -Hn)\" = 512\n" NO(
                                     "ls /usr/share") "test \"$(cat /sys/fs/cgroup$(sed -n s/^0:://p "
                                                      "/proc/self/cgroup)/cpu.weight)\" = 50\n");
}

void check_sandbox(Check *c) {
        check_kinds(c);
        check_paths(c);
        check_extra(c);
}
