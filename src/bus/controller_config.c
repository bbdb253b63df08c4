/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every key of [Controller] as a property: one getter, by core/config's own table. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bus/server.h"

#define CONFIG_TEXT_MAX 256

/* "QueueTimeoutSec" of the file is "QueueTimeoutUSec" on the bus, as in systemd. */
static bool names_key(const char *property, const ConfigKeyInfo *key) {
        size_t n = strlen(property), tail = strlen("USec");

        if (key->kind != CONFIG_KIND_USEC)
                return strcmp(property, key->name) == 0;
        return n > tail && strcmp(property + n - tail, "USec") == 0 && strlen(key->name) == n - 1 &&
               strncmp(property, key->name, n - tail) == 0;
}

static int append_list(sd_bus_message *m, const StrList *l) {
        int r = sd_bus_message_open_container(m, 'a', "s");

        for (size_t i = 0; r >= 0 && i < l->n; i++)
                r = sd_bus_message_append_basic(m, 's', l->v[i]);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_key(sd_bus_message *m, const Config *c, ConfigKey key) {
        const ConfigKeyInfo *info = config_key_info(key);
        char text[CONFIG_TEXT_MAX];
        const void *field;

        if (info->kind == CONFIG_KIND_CHOICE) /* may have no field */
                return sd_bus_message_append_basic(m, 's', config_value_text(c, key, text, sizeof(text)));
        field = (const char *) c + info->offset;
        switch (info->kind) {
        case CONFIG_KIND_COUNT:
        case CONFIG_KIND_BYTES:
        case CONFIG_KIND_USEC: return sd_bus_message_append_basic(m, 't', field);
        case CONFIG_KIND_BOOL: return sd_bus_message_append(m, "b", (int) *(const bool *) field);
        case CONFIG_KIND_LIST: return append_list(m, field);
        default: return -EINVAL;
        }
}

int controller_get_config(sd_bus *bus, const char *path, const char *interface, const char *property,
                          sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        const BusServer *s = userdata;

        (void) bus, (void) path, (void) interface, (void) ret_error;
        for (ConfigKey key = 0; key < _CONFIG_KEY_MAX; key++)
                if (names_key(property, config_key_info(key)))
                        return append_key(reply, manager_config(s->manager), key);
        return -ENOENT;
}
