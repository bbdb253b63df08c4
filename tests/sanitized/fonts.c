/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For programs that draw, when they are built with AddressSanitizer: fontconfig keeps what it found until the process ends. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_options(void);

__attribute__((used, visibility("default"))) const char *__lsan_default_suppressions(void) {
        return "leak:libfontconfig\n";
}

__attribute__((used, visibility("default"))) const char *__lsan_default_options(void) {
        return "print_suppressions=0";
}
