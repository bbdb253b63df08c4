/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/trace_private: the tables from which trace.c writes and trace_parse.c reads. Nobody else includes it. */
#pragma once

#include "core/trace.h"

typedef enum FieldKind { FIELD_U64, FIELD_U32, FIELD_I32, FIELD_BOOL, FIELD_NAME } FieldKind;

typedef struct Field {
        const char *name; /* NULL ends a table */
        FieldKind kind;
        size_t offset, size;
} Field;

/* What an event carries: where it is, what is in it, and whether an error follows. */
typedef struct EventShape {
        const char *name;
        const Field *fields;
        size_t offset; /* of what @fields describe, in Event; of a request they describe its QuerySpec, of `adopt` its QuerySnapshot */
        bool has_query, has_error;
} EventShape;

extern const EventShape trace_events[_EVENT_MAX];

/* The field of a configuration key; false for one that the engine does not know (a list). */
bool trace_config_field(ConfigKey key, Field *ret);
