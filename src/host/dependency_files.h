/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/dependency_files: what a dependency names on the file system, looked at off the loop by a short-lived child:
 * EnvironmentFile= is read, credentials and paths to bind are there. A file system may hang, so it has a time limit. */
#pragma once

#include <systemd/sd-event.h>

#include "core/dependency.h"

typedef struct DependencyFiles DependencyFiles;

/* @error ERROR_NONE: @environment has the variables of all its files, a later file's last; the receiver may take it over
 * and leave it empty. Else @error is DependencyFailed and names the dependency and the key. May free the object. */
typedef void (*DependencyFilesDone)(const Error *error, PairList *environment, void *userdata);

/* True if there is anything to look at. */
bool dependency_files_needed(const Dependency *d);
/* @d is borrowed until the end. Returns 0, or -errno; then @on_done is never called. */
int dependency_files_start(sd_event *event, const Dependency *d, DependencyFilesDone on_done, void *userdata,
                           DependencyFiles **ret);
/* Kills the child if it still runs; on_done is not called any more. Takes NULL, returns NULL. */
DependencyFiles *dependency_files_free(DependencyFiles *f);
