/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For programs that run inside a query's unit, when they are built with AddressSanitizer. It looks for leaks by tracing the process
 * from a clone of it at its exit, and no query may trace. ASAN_OPTIONS says otherwise elsewhere. */
const char *__asan_default_options(void);

__attribute__((used, visibility("default"))) const char *__asan_default_options(void) {
        return "detect_leaks=0";
}
