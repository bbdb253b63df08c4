/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bus/history: the values of History: its filter, and the rows that it answers. */
#pragma once

#include <systemd/sd-bus.h>

#include "core/history.h"

/* All that a filter can hold by its bounds, and room for the prices of bus/measure.c. */
#define HISTORY_FILTER_BYTES_MAX (128 * KIB)

/* Read the a{sv} that @m is about to be read at. Returns 0, or -errno; -EINVAL with @ret_error (InvalidArgument,
 * naming the key, never a value). history_filter_done() it. */
int history_filter_decode(sd_bus_message *m, HistoryFilter *ret, Error *ret_error);

/* Who may see all of a row, and what others may see of its labels. */
typedef struct HistoryEyes {
        uint32_t uid;
        const StrList *public_keys;
} HistoryEyes;

/* By labels that are not public everybody finds his own queries alone. False: then there is nothing that he may find.
 */
bool history_filter_restrict(HistoryFilter *f, const HistoryEyes *eyes);
/* Append a row as a{sv}. Returns what sd-bus does. */
int history_row_append(sd_bus_message *m, const HistoryRow *r, const HistoryEyes *eyes);
