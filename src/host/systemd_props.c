/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/language.h"
#include "core/words.h"
#include "host/systemd_props.h"
#include "host/systemd_props_lists.h"

typedef struct Property {
        const char *name;
        char type; /* of D-Bus: b i u t s */
        union {
                int b;
                int32_t i;
                uint32_t u;
                uint64_t t;
                const char *s;
        };
} Property;

#define NOFILE_SOFT 1024   /* what select(2) bears; the worker sets the caller's own */
#define NOFILE_HARD 524288 /* systemd's default: a caller's limits fit under it */

/* The same for every query. */
static const Property fixed_properties[] = {
        { "Type", 's', .s = "exec" },
        { "CollectMode", 's', .s = "inactive-or-failed" },
        { "AddRef", 'b', .b = 1 },
        { "TimeoutStartUSec", 't', .t = UNIT_TIMEOUT_START_USEC },
        { "TimeoutStopUSec", 't', .t = UNIT_TIMEOUT_STOP_USEC },
        { "KillMode", 's', .s = "mixed" },
        { "SendSIGKILL", 'b', .b = 1 },

        /* the group and what it is charged for */
        { "Delegate", 'b', .b = 1 },
        { "OOMPolicy", 's', .s = "continue" },
        { "ManagedOOMPreference", 's', .s = "avoid" },
        { "OOMScoreAdjust", 'i', .i = 0 },
        { "MemoryAccounting", 'b', .b = 1 },
        { "CPUAccounting", 'b', .b = 1 },
        { "IOAccounting", 'b', .b = 1 },
        { "TasksAccounting", 'b', .b = 1 },
        { "MemorySwapMax", 't', .t = 0 },
        { "CPUWeight", 't', .t = 100 },
        { "IOWeight", 't', .t = 100 },

        /* the worker's surroundings */
        { "StandardInput", 's', .s = "null" },
        { "StandardOutput", 's', .s = "null" },
        { "StandardError", 's', .s = "journal" },
        { "SyslogIdentifier", 's', .s = "penstock-worker" },
        { "UMask", 'u', .u = 0077 },
        { "IgnoreSIGPIPE", 'b', .b = 0 },
        { "KeyringMode", 's', .s = "private" },
        { "LimitCORE", 't', .t = 1 },
        { "LimitCORESoft", 't', .t = 1 },
        { "LimitMEMLOCK", 't', .t = UINT64_MAX },
        { "LimitMEMLOCKSoft", 't', .t = UINT64_MAX },
        { "LimitNOFILE", 't', .t = NOFILE_HARD },
        { "LimitNOFILESoft", 't', .t = NOFILE_SOFT },

        /* the sandbox */
        { "NoNewPrivileges", 'b', .b = 1 },
        /* SETPCAP lets the worker's child empty its bounding set before exec; SYS_ADMIN lets it make the caller's directories writable
         * in the unit, see worker/child_mounts. */
        { "CapabilityBoundingSet", 't',
          .t = 1u << CAP_SETUID | 1u << CAP_SETGID | 1u << CAP_KILL | 1u << CAP_SETPCAP | 1u << CAP_SYS_ADMIN },
        { "PrivateDevices", 'b', .b = 1 },
        { "PrivateIPC", 'b', .b = 1 },
        { "ProtectSystem", 's', .s = "strict" },
        { "ProtectControlGroups", 'b', .b = 1 },
        { "ProtectKernelTunables", 'b', .b = 1 },
        { "ProtectKernelModules", 'b', .b = 1 },
        { "ProtectKernelLogs", 'b', .b = 1 },
        { "ProtectClock", 'b', .b = 1 },
        { "ProtectHostname", 'b', .b = 1 },
        { "ProtectProc", 's', .s = "invisible" },
        { "RestrictSUIDSGID", 'b', .b = 1 },
        { "RestrictNamespaces", 't', .t = 0 }, /* the kinds that stay allowed: none */
        { "RestrictRealtime", 'b', .b = 1 },
        { "LockPersonality", 'b', .b = 1 },
        { "SystemCallErrorNumber", 'i', .i = EPERM },
};

