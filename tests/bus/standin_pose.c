/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Queries that only seem to be: each argument says one thing of them, KEY=VALUE. Sizes as everywhere ("64M"); state,
 * wait, label (of the key "team") and error (its short name) are texts. */
#include "standin.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const states[] = { "created",  "compiling", "queueing", "executing",
                                      "finished", "errored",   "canceled" };

static int set_state(StandInQuery *q, const char *value) {
        for (size_t i = 0; i < ELEMENTSOF(states); i++)
                if (strcmp(states[i], value) == 0) {
                        q->state = states[i];
                        return 0;
                }
        return -EINVAL;
}

static int set_number(StandInPose *p, const char *key, const char *value) {
        const struct {
                const char *key;
                uint64_t *to;
        } numbers[] = {
                { "user", &p->user },
                { "priority", &p->priority },
                { "position", &p->position },
                { "quota", &p->quota },
                { "max", &p->max },
                { "used", &p->used },
                { "need", &p->need },
                { "peak", &p->peak },
                { "raises", &p->raises },
                { "cpu", &p->cpu_percent },
                { "stall", &p->stall_percent },
        };

        for (size_t i = 0; i < ELEMENTSOF(numbers); i++)
                if (strcmp(numbers[i].key, key) == 0)
                        return size_parse(value, 0, numbers[i].to);
        return -EINVAL;
}

static int set(StandInQuery *q, const char *key, const char *value) {
        StandInPose *p = &q->pose;

        if (strcmp(key, "state") == 0)
                return set_state(q, value);
        if (strcmp(key, "frozen") == 0)
                p->frozen = strcmp(value, "yes") == 0;
        else if (strcmp(key, "denied") == 0)
                p->denied = strcmp(value, "yes") == 0;
        else if (strcmp(key, "wait") == 0)
                snprintf(p->wait, sizeof(p->wait), "%s", value);
        else if (strcmp(key, "label") == 0)
                snprintf(p->label, sizeof(p->label), "%s", value);
        else if (strcmp(key, "tail") == 0)
                snprintf(q->stderr_tail, sizeof(q->stderr_tail), "%s", value);
        else if (strcmp(key, "error") == 0) {
                snprintf(q->error_name, sizeof(q->error_name), ERRORS "%s", value);
                snprintf(q->error_message, sizeof(q->error_message), "it only seems so");
        } else
                return set_number(p, key, value);
        return 0;
}

int standin_pose_read(StandInQuery *q, const StandInRequest *r) {
        int k = 0;

        q->pose = (StandInPose) { .is_set = 1, .max = GIB };
        for (size_t i = 0; i < r->argc && k >= 0; i++) {
                char key[32] = "";
                const char *value = strchr(r->argv[i], '=');

                if (!value)
                        return -EINVAL;
                snprintf(key, sizeof(key), "%.*s", (int) (value - r->argv[i]), r->argv[i]);
                k = set(q, key, value + 1);
        }
        return k;
}

int standin_pose_append_properties(sd_bus_message *m, const StandInQuery *q) {
        const StandInPose *p = &q->pose;
        int r;

        r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}{sv}{sv}", "UserID", "u", (uint32_t) p->user, "Priority",
                                  "i", (int32_t) p->priority, "MemoryQuotaBytes", "t", p->quota, "MemoryMaxBytes",
                                  "t", p->max, "MemoryCurrentBytes", "t", p->used, "MemoryPeakBytes", "t", p->peak,
                                  "Raises", "t", p->raises);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}", "QueuePosition", "t", p->position, "WaitReason",
                                          "s", p->wait, "Frozen", "b", p->frozen, "TotalUSec", "t",
                                          standin_elapsed(q), "Labels", "a{ss}", p->label[0] ? 1 : 0, "team",
                                          p->label);
        return r;
}

int standin_pose_append_statistics(sd_bus_message *m, const StandInQuery *q) {
        const StandInPose *p = &q->pose;
        uint64_t usec = standin_elapsed(q);

        return sd_bus_message_append(m, "{sv}{sv}{sv}{sv}", "execute_usec", "t", usec, "cpu_usec", "t",
                                     usec * p->cpu_percent / 100, "stall_usec", "t", usec * p->stall_percent / 100,
                                     "memory_need_bytes", "t", p->need);
}
