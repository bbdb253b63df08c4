/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* penstock-exporter: started by its socket, ends when nobody has asked for a while. */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <systemd/sd-daemon.h>

#include "exporter/exporter.h"

static int help(FILE *out) {
        fputs("penstock-exporter\n"
              "  Serve the metrics of penstockd over HTTP, on the socket that penstock-exporter.socket passes.\n"
              "  See penstock-exporter(8).\n",
              out);
        return out == stdout ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int serve(void) {
        const HttpLimits limits = HTTP_LIMITS_DEFAULT;
        int n = sd_listen_fds(1), fd = SD_LISTEN_FDS_START, r;

        if (n != 1 || sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0) {
                fprintf(stderr, "One listening stream socket is wanted, %d were passed; see penstock-exporter.socket\n",
                        MAX(n, 0));
                return EXIT_FAILURE;
        }
        signal(SIGPIPE, SIG_IGN);
        /* A client that left between the wake-up and accept() must not block us. */
        if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
                perror("fcntl");
        r = http_serve(fd, &limits, scrape);
        if (r < 0)
                fprintf(stderr, "HTTP can't be served: %s\n", strerror(-r));
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char *argv[]) {
        enum { OPT_VERSION = 256, OPT_HELP };
        static const struct option options[] = {
                { "version", no_argument, NULL, OPT_VERSION },
                { "help", no_argument, NULL, OPT_HELP },
                {},
        };
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (c) {
                case OPT_VERSION: puts(PENSTOCK_VERSION); return EXIT_SUCCESS;
                case OPT_HELP: return help(stdout);
                default: return help(stderr);
                }
        return optind < argc ? help(stderr) : serve();
}
