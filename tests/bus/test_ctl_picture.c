/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* penstockctl profile --svg and --png: the stand-in's timeline (standin_profile.c) as a picture, and where it goes.
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cairo.h>
#include <cmocka.h>

#include "harness.h"

static char directory[] = "/tmp/penstock-picture-XXXXXX";
static char query[32];

/* In the test's directory, for one call. */
static const char *in_directory(const char *name) {
        static char paths[4][256];
        static unsigned next;
        char *path = paths[next++ % 4];

        snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
        return path;
}

static size_t count_files(void) {
        DIR *d = opendir(directory);
        struct dirent *e;
        size_t n = 0;

        assert_non_null(d);
        while ((e = readdir(d)))
                n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
        closedir(d);
        return n;
}

static void read_file(const char *path, char *buf, size_t size) {
        FILE *f = fopen(path, "re");

        assert_non_null(f);
        buf[fread(buf, 1, size - 1, f)] = '\0';
        fclose(f);
}

static void write_file(const char *path, const char *text, mode_t mode) {
        FILE *f = fopen(path, "we");

        assert_non_null(f);
        fputs(text, f);
        fclose(f);
        assert_int_equal(chmod(path, mode), 0);
}

static mode_t mode_of(const char *path) {
        struct stat st;

        assert_int_equal(lstat(path, &st), 0);
        assert_true(S_ISREG(st.st_mode));
        return st.st_mode & 07777;
}

/* penstockctl profile with @..., which must succeed and say nothing. */
#define draw(...)                                                                                                    \
        do {                                                                                                         \
                Ctl c_;                                                                                              \
                                                                                                                     \
                assert_int_equal(ctl_run(&c_, "profile", __VA_ARGS__), 0);                                           \
                assert_string_equal(c_.out_text, "");                                                                \
                assert_string_equal(c_.err_text, "");                                                                \
                ctl_done(&c_);                                                                                       \
        } while (0)

/* The same, which must fail with @status and say @said. */
#define draw_fails(status, said, ...)                                                                                \
        do {                                                                                                         \
                Ctl c_;                                                                                              \
                                                                                                                     \
                assert_int_equal(ctl_run(&c_, "profile", __VA_ARGS__), status);                                      \
                assert_string_equal(c_.out_text, "");                                                                \
                assert_has(c_.err_text, said);                                                                       \
                ctl_done(&c_);                                                                                       \
        } while (0)

/* A query that has ended with @status. */
static void submit(const char *language, const char *text, int status, char id[static 32]) {
        Ctl c;

        assert_int_equal(ctl_run(&c, "submit", "--language", language, text), 0);
        snprintf(id, 32, "%.*s", (int) strcspn(c.out_text, "\n"), c.out_text);
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "wait", id), status);
        ctl_done(&c);
}

static int setup(void **state) {
        harness_start(state);
        if (!mkdtemp(directory))
                return -1;
        submit("shell", "exit 0", 0, query);
        return 0;
}

static int teardown(void **state) {
        char command[300];

        snprintf(command, sizeof(command), "rm -r '%s'", directory);
        return harness_stop(state) | system(command);
}

static void an_svg_is_xml_and_says_what_it_shows(void **state) {
        const char *path = in_directory("a.svg");
        static char text[1 << 20], title[256];
        char command[512];

        (void) state;
        draw("--svg", path, query);
        read_file(path, text, sizeof(text));
        snprintf(title, sizeof(title), "<title>Query %s \xc2\xb7 shell \xc2\xb7 finished in 4ms</title>", query);
        assert_has(text, title);
        assert_has(text,
                   "peak 100M of at most 1G \xc2\xb7 1 raise \xc2\xb7 frozen for 5ms \xc2\xb7 stalled for 500ms.");
        assert_has(text, "At 2.0s: raised to 128M: came near the limit.");
        assert_has(text, ": ended: maximum.");
        assert_has(text, "viewBox=\"0 0 1000 560\"");
        snprintf(command, sizeof(command),
                 "%s -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' '%s'", getenv("PYTHON3"),
                 path);
        assert_int_equal(system(command), 0);
        unlink(path);
}

static void what_is_told_is_escaped_and_says_how_it_ended(void **state) {
        static char id[32], title[256];
        Ctl c;

        (void) state;
        submit("shell<&>\x1b", "exit 3", 3, id);
        assert_int_equal(ctl_run(&c, "profile", "--svg", "-", id), 0);
        snprintf(title, sizeof(title),
                 "<title>Query %s \xc2\xb7 shell&lt;&amp;&gt;? \xc2\xb7 ExecutionFailed (engine) after 4ms</title>",
                 id);
        assert_has(c.out_text, title);
        ctl_done(&c);
}

static unsigned pixel(cairo_surface_t *s, int x, int y) {
        uint32_t v;

        memcpy(&v, cairo_image_surface_get_data(s) + y * cairo_image_surface_get_stride(s) + x * 4, sizeof(v));
        return v & 0xffffff;
}