/* "-": may be missing. Whoever reaches one of these can have a process started outside the query's limits, or read
 * what is not the query's business. */
static const char *const inaccessible_paths[] = {
        "-/run/user", /* the caller's own service manager and session bus */
        "-/run/dbus",
        "-/run/systemd/private",
        "-/run/systemd/notify",
        "-/run/systemd/io.system.ManagedOOM",
        "-/run/systemd/io.systemd.ManagedOOM",
        "-/run/systemd/io.systemd.Manager",
        "-/run/penstock",
        "-/var/lib/penstock",
        "-/run/docker.sock",
        "-/run/docker",
        "-/run/cri-dockerd.sock",
        "-/run/k3s",
        "-/run/buildkit",
        "-/run/containerd",
        "-/run/podman",
        "-/run/crio",
        "-/run/incus",
        "-/run/lxd.socket",
        "-/var/lib/incus",
        "-/var/lib/lxd",
        "-/var/snap/lxd",
        "-/run/libvirt",
        "-/run/snapd.socket",
        "-/run/screen", /* a terminal outside, to type into */
        "-/dev/hugepages",
};

char *systemd_hidden_paths(void) {
        char *text = NULL;
        size_t len;
        FILE *f = open_memstream(&text, &len);
        struct stat st;

        if (!f)
                return NULL;
        for (size_t i = 0; i < ELEMENTSOF(inaccessible_paths); i++)
                if (lstat(inaccessible_paths[i] + 1, &st) < 0)
                        fputs("- ", f);
                else
                        fprintf(f, "%llu:%llu ", (unsigned long long) st.st_dev, (unsigned long long) st.st_ino);
        if (memstream_close(f, &text) == 0)
                return text;
        free(text);
        return NULL;
}

/* Not AF_NETLINK: what waits in its sockets is charged to nobody (Linux, net/netlink/af_netlink.c), a query could take all memory
 * of the host by it. glibc's resolver does without. */
static const char *const address_families[] = { "AF_UNIX", "AF_INET", "AF_INET6" };
/* Landlock's, for the worker's child (worker/child_fence); systemd's list has them only since 254. */
static const char *const system_calls[] = {
        "@system-service",
        "landlock_create_ruleset",
        "landlock_add_rule",
        "landlock_restrict_self",
        /* The worker's, too (worker/child_mounts): whoever has no capability can do nothing with them. */
        "open_tree",
        "mount_setattr",
        "move_mount",
};

static int append_property(sd_bus_message *m, const Property *p) {
        switch (p->type) {
        case 'b': return sd_bus_message_append(m, "(sv)", p->name, "b", p->b);
        case 'i': return sd_bus_message_append(m, "(sv)", p->name, "i", p->i);
        case 'u': return sd_bus_message_append(m, "(sv)", p->name, "u", p->u);
        case 't': return sd_bus_message_append(m, "(sv)", p->name, "t", p->t);
        case 's': return sd_bus_message_append(m, "(sv)", p->name, "s", p->s);
        default: return -EINVAL;
        }
}

static int append_u64(sd_bus_message *m, const char *name, uint64_t value) {
        return append_property(m, &(Property) { name, 't', .t = value });
}

/* /dev/shm always: what a dead query leaves in the host's stays charged to the slice. /tmp and /var/tmp when the
 * language wants memory; else PrivateTmp=, with /var/tmp on disk. PrivateTmp= wins over TemporaryFileSystem=/tmp on
 * both 252 and 257, so there is no having one of each. */
