/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `top` without a terminal: each update is a table of plain text. */
#include <string.h>
#include <sys/ioctl.h>

#include "ctl/top.h"

/* A bar need not be longer, whatever has room. */
#define HEAD_WIDTH_MAX 100u

typedef struct Batch {
        const Verb *verb;
        sd_event *event;
        Feed *feed;
        Top top;
        unsigned width;
        uint64_t iterations;
        bool has_begun;
} Batch;

/* That of the terminal, or what COLUMNS says; else all there is to say has room. */
static unsigned width_of_output(void) {
        const char *columns = getenv("COLUMNS");
        struct winsize ws;
        uint64_t n;

        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0)
                n = ws.ws_col;
        else if (!columns || u64_parse(columns, &n) < 0 || n == 0)
                return CANVAS_WIDTH_MAX;
        return (unsigned) MIN(MAX(n, (uint64_t) TOP_COLUMNS_MIN), (uint64_t) CANVAS_WIDTH_MAX);
}

static void print_line(const Canvas *c, unsigned y) {
        char part[CELL_BYTES * CANVAS_WIDTH_MAX + 1], line[CELL_BYTES * CANVAS_WIDTH_MAX + 1] = "";
        size_t len = 0;
        Role role;

        for (unsigned x = 0, n; (n = canvas_run(c, y, x, &role, part, sizeof(part))) > 0; x += n)
                len += (size_t) snprintf(line + len, sizeof(line) - len, "%s", part);
        while (len > 0 && line[len - 1] == ' ')
                len--;
        printf("%.*s\n", (int) len, line);
}

static void print_table(Batch *b) {
        Top *t = &b->top;
        TopLayout layout;
        Canvas line;

        if (canvas_init(&line, b->width, 1, t->ascii) < 0)
                return;
        top_layout(b->width, t->max_id, &layout);
        top_put_headings(&line, 0, &layout, t->sort, top_goes_upwards(t->sort, t->reversed));
        print_line(&line, 0);
        for (size_t i = 0; i < t->n_view; i++) {
                canvas_clear(&line);
                top_put_row(&line, 0, &layout, &t->rows[t->view[i]]);
                print_line(&line, 0);
        }
        canvas_done(&line);
}

static void print_update(Batch *b) {
        Top *t = &b->top;
        Canvas head;
        unsigned n;

        if (b->has_begun)
                putchar('\n');
        b->has_begun = true;
        if (canvas_init(&head, MIN(b->width, HEAD_WIDTH_MAX), top_head_lines(UINT32_MAX), t->ascii) < 0)
                return;
        n = t->trouble[0] ? 1 : top_draw_head(t, &head, UINT32_MAX);
        if (t->trouble[0])
                canvas_put(&head, 0, 0, head.width, ROLE_PLAIN, t->trouble);
        for (unsigned y = 0; y < n; y++)
                print_line(&head, y);
        canvas_done(&head);
        if (!t->trouble[0])
                print_table(b);
}

static void on_news(FeedNews news, void *userdata) {
        Batch *b = userdata;

        if (news != FEED_UPDATED)
                return;
        print_update(b);
        if (fflush(stdout) != 0 || ferror(stdout))
                (void) sd_event_exit(b->event, finish_output(b->verb->failure));
        else if (b->iterations != TOP_FOR_EVER && --b->iterations == 0)
                (void) sd_event_exit(b->event, EXIT_CODE_OK);
}

static int on_tick(sd_event_source *s, uint64_t usec, void *userdata) {
        Batch *b = userdata;

        (void) usec;
        feed_update(b->feed);
        (void) sd_event_source_set_time_relative(s, b->top.delay_usec);
        return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

int top_batch_run(const Verb *verb, const TopOptions *o, PenstockClient *client) {
        Batch b = { .verb = verb, .iterations = o->iterations, .width = width_of_output() };
        int r;

        top_begin(&b.top, o, locale_is_ascii());
        b.top.page = TOP_DETAILS_MAX; /* of as many, details are shown */
        r = sd_event_new(&b.event);
        if (r >= 0)
                r = feed_new(b.event, client, &b.top, on_news, &b, &b.feed);
        else
                penstock_client_free(client);
        if (r >= 0)
                r = sd_event_add_time(b.event, NULL, CLOCK_MONOTONIC, 0, 0, on_tick, &b);
        if (r >= 0)
                r = sd_event_loop(b.event);
        if (r < 0)
                report("top: %s", strerror(-r));
        feed_free(b.feed);
        sd_event_unref(b.event);
        top_done(&b.top);
        return r < 0 ? (int) verb->failure : r;
}