static cairo_surface_t *open_png(const char *path, int width, int height) {
        cairo_surface_t *s = cairo_image_surface_create_from_png(path);

        assert_int_equal(cairo_surface_status(s), CAIRO_STATUS_SUCCESS);
        assert_int_equal(cairo_image_surface_get_width(s), width);
        assert_int_equal(cairo_image_surface_get_height(s), height);
        return s;
}

/* How many pixels of the column at @x are of @colour. */
static int count_colour(cairo_surface_t *s, int x, unsigned colour) {
        int n = 0;

        for (int y = 0; y < cairo_image_surface_get_height(s); y++)
                n += pixel(s, x, y) == colour;
        return n;
}

/* The stand-in's query has 60M under a limit of 128M all the time that can be seen. */
static void a_png_has_the_pixels_that_were_asked_for(void **state) {
        const char *path = in_directory("a.png");
        cairo_surface_t *s;
        int grey, black;

        (void) state;
        draw("--png", path, query);
        s = open_png(path, 1000, 560);
        assert_int_equal(pixel(s, 0, 0), 0xffffff);
        grey = count_colour(s, 300, 0xc4c4c4);
        black = count_colour(s, 300, 0x111111);
        assert_in_range(grey, 100, 200);
        assert_in_range(black, 1, 3); /* the limit */
        cairo_surface_destroy(s);
        draw("--png", path, "--width", "700", "--height=300", query);
        s = open_png(path, 700, 300);
        assert_in_range(count_colour(s, 300, 0xc4c4c4), 10, grey - 1);
        cairo_surface_destroy(s);
        draw("--plot", path, query);
        s = open_png(path, 1000, 560);
        cairo_surface_destroy(s);
        unlink(path);
}

static void a_dash_is_standard_output(void **state) {
        Ctl c;

        (void) state;
        assert_int_equal(ctl_run(&c, "profile", "--svg", "-", query), 0);
        assert_int_equal(strncmp(c.out_text, "<?xml ", 6), 0);
        assert_has(c.out_text, "</svg>\n");
        assert_string_equal(c.err_text, "");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "profile", "--png=-", query), 0);
        assert_true(c.out_len > 1000);
        assert_memory_equal(c.out_text, "\x89PNG\r\n\x1a\n", 8);
        assert_memory_equal(c.out_text + c.out_len - 8, "IEND\xae\x42\x60\x82", 8);
        ctl_done(&c);
}

static void a_file_is_as_its_owner_wants_it(void **state) {
        const char *new_one = in_directory("new.svg"), *old_one = in_directory("old.svg");
        static char text[1 << 20];
        mode_t mask = umask(027);

        (void) state;
        draw("--svg", new_one, query);
        umask(mask);
        assert_int_equal(mode_of(new_one), 0640);
        write_file(old_one, "old", 0600);
        draw("--svg", old_one, query);
        assert_int_equal(mode_of(old_one), 0600); /* what was private stays private */
        read_file(old_one, text, sizeof(text));
        assert_int_equal(strncmp(text, "<?xml ", 6), 0);
        assert_int_equal(count_files(), 2);
        unlink(new_one);
        unlink(old_one);
}

/* Who has the old one open keeps all of it. */
static void a_picture_takes_its_place_at_once(void **state) {
        const char *path = in_directory("a.svg");
        char text[64] = "";
        int fd;

        (void) state;
        write_file(path, "the old one", 0644);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        draw("--svg", path, query);
        assert_true(read(fd, text, sizeof(text) - 1) > 0);
        assert_string_equal(text, "the old one");
        close(fd);
        unlink(path);
}