static int append_tmp(sd_bus_message *m, const UnitSpec *spec) {
        char options[96], size[32] = "50%";
        const char *const paths[] = { "/dev/shm", "/tmp", "/var/tmp" };
        int r;

        if (spec->tmpfs_bytes > 0 && spec->tmpfs_bytes != SIZE_INFINITY)
                snprintf(size, sizeof size, "%" PRIu64, spec->tmpfs_bytes);
        snprintf(options, sizeof options, "size=%s,mode=1777,nosuid,nodev", size);

        r = append_property(m, &(Property) { "PrivateTmp", 'b', .b = spec->tmp_on_disk });
        if (r >= 0)
                r = props_open(m, "TemporaryFileSystem", "a(ss)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(ss)");
        for (size_t i = 0; r >= 0 && i < (spec->tmp_on_disk ? 1 : ELEMENTSOF(paths)); i++)
                r = sd_bus_message_append(m, "(ss)", paths[i], options);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : props_close(m);
}

static int append_exec(sd_bus_message *m, char *const *argv) {
        int r = props_open(m, "ExecStart", "a(sasb)");

        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sasb)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'r', "sasb");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", argv[0]);
        if (r >= 0)
                r = sd_bus_message_append_strv(m, (char **) argv);
        if (r >= 0)
                r = sd_bus_message_append(m, "b", 0);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : props_close(m);
}

static int append_numbers(sd_bus_message *m, const UnitSpec *spec) {
        int r = append_u64(m, "MemoryMax", spec->memory_max_bytes);

        if (r >= 0)
                r = append_u64(m, spec->protect_min ? "MemoryMin" : "MemoryLow", spec->memory_low_bytes);
        if (r >= 0)
                r = append_u64(m, "TasksMax", spec->tasks_max);
        return r;
}

static int append_paths_of_spec(sd_bus_message *m, const UnitSpec *spec) {
        static const char *const homes[] = { "-/home", "-/root" };
        /* ProtectProc= has systemd mount the API file systems. ProtectSystem=strict leaves /run as it is then: what a
         * query puts into /run/lock would stay charged to the slice when it is gone. (A socket there can still be
         * connected to.) And 257 binds /sys in a way that nothing makes read-only but below it: what anybody may open
         * for writing is in one place. */
        static const char *const read_only[] = { "-/run", "-/sys/kernel/security" };
        /* "tmpfs", not "yes": what is bound in from a home still has a place to be mounted on */
        const char *home = spec->home == UNIT_HOME_HIDDEN      ? "tmpfs"
                           : spec->home == UNIT_HOME_READ_ONLY ? "read-only"
                                                               : "no";
        int r = append_property(m, &(Property) { "ProtectHome", 's', .s = home });

        if (r >= 0 && spec->home == UNIT_HOME_READ_WRITE) /* ProtectSystem=strict covers homes too */
                r = props_append_strings(m, "ReadWritePaths", homes, ELEMENTSOF(homes));
        if (r >= 0)
                r = props_append_strings(m, "ReadOnlyPaths", read_only, ELEMENTSOF(read_only));
        if (r >= 0)
                r = props_append_strings(m, "InaccessiblePaths", inaccessible_paths, ELEMENTSOF(inaccessible_paths));
        if (r >= 0)
                r = append_tmp(m, spec);
        if (r >= 0)
                r = props_append_binds(m, "BindPaths", spec->bind_paths);
        if (r >= 0)
                r = props_append_binds(m, "BindReadOnlyPaths", spec->bind_read_only_paths);
        return r;
}

static int append_extra_value(sd_bus_message *m, const UnitProperty *p, const char *text) {
        CLEANUP(strlist_done) StrList words = {};
        uint64_t n;
        bool b;
        int r;

        switch (p->type) {
        case UNIT_PROPERTY_BOOL:
                r = bool_parse(text, &b);
                return r < 0 ? r : append_property(m, &(Property) { p->name, 'b', .b = b });
        case UNIT_PROPERTY_U64:
                r = u64_parse(text, &n);
                /* a hard limit under the soft one would be refused when the worker is started */
                if (r >= 0 && strcmp(p->name, "LimitNOFILE") == 0)
                        r = append_u64(m, "LimitNOFILESoft", MIN(n, NOFILE_SOFT));
                return r < 0 ? r : append_u64(m, p->name, n);
        case UNIT_PROPERTY_I32:
                r = u64_parse(text + (text[0] == '-'), &n);
                return r < 0 ? r
                             : append_property(m, &(Property) { p->name, 'i',
                                                                .i = text[0] == '-' ? -(int32_t) n : (int32_t) n });
        case UNIT_PROPERTY_PATHS:
                r = words_split(text, &words);
                for (size_t i = 0; r >= 0 && i < words.n; i++)
                        r = props_path_can_pass(words.v[i], false) ? 0 : -EINVAL;
                return r < 0 ? r : props_append_paths(m, p->name, &words);
        case UNIT_PROPERTY_FILTER: return 0; /* props_append_filter() has it */
        }
        return -EINVAL;
}

