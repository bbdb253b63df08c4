/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/screen.h"

#include <curses.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ctl/top_model.h"

/* A lone Escape is told from the beginning of a key's sequence by what follows within this time. */
#define ESCAPE_MSEC 25
#define COLOR_DEFAULT (-1)

static SCREEN *screen;
static bool has_colours;

/* How a role looks, with colours and without. */
static const struct {
        attr_t plain, coloured;
        short foreground, background;
} looks[] = {
        [ROLE_PLAIN] = { A_NORMAL, A_NORMAL, COLOR_DEFAULT, COLOR_DEFAULT },
        [ROLE_STRONG] = { A_BOLD, A_BOLD, COLOR_DEFAULT, COLOR_DEFAULT },
        [ROLE_FAINT] = { A_DIM, A_DIM, COLOR_DEFAULT, COLOR_DEFAULT },
        [ROLE_HEADING] = { A_REVERSE, A_NORMAL, COLOR_BLACK, COLOR_GREEN },
        [ROLE_SORTED] = { A_REVERSE | A_BOLD | A_UNDERLINE, A_NORMAL, COLOR_BLACK, COLOR_CYAN },
        [ROLE_SELECTED] = { A_REVERSE, A_NORMAL, COLOR_BLACK, COLOR_CYAN },
        [ROLE_KEY] = { A_REVERSE, A_NORMAL, COLOR_BLACK, COLOR_CYAN },
        [ROLE_PROMPT] = { A_BOLD, A_BOLD, COLOR_DEFAULT, COLOR_DEFAULT },
        [ROLE_GOOD] = { A_NORMAL, A_NORMAL, COLOR_GREEN, COLOR_DEFAULT },
        [ROLE_FROZEN] = { A_BOLD, A_BOLD, COLOR_CYAN, COLOR_DEFAULT },
        [ROLE_WAITS] = { A_NORMAL, A_NORMAL, COLOR_YELLOW, COLOR_DEFAULT },
        [ROLE_BAD] = { A_BOLD, A_BOLD, COLOR_RED, COLOR_DEFAULT },
        [ROLE_RESERVED] = { A_NORMAL, A_NORMAL, COLOR_BLUE, COLOR_DEFAULT },
        [ROLE_LENT] = { A_NORMAL, A_NORMAL, COLOR_GREEN, COLOR_DEFAULT },
        [ROLE_POOL] = { A_DIM, A_DIM, COLOR_DEFAULT, COLOR_DEFAULT },
};

static bool wants_colours(void) {
        const char *no_color = getenv("NO_COLOR");

        return !no_color || no_color[0] == '\0';
}

static void set_up_colours(void) {
        has_colours = has_colors() && wants_colours() && start_color() == OK;
        if (!has_colours)
                return;
        if (use_default_colors() != OK) /* else -1 were no colour */
                assume_default_colors(COLOR_WHITE, COLOR_BLACK);
        for (Role role = 0; role < _ROLE_MAX; role++)
                init_pair((short) (role + 1), looks[role].foreground, looks[role].background);
}

int screen_open(void) {
        const char *cup;

        screen = newterm(NULL, stdout, stdin);
        if (!screen)
                return -ENOTTY;
        cup = tigetstr("cup");
        if (!cup || cup == (const char *) -1) {
                screen_close();
                return -ENOTTY;
        }
        set_escdelay(ESCAPE_MSEC);
        cbreak();
        noecho();
        nonl();
        intrflush(stdscr, FALSE);
        keypad(stdscr, TRUE);
        nodelay(stdscr, TRUE);
        (void) curs_set(0);
        set_up_colours();
        return 0;
}

void screen_close(void) {
        if (!screen)
                return;
        endwin();
        delscreen(screen);
        screen = NULL;
}

void screen_suspend(void) {
        endwin();
}

void screen_measure(unsigned *ret_width, unsigned *ret_height) {
        struct winsize ws;

        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0 && ws.ws_row > 0)
                resizeterm(ws.ws_row, ws.ws_col);
        *ret_width = (unsigned) getmaxx(stdscr);
        *ret_height = (unsigned) getmaxy(stdscr);
}

static void set_look(Role role) {
        attr_set(has_colours ? looks[role].coloured : looks[role].plain, has_colours ? (short) (role + 1) : 0, NULL);
}

void screen_show(const Canvas *c) {
        char text[CELL_BYTES * CANVAS_WIDTH_MAX + 1];

        set_look(ROLE_PLAIN);
        erase();
        for (unsigned y = 0; y < c->height; y++) {
                Role role;

                move((int) y, 0);
                for (unsigned x = 0, n; (n = canvas_run(c, y, x, &role, text, sizeof(text))) > 0; x += n) {
                        set_look(role);
                        addstr(text); /* in the last cell of all it can't move on, and says so */
                }
        }
        refresh();
}

void screen_redraw(void) {
        clearok(curscr, TRUE);
}

static uint32_t special_key(wint_t key) {
        if (key >= (wint_t) KEY_F(0) && key <= (wint_t) KEY_F(12))
                return TOP_KEY_F0 + (key - (wint_t) KEY_F(0));
        switch (key) {
        case KEY_UP: return TOP_KEY_UP;
        case KEY_DOWN: return TOP_KEY_DOWN;
        case KEY_LEFT: return TOP_KEY_LEFT;
        case KEY_RIGHT: return TOP_KEY_RIGHT;
        case KEY_PPAGE: return TOP_KEY_PAGE_UP;
        case KEY_NPAGE: return TOP_KEY_PAGE_DOWN;
        case KEY_HOME: return TOP_KEY_HOME;
        case KEY_END: return TOP_KEY_END;
        case KEY_ENTER: return TOP_KEY_ENTER;
        case KEY_BACKSPACE: return TOP_KEY_BACKSPACE;
        default: return 0;
        }
}

bool screen_key(uint32_t *ret) {
        wint_t key;
        int r;

        while ((r = get_wch(&key)) != ERR) {
                *ret = r == KEY_CODE_YES ? special_key(key) : (uint32_t) key;
                if (*ret != 0 && !(r == OK && *ret >= TOP_KEY_UP))
                        return true;
        }
        return false;
}
