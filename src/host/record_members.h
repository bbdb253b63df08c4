/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/record_members: members of a struct as members of a JSON object, each under its own name. What is not set is left
 * out, and what is not there is left as it is. */
#pragma once

#include <jansson.h>

#include "core/base.h"

typedef enum MemberKind { MEMBER_STRING, MEMBER_STRINGS, MEMBER_PAIRS, MEMBER_U64, MEMBER_U32, MEMBER_I32, MEMBER_BOOL } MemberKind;

typedef struct Member {
        const char *name;
        MemberKind kind;
        size_t offset;
} Member;

#define MEMBER(kind, type, member) { #member, MEMBER_##kind, offsetof(type, member) }

/* Takes both over. NULL when one is, or for want of memory: a list must never come out shorter. */
json_t *record_append(json_t *list, json_t *element);

/* Returns 0 or -ENOMEM. */
int members_to_json(json_t *o, const Member *members, size_t n, const void *base);
/* Returns 0, -EBADMSG for what is not of its kind, or -ENOMEM; what was read until then is the caller's to free. */
int members_from_json(const json_t *o, const Member *members, size_t n, void *base);
