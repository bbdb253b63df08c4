/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/metrics_json: Prometheus' text format as JSON. jansson. */
#pragma once

#include <jansson.h>

/* An array of families, {"name", "type", "help", "samples"}, and of each sample {"name", "labels", "value"}, in the
 * order of
 * @text, which is cut up. A value that JSON cannot hold is null, and what is no line of the format is left out. NULL:
 * out of memory. */
json_t *metrics_to_json(char *text);
