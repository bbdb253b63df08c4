/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/systemd_props_lists.h"
#include "host/systemd_task_props.h"

/* After which what ignores SIGTERM is killed. */
#define STOP_USEC (2 * USEC_PER_SEC)

static int append_strings(sd_bus_message *m) {
        static const char *const pairs[][2] = {
                { "Type", "oneshot" },
                { "CollectMode", "inactive-or-failed" },
                { "Slice", SYSTEMD_TASK_SLICE },
                { "KillMode", "control-group" },
                { "OOMPolicy", "kill" },
                { "StandardInput", "null" },
                { "StandardOutput", "journal" },
                { "StandardError", "journal" },
                { "SyslogIdentifier", "penstock-dependency" },
                { "KeyringMode", "private" },
                { "ProtectSystem", "strict" },
                { "ProtectHome", "tmpfs" }, /* not "yes": what is bound in from a home still has a place */
                { "ProtectProc", "invisible" },
        };
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(pairs) && r >= 0; i++)
                r = sd_bus_message_append(m, "(sv)", pairs[i][0], "s", pairs[i][1]);
        return r;
}

static int append_switches(sd_bus_message *m) {
        static const char *const on[] = {
                "AddRef",           "SendSIGKILL",          "MemoryAccounting",     "TasksAccounting",
                "NoNewPrivileges",  "PrivateTmp",           "PrivateDevices",       "ProtectControlGroups",
                "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "ProtectClock",
                "ProtectHostname",  "RestrictSUIDSGID",     "RestrictRealtime",     "LockPersonality",
        };
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(on) && r >= 0; i++)
                r = sd_bus_message_append(m, "(sv)", on[i], "b", 1);
        return r;
}

static int append_numbers(sd_bus_message *m, const TaskSpec *spec) {
        const struct {
                const char *name;
                uint64_t value;
        } numbers[] = {
                { "TimeoutStartUSec", spec->timeout_usec },
                { "TimeoutStopUSec", STOP_USEC },
                { "MemoryMax", SYSTEMD_TASK_MEMORY_BYTES },
                { "MemorySwapMax", 0 },
                { "TasksMax", SYSTEMD_TASK_TASKS },
                { "LimitCORE", 1 }, /* 0 does not stop a core that is piped to a handler */
                { "LimitCORESoft", 1 },
                { "RestrictNamespaces", 0 },
        };
        int r = sd_bus_message_append(m, "(sv)", "UMask", "u", (uint32_t) 0077);

        for (size_t i = 0; i < ELEMENTSOF(numbers) && r >= 0; i++)
                r = sd_bus_message_append(m, "(sv)", numbers[i].name, "t", numbers[i].value);
        return r;
}

/* Ex: its flag keeps "$" in an argument what it is. */
static int append_exec(sd_bus_message *m, char *const *argv) {
        int r = props_open(m, "ExecStartEx", "a(sasas)");

        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sasas)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'r', "sasas");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", argv[0]);
        if (r >= 0)
                r = sd_bus_message_append_strv(m, (char **) argv);
        if (r >= 0)
                r = sd_bus_message_append(m, "as", 1, "no-env-expand");
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : props_close(m);
}

static int append_variable(sd_bus_message *m, const char *name, const char *value) {
        CLEANUP(freep) char *text = NULL;

        if (asprintf(&text, "%s=%s", name, value) < 0)
                return -ENOMEM;
        return sd_bus_message_append(m, "s", text);
}

/* In the order in which a later one replaces an earlier. */
static int append_environment(sd_bus_message *m, const char *unit, const TaskSpec *spec) {
        const PairList *lists[] = { spec->environment, spec->more };
        char path[TASK_NAME_MAX + 320];
        int r = props_open(m, "Environment", "as");

        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "s");
        for (size_t i = 0; i < spec->credentials->n && r >= 0; i++) {
                snprintf(path, sizeof(path), "/run/credentials/%s/%s", unit, spec->credentials->v[i].key);
                r = append_variable(m, spec->credentials->v[i].key, path);
        }
        for (size_t k = 0; k < ELEMENTSOF(lists); k++)
                for (size_t i = 0; lists[k] && i < lists[k]->n && r >= 0; i++)
                        if (!pairlist_get(spec->credentials, lists[k]->v[i].key))
                                r = append_variable(m, lists[k]->v[i].key, lists[k]->v[i].value);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : props_close(m);
}

/* The names of the files; what is in them is read by PID 1's child and shown by nobody. */
static int append_files(sd_bus_message *m, const TaskSpec *spec) {
        int r = props_open(m, "EnvironmentFiles", "a(sb)");

        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sb)");
        for (size_t i = 0; i < spec->environment_files->n && r >= 0; i++) {
                const char *file = spec->environment_files->v[i];

                r = sd_bus_message_append(m, "(sb)", file + (file[0] == '-'), file[0] == '-');
        }
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : props_close(m);
}

static int append_credentials(sd_bus_message *m, const TaskSpec *spec) {
        int r = props_open(m, "LoadCredential", "a(ss)");

        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(ss)");
        for (size_t i = 0; i < spec->credentials->n && r >= 0; i++)
                r = sd_bus_message_append(m, "(ss)", spec->credentials->v[i].key, spec->credentials->v[i].value);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : props_close(m);
}

int systemd_task_props_append(sd_bus_message *m, const char *name, const TaskSpec *spec) {
        int r = sd_bus_message_open_container(m, 'a', "(sv)");

        if (r >= 0)
                r = sd_bus_message_append(m, "(sv)", "Description", "s", spec->description);
        if (r >= 0)
                r = append_strings(m);
        if (r >= 0)
                r = append_switches(m);
        if (r >= 0)
                r = append_numbers(m, spec);
        if (r >= 0)
                r = spec->user ? sd_bus_message_append(m, "(sv)", "User", "s", spec->user)
                               : sd_bus_message_append(m, "(sv)", "DynamicUser", "b", 1);
        if (r >= 0)
                r = append_exec(m, spec->argv);
        if (r >= 0)
                r = append_environment(m, name, spec);
        if (r >= 0 && spec->environment_files->n > 0)
                r = append_files(m, spec);
        if (r >= 0 && spec->credentials->n > 0)
                r = append_credentials(m, spec);
        if (r >= 0)
                r = props_append_binds(m, "BindPaths", spec->bind_paths);
        if (r >= 0)
                r = props_append_binds(m, "BindReadOnlyPaths", spec->bind_read_only_paths);
        return r < 0 ? r : sd_bus_message_close_container(m);
}
