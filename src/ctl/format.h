/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/format: numbers as people read them. Pure. */
#pragma once

#include <stdint.h>

#define TEXT_MAX 64
const char *format_duration(uint64_t usec, char buf[static TEXT_MAX]);
const char *format_time(uint64_t realtime_usec, char buf[static TEXT_MAX]);
/* size_format(), "-" for 0. */
const char *format_size(uint64_t bytes, char buf[static TEXT_MAX]);