/* Devices are tried by links of our own: whoever breaks this must not lose the host's. */
static void a_link_or_a_pipe_is_written_through(void **state) {
        const char *link = in_directory("link"), *target = in_directory("target"), *fifo = in_directory("fifo");
        static char text[1 << 20];
        struct stat st;
        int fd;

        (void) state;
        write_file(target, "old", 0644);
        assert_int_equal(symlink(target, link), 0);
        draw("--svg", link, query);
        assert_int_equal(lstat(link, &st), 0);
        assert_true(S_ISLNK(st.st_mode));
        read_file(target, text, sizeof(text));
        assert_int_equal(strncmp(text, "<?xml ", 6), 0);
        unlink(link);
        unlink(target);

        assert_int_equal(mkfifo(fifo, 0600), 0);
        fd = open(fifo, O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_true(fcntl(fd, F_SETPIPE_SZ, sizeof(text)) > 0);
        draw("--png", fifo, query);
        assert_int_equal(read(fd, text, 8), 8);
        assert_memory_equal(text, "\x89PNG\r\n\x1a\n", 8);
        close(fd);
        unlink(fifo);
}

static void what_cannot_be_written_is_named(void **state) {
        const char *full = in_directory("full");

        (void) state;
        assert_int_equal(symlink("/dev/full", full), 0);
        draw_fails(1, "/full: No space left", "--svg", full, query);
        unlink(full);
        draw_fails(1, "/nowhere/a.svg: No such file", "--svg", "/nowhere/a.svg", query);
        draw_fails(1, ": Is a directory", "--png", directory, query);
        draw_fails(1, "penstockctl: NoSuchQuery: ", "--svg", in_directory("a.svg"), "999");
        assert_int_equal(count_files(), 0);
}

static void no_picture_leaves_no_file(void **state) {
        char *program = strdup(getenv("PENSTOCK_DRAW"));
        const char *picture = in_directory("a.svg"), *script = in_directory("script");

        (void) state;
        setenv("PENSTOCK_DRAW", "/nowhere/penstock-draw", 1);
        draw_fails(1, "cannot run /nowhere/penstock-draw: No such file", "--svg", picture, query);
        write_file(script, "#!/bin/sh\necho half a picture; kill -KILL $$\n", 0700);
        setenv("PENSTOCK_DRAW", script, 1);
        draw_fails(1, "penstock-draw was ended by signal 9", "--svg", picture, query);
        write_file(script, "#!/bin/sh\necho half a picture; echo 'penstock-draw: no' >&2; exit 3\n", 0700);
        draw_fails(1, "penstock-draw: no\n", "--svg", picture, query);
        setenv("PENSTOCK_DRAW", program, 1);
        unlink(script);
        assert_int_equal(count_files(), 0);
        free(program);
}

static int open_terminal(int *ret_other) {
        int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(grantpt(fd) | unlockpt(fd), 0);
        *ret_other = open(ptsname(fd), O_RDWR | O_NOCTTY | O_CLOEXEC);
        assert_true(*ret_other >= 0);
        return fd;
}

static void a_terminal_gets_no_png(void **state) {
        int other, terminal = open_terminal(&other), status;
        pid_t pid;

        (void) state;
        draw_fails(1, "a PNG is not for a terminal", "--png", ptsname(terminal), query);
        pid = fork();
        if (pid == 0) {
                dup2(other, STDOUT_FILENO);
                dup2(other, STDERR_FILENO);
                execl(getenv("PENSTOCKCTL"), "penstockctl", "profile", "--png", "-", query, NULL);
                _exit(126);
        }
        assert_true(pid > 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 2);
        close(other);
        close(terminal);
}

/* What stands before it is not drawn as if it were all. */
static void rows_with_a_nul_are_no_rows(void **state) {
        static const char *const ends[] = { "", "\\0" }; /* of rows that are right */
        char command[512];

        (void) state;
        for (int i = 0; i < 2; i++) {
                snprintf(command, sizeof(command),
                         "printf 'time_usec,limit_bytes\\n0,1\\n9,1\\n%s' | \"$PENSTOCK_DRAW\" profile svg 600 400 >'%s' 2>&1",
                         ends[i], in_directory("rows"));
                assert_int_equal(WEXITSTATUS(system(command)), i);
        }
        unlink(in_directory("rows"));
}

static void what_makes_no_sense_is_a_wrong_call(void **state) {
        (void) state;
        draw_fails(2, "only one of --csv, --json, --plot, --svg and --png", "--svg", "-", "--png", "-", query);
        draw_fails(2, "only one of", "--csv", "--svg", "-", query);
        draw_fails(2, "--width and --height are of a picture", "--width", "500", query);
        draw_fails(2, "ends neither in .svg nor in .png", "--plot", "12.gif", query);
        draw_fails(2, "--width is a number of pixels from 360 to 4000", "--svg", "-", "--width", "359", query);
        draw_fails(2, "--width is a number of pixels from 360 to 4000", "--svg", "-", "--width", "4001", query);
        draw_fails(2, "--height is a number of pixels from 280 to 4000", "--svg", "-", "--height", "x", query);
        draw_fails(2, "one ID of a query is wanted", "--svg", query);
        draw_fails(2, "option '--svg' needs a value", query, "--svg");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_svg_is_xml_and_says_what_it_shows),
                cmocka_unit_test(what_is_told_is_escaped_and_says_how_it_ended),
                cmocka_unit_test(a_png_has_the_pixels_that_were_asked_for),
                cmocka_unit_test(a_dash_is_standard_output),
                cmocka_unit_test(a_file_is_as_its_owner_wants_it),
                cmocka_unit_test(a_picture_takes_its_place_at_once),
                cmocka_unit_test(a_link_or_a_pipe_is_written_through),
                cmocka_unit_test(what_cannot_be_written_is_named),
                cmocka_unit_test(no_picture_leaves_no_file),
                cmocka_unit_test(a_terminal_gets_no_png),
                cmocka_unit_test(rows_with_a_nul_are_no_rows),
                cmocka_unit_test(what_makes_no_sense_is_a_wrong_call),
        };

        return cmocka_run_group_tests_name("ctl-picture", tests, setup, teardown);
}