/* Last, since a later scalar replaces an earlier one. */
static int append_extra(sd_bus_message *m, const PairList *extra, Error *ret_error) {
        for (size_t i = 0; extra && i < extra->n; i++) {
                const UnitProperty *p = unit_property_find(extra->v[i].key);
                int r;

                if (!p || unit_property_check(p, extra->v[i].value) < 0)
                        return error_set(ret_error, ERROR_INVALID_ARGUMENT, "%.64s=: %s in [Sandbox] of a language",
                                         extra->v[i].key,
                                         p ? "not a value that is allowed" : "not a property that is allowed");
                r = append_extra_value(m, p, extra->v[i].value);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int append_units(sd_bus_message *m, const char *name, const StrList *units) {
        return units && units->n > 0 ? props_append_strings(m, name, (const char *const *) units->v, units->n) : 0;
}

/* Requisite=, not Requires=, which would start what is not there. The order is needed, or PID 1 would not wait to see. */
static int append_unit_dependencies(sd_bus_message *m, const UnitSpec *spec) {
        int r = append_units(m, "Requisite", spec->requisite_units);

        if (r >= 0)
                r = append_units(m, "After", spec->requisite_units);
        return r < 0 ? r : append_units(m, "After", spec->after_units);
}

static int append_all(sd_bus_message *m, const UnitSpec *spec, Error *ret_error) {
        static const char *const after[] = { "penstockd.service" }, *const architectures[] = { "native" };
        int r = append_property(m, &(Property) { "Description", 's', .s = spec->description });

        if (r >= 0)
                r = append_property(m, &(Property) { "Slice", 's', .s = spec->slice });
        if (r >= 0) /* stopped before it when the host goes down */
                r = props_append_strings(m, "After", after, ELEMENTSOF(after));
        if (r >= 0)
                r = append_unit_dependencies(m, spec);
        if (r >= 0)
                r = append_exec(m, spec->exec_argv);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(fixed_properties); i++)
                r = append_property(m, &fixed_properties[i]);
        if (r >= 0)
                r = append_numbers(m, spec);
        if (r >= 0)
                r = append_property(m, &(Property) { "PrivateNetwork", 'b', .b = !spec->network });
        if (r >= 0)
                r = props_append_strings(m, "SystemCallArchitectures", architectures, ELEMENTSOF(architectures));
        if (r >= 0)
                r = props_append_filter(m, "SystemCallFilter", system_calls, ELEMENTSOF(system_calls), spec->extra);
        if (r >= 0)
                r = props_append_filter(m, "RestrictAddressFamilies", address_families, ELEMENTSOF(address_families),
                                        spec->extra);
        if (r >= 0)
                r = append_paths_of_spec(m, spec);
        return r < 0 ? r : append_extra(m, spec->extra, ret_error);
}

int systemd_props_append(sd_bus_message *m, const UnitSpec *spec, Error *ret_error) {
        int r = props_check_paths(spec->bind_paths, ret_error);

        if (r >= 0)
                r = props_check_paths(spec->bind_read_only_paths, ret_error);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sv)");
        if (r >= 0)
                r = append_all(m, spec, ret_error);
        return r < 0 ? r : sd_bus_message_close_container(m);
}
