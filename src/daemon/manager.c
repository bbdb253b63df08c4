/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/manager.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/dependencies.h"
#include "daemon/spares.h"
#include "host/journal.h"
#include "host/records.h"
#include "host/state_files.h"

/* What a running query has used so far is read at most this often. */
#define NUMBERS_PAUSE_USEC (100 * USEC_PER_MSEC)

static uint64_t read_clock(clockid_t clock) {
        struct timespec ts;

        clock_gettime(clock, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

uint64_t manager_now(const Manager *m) {
        (void) m;
        return read_clock(CLOCK_MONOTONIC);
}

uint64_t manager_time_of_day(void) {
        return read_clock(CLOCK_REALTIME);
}

static size_t entry_position(const Manager *m, uint64_t id) {
        size_t low = 0, high = m->n_entries;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (m->entries[middle]->record.id < id)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

Entry *manager_entry(const Manager *m, uint64_t id) {
        size_t i = entry_position(m, id);

        return i < m->n_entries && m->entries[i]->record.id == id ? m->entries[i] : NULL;
}

size_t manager_units(const Manager *m) {
        size_t n = 0;

        for (size_t i = 0; i < m->n_entries; i++)
                n += m->entries[i]->unit_requested;
        return n;
}

const QueryRecord *manager_record(const Manager *m, uint64_t id) {
        Entry *e = manager_entry(m, id);

        return e && !e->is_spare ? &e->record : NULL;
}

static void remove_entry(Manager *m, Entry *e) {
        size_t i = entry_position(m, e->record.id);

        memmove(&m->entries[i], &m->entries[i + 1], (m->n_entries - i - 1) * sizeof(Entry *));
        m->n_entries--;
        record_remove(e->record.id);
        entry_free(e);
}

static bool is_needed(const Manager *m, const Entry *e) {
        return e->unit_requested || manager_is_releasing(m, e->record.id);
}

/* The engine keeps so many tombstones; a record goes with its tombstone, or later with its unit and its last release. */
static void remember_forgotten(Manager *m, uint64_t id) {
        uint64_t *slot = &m->forgotten[m->n_forgotten++ % ENGINE_TOMBSTONES];
        Entry *oldest = *slot ? manager_entry(m, *slot) : NULL;

        *slot = id;
        if (oldest && !is_needed(m, oldest))
                remove_entry(m, oldest);
        else if (oldest)
                oldest->fallen = true;
}

void manager_released(Manager *m, uint64_t id) {
        Entry *e = manager_entry(m, id);

        if (e && e->fallen && !is_needed(m, e))
                remove_entry(m, e);
        else
                manager_record_released(m, id);
}

void manager_unit_gone(Manager *m, Entry *e) {
        manager_start_settled(m, e);
        entry_drop_runtime(e);
        if (e->record.control_group)
                cgroup_remove_unit(e->record.control_group);
        e->unit_requested = false;
        e->word_due_usec = 0; /* nobody is there to say it */
        if (e->fallen && !is_needed(m, e))
                remove_entry(m, e);
}

/* What an earlier life has told its callers already is not told again. */
static void tell(Manager *m, ManagerSignal what, uint64_t id) {
        if (m->adopted)
                (void) m->ops->signal(what, id, m->ops_userdata);
}

static void on_state(Manager *m, Entry *e) {
        const Query *q = engine_find(m->engine, e->record.id);

        if (q && query_state_is_end(q->state)) {
                e->record.ended_realtime_usec = manager_time_of_day();
                manager_note_shutdown(m, e);
                manager_forget_check(m, e);
                manager_history_add(m, e);
                entry_drop_request(e);
                manager_record_end(m, e);
                if (e->unit_unasked) /* the engine knows of no unit that it could release */
                        manager_release_unit(m, e);
        }
        manager_tell_state(m, e);
}

static void on_forget(Manager *m, Entry *e) {
        entry_drop_hold(e);
        entry_close_fd(&e->record.results_file_fd);
        if (e->record.request.detach) /* for others the disk is not asked: it may stand still */
                remover_submit(m->remover, e->record.id);
        tell(m, MANAGER_QUERY_REMOVED, e->record.id);
        remember_forgotten(m, e->record.id);
}

static void perform_on_query(Manager *m, Entry *e, const Action *a) {
        switch (a->type) {
        case ACTION_CHECK_DEPENDENCIES:
                manager_check_dependencies(m, e);
                break;
        case ACTION_RELEASE_DEPENDENCIES:
                manager_release_dependencies(m, e);
                break;
        case ACTION_START_UNIT:
                manager_start_unit(m, e);
                break;
        case ACTION_RELEASE_UNIT:
                manager_release_unit(m, e);
                break;
        case ACTION_COMPILE:
                manager_compile(m, e);
                break;
        case ACTION_EXECUTE:
                manager_execute(m, e, a->limits.max_bytes, a->limits.high_bytes);
                break;
        case ACTION_SET_LIMITS:
                manager_set_limits(m, e, a->limits.max_bytes, a->limits.high_bytes);
                break;
        case ACTION_LOWER:
                manager_lower(m, e, a->limits.max_bytes, a->limits.high_bytes);
                break;
        case ACTION_SAMPLE:
                e->woken_usec = manager_now(m);
                manager_sample(m, e);
                break;
        case ACTION_STATE:
                on_state(m, e);
                break;
        case ACTION_FORGET:
                on_forget(m, e);
                break;
        default:
                manager_on_groups(m, e, a->type);
        }
}

static void on_admitted(Manager *m, uint64_t id) {
        Entry *e = m->submitting, *spare = manager_entry(m, id);

        if (spare) {
                m->entries[entry_position(m, id)] = e;
                spares_take(m, e, spare);
        } else
                m->entries[m->n_entries++] = e; /* IDs rise: it stays sorted; manager_submit() made room */
        m->submitting = NULL;
        metrics_admitted(m->metrics, engine_find(m->engine, id), &e->record.request.labels);
        tell(m, MANAGER_QUERY_NEW, id);
}

static void on_note(Manager *m, Entry *e, const Action *a) {
        manager_count_note(m, a);
        if (a->note == NOTE_DENIED || a->note == NOTE_FREEZE)
                manager_look_again_for_leftovers(m);
        manager_note(m, e, a);
}

void manager_perform(Manager *m, const Action *a) {
        Entry *e = a->query_id ? manager_entry(m, a->query_id) : NULL;

        if (a->type == ACTION_ADMITTED)
                on_admitted(m, a->query_id);
        else if (a->type == ACTION_REFUSED)
                m->submit_error = a->error;
        else if (a->type == ACTION_SHUTDOWN_DONE)
                m->ops->shutdown_done(&a->error, m->ops_userdata);
        else if (a->type == ACTION_NOTE)
                on_note(m, e, a);
        else if (e)
                perform_on_query(m, e, a);
}

void manager_fail(Manager *m, Entry *e, ErrorCode code, const char *message) {
        Error error = {};

        error_set(&error, code, "%s", message);
        manager_feed(m, &(Event) { .type = EVENT_UNIT_FAILED, .query_id = e->record.id, .error = &error });
        if (!e->unit_requested)
                entry_drop_runtime(e);
        else if (e->taken_key)
                manager_release_unit(m, e);
}

static void on_slice_raised(int r, void *userdata) {
        Manager *m = userdata;

        manager_slice_settled(m, r);
        if (r < 0)
                journal_write(LOG_ERR, JOURNAL_CONFIG, 0, "penstock.slice could not be raised%s: %s",
                              m->slice_due_usec != USEC_INFINITY ? "; the larger budget waits until it can" : "", strerror(-r));
        if (m->slice_due_usec != USEC_INFINITY)
                return;
        m->reload_waits = false;
        manager_feed(m, &(Event) { .type = EVENT_CONFIG, .config = m->config });
        (void) manager_set_slice(m, 0, NULL);
}

void manager_raise_slice(Manager *m) {
        (void) manager_set_slice(m, m->slice_bytes, on_slice_raised);
}

/* Hand the new figures to the engine: the parent is raised first, so that nothing is granted that the slice would kill,
 * and lowered last. When PID 1 can't be asked now it is asked again, as when it does not answer. */
static void apply_config(Manager *m) {
        m->reload_waits = m->config->max_memory_bytes > manager_slice_covers(m);
        if (m->reload_waits) {
                manager_raise_slice(m);
                return;
        }
        manager_feed(m, &(Event) { .type = EVENT_CONFIG, .config = m->config });
        (void) manager_set_slice(m, 0, NULL);
}

/* What the host cannot read now is no reason to do without a language that is there. */
int manager_reload(Manager *m, Error *ret_error) {
        LanguageSet languages = {};
        Config config;
        int r;

        r = config_files_load(m->config_root, m->config_file, journal_config_warning, NULL, &config, ret_error);
        if (r < 0)
                return r;
        r = config_files_load_languages(m->config_root, journal_config_warning, NULL, &languages, ret_error);
        if (r < 0) {
                config_done(&config);
                return error_set(ret_error, ERROR_INTERNAL, "the languages can't be read: %s", strerror(-r));
        }
        config_done(m->config);
        config_move(m->config, &config);
        language_set_done(m->languages);
        *m->languages = languages;
        spares_forget(m);
        manager_history_reload(m);
        journal_write(LOG_INFO, JOURNAL_CONFIG, 0, "Configuration read again");
        apply_config(m);
        return 0;
}

const Engine *manager_engine(const Manager *m) {
        return m->engine;
}

const Config *manager_config(const Manager *m) {
        return m->config;
}

const LanguageSet *manager_languages(const Manager *m) {
        return m->languages;
}

void manager_memory_now(Manager *m, uint64_t id, uint64_t *ret_current_bytes, uint64_t *ret_peak_bytes) {
        Entry *e = manager_entry(m, id);

        *ret_current_bytes = *ret_peak_bytes = 0;
        if (e && e->groups)
                (void) query_groups_memory(e->groups, ret_current_bytes, ret_peak_bytes);
}

void manager_numbers_now(Manager *m, uint64_t id, FinalNumbers *ret, uint64_t *ret_need_bytes) {
        Entry *e = manager_entry(m, id);
        uint64_t now = manager_now(m);
        Sample s = {};

        *ret = (FinalNumbers) {};
        *ret_need_bytes = 0;
        if (!e || !e->groups)
                return;
        /* Anyone may ask, as often as he likes; a dozen files are read for it. */
        if (e->numbers_usec == 0 || now - e->numbers_usec >= NUMBERS_PAUSE_USEC) {
                e->numbers = (FinalNumbers) {};
                (void) query_groups_so_far(e->groups, &e->numbers, &s);
                e->need_bytes = governor_need(&s, s.max_bytes);
                e->numbers_usec = now;
        }
        *ret = e->numbers;
        *ret_need_bytes = e->need_bytes;
}
