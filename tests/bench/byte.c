/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bench-byte: the shortest query. One byte, and the end. */
#include <unistd.h>

int main(void) {
        return write(STDOUT_FILENO, "x", 1) == 1 ? 0 : 1;
}
