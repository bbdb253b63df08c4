/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/history_labels: labels as the JSON object that stands in the history. */
#pragma once

#include "core/base.h"

/* free() *@ret. Returns 0 or -ENOMEM. */
int history_labels_write(const PairList *labels, char **ret);
/* @ret must be empty. Returns 0, -EBADMSG for what is no object of strings, or -ENOMEM; then @ret is empty. */
int history_labels_read(const char *json, PairList *ret);
