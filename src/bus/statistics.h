/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bus/statistics: a query's record as D-Bus values. One table of properties serves the objects' getters and the
 * dictionaries, so that they can't drift apart. */
#pragma once

#include <systemd/sd-bus.h>

#include "daemon/manager.h"

/* One query as it is seen at one moment. Borrows everything. */
typedef struct QueryView {
        Manager *manager;
        const Query *query;
        const QueryRecord *record; /* NULL: fell out before the query did */
        uint64_t now_usec;
        bool has_memory; /* the two below were read */
        uint64_t current_bytes, peak_bytes;
} QueryView;

void query_view_init(QueryView *v, Manager *m, const Query *q);
uint64_t query_view_peak(QueryView *v); /* memory.peak of engine/ so far */

typedef int (*QueryPropertyAppend)(sd_bus_message *m, QueryView *v);

/* X(name, type, flags, append) */
#define QUERY_PROPERTIES(X)                                                                                          \
        X("ID", "t", SD_BUS_VTABLE_PROPERTY_CONST, append_id)                                                        \
        X("State", "s", SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE, append_state)                                           \
        X("Language", "s", SD_BUS_VTABLE_PROPERTY_CONST, append_language)                                            \
        X("Unit", "s", SD_BUS_VTABLE_PROPERTY_CONST, append_unit)                                                    \
        X("ControlGroup", "s", 0, append_control_group)                                                              \
        X("UserID", "u", SD_BUS_VTABLE_PROPERTY_CONST, append_user_id)                                               \
        X("Labels", "a{ss}", 0, append_labels)                                                                       \
        X("Priority", "i", SD_BUS_VTABLE_PROPERTY_CONST, append_priority)                                            \
        X("QueuePosition", "t", 0, append_queue_position)                                                            \
        X("WaitReason", "s", 0, append_wait_reason)                                                                  \
        X("Dependencies", "as", SD_BUS_VTABLE_PROPERTY_CONST, append_dependencies)                                   \
        X("MemoryQuotaBytes", "t", 0, append_memory_quota)                                                           \
        X("MemoryMaxBytes", "t", 0, append_memory_max)                                                               \
        X("MemoryCurrentBytes", "t", 0, append_memory_current)                                                       \
        X("MemoryPeakBytes", "t", 0, append_memory_peak)                                                             \
        X("Raises", "t", 0, append_raises)                                                                           \
        X("Frozen", "b", 0, append_frozen)                                                                           \
        X("Detached", "b", SD_BUS_VTABLE_PROPERTY_CONST, append_detached)                                            \
        X("ErrorName", "s", SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE, append_error_name)                                  \
        X("ErrorMessage", "s", SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE, append_error_message)                            \
        X("ExitStatus", "i", 0, append_exit_status)                                                                  \
        X("ExitSignal", "i", 0, append_exit_signal)                                                                  \
        X("CreatedUSec", "t", SD_BUS_VTABLE_PROPERTY_CONST, append_created)                                          \
        X("EndedUSec", "t", 0, append_ended)                                                                         \
        X("TotalUSec", "t", 0, append_total)

/* Append the value of one property. Returns what sd-bus does, or -ENOENT for an unknown name. */
int query_property_append(sd_bus_message *m, QueryView *v, const char *name);

/* Append all properties as entries of an open a{sv}. */
int query_properties_append(sd_bus_message *m, QueryView *v);

typedef enum StderrTail { STDERR_TAIL_HIDDEN, STDERR_TAIL_SHOWN } StderrTail;

/* Append all statistics as entries of an open a{sv}. The tail of standard error is for the owner and root alone. */
int query_statistics_append(sd_bus_message *m, QueryView *v, StderrTail tail);

/* bus/profile.c: the query's timeline as CSV in a sealed memory file. Returns a new descriptor or -errno. */
int query_profile_open(const QueryView *v);
