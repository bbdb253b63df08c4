/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* client/error: from bus errors to PenstockError and errno. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client/internal.h"

/* What the bus itself says when nobody is there, or when the one who was there left without an answer. */
static const char *const unreachable_names[] = {
        "org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner",
        "org.freedesktop.DBus.Error.NoReply",        "org.freedesktop.DBus.Error.NoServer",
        "org.freedesktop.DBus.Error.Timeout",        "org.freedesktop.DBus.Error.TimedOut",
        "org.freedesktop.DBus.Error.Disconnected",   "org.freedesktop.systemd1.NoSuchUnit",
        "org.freedesktop.systemd1.UnitMasked",
};

static const struct {
        const char *name;
        int error;
} own_names[] = {
        { "InvalidArgument", EINVAL },     { "UnknownLanguage", ENOPKG },
        { "CompilationFailed", ENOEXEC },  { "QueueLengthExceeded", EUSERS },
        { "QueueTimeout", ETIME },         { "ShuttingDown", ESHUTDOWN },
        { "MemoryLimitExceeded", EDQUOT }, { "MemoryBudgetExhausted", ENOMEM },
        { "Timeout", ETIMEDOUT },          { "Canceled", ECANCELED },
        { "NoSuchQuery", ENXIO },          { "PermissionDenied", EACCES },
        { "DependencyFailed", ENOLINK },
};

int client_error(PenstockError *e, int r, const char *name, const char *format, ...) {
        va_list ap;

        if (!e)
                return r;
        snprintf(e->name, sizeof(e->name), "%s", name);
        va_start(ap, format);
        vsnprintf(e->message, sizeof(e->message), format, ap);
        va_end(ap);
        return r;
}

static bool starts_with(const char *s, const char *prefix) {
        return strncmp(s, prefix, strlen(prefix)) == 0;
}

static bool name_is_unreachable(const char *name) {
        if (starts_with(name, "org.freedesktop.DBus.Error.Spawn."))
                return true;
        for (size_t i = 0; i < ELEMENTSOF(unreachable_names); i++)
                if (strcmp(name, unreachable_names[i]) == 0)
                        return true;
        return false;
}

static bool errno_is_unreachable(int r) {
        switch (-r) {
        case ENOTCONN:
        case ECONNRESET:
        case ECONNREFUSED:
        case ECONNABORTED:
        case ESHUTDOWN:
        case EPIPE:
        case ETIMEDOUT:
        case ENOENT:
        case EHOSTDOWN: return true;
        default: return false;
        }
}

static int own_errno(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(own_names); i++)
                if (strcmp(name, own_names[i].name) == 0)
                        return -own_names[i].error;
        return -EIO;
}

static int from_name(PenstockError *e, const char *name, const char *message) {
        if (starts_with(name, BUS_ERROR_PREFIX)) {
                name += strlen(BUS_ERROR_PREFIX);
                return client_error(e, own_errno(name), name, "%s", message);
        }
        if (name_is_unreachable(name))
                return client_error(
                                e, -EHOSTDOWN, PENSTOCK_ERROR_UNREACHABLE,
                                "penstockd does not answer on the system bus (%s); see: systemctl status penstockd",
                                message);
        if (strcmp(name, SD_BUS_ERROR_UNKNOWN_METHOD) == 0 || strcmp(name, SD_BUS_ERROR_NOT_SUPPORTED) == 0 ||
            strcmp(name, SD_BUS_ERROR_UNKNOWN_INTERFACE) == 0)
                return client_error(e, -EOPNOTSUPP, PENSTOCK_ERROR_UNSUPPORTED,
                                    "this version of penstockd does not offer that (%s)", message);
        if (strcmp(name, SD_BUS_ERROR_UNKNOWN_OBJECT) == 0)
                return client_error(e, -ENXIO, "NoSuchQuery", "%s", message);
        if (strcmp(name, SD_BUS_ERROR_ACCESS_DENIED) == 0)
                return client_error(e, -EACCES, "PermissionDenied", "the bus's policy refuses the call: %s", message);
        return client_error(e, -EIO, name, "%s", message);
}

/* What sd-bus has no D-Bus name for it names after the errno: that the connection is closed, say. */
static bool is_lost_connection(const sd_bus_error *bus_error) {
        return starts_with(bus_error->name, "System.Error.") &&
               errno_is_unreachable(-sd_bus_error_get_errno(bus_error));
}

int client_error_from_bus(PenstockError *e, int r, const sd_bus_error *bus_error) {
        if (bus_error && bus_error->name && is_lost_connection(bus_error))
                r = -sd_bus_error_get_errno(bus_error);
        else if (bus_error && bus_error->name)
                return from_name(e, bus_error->name, bus_error->message ? bus_error->message : "no further word");
        if (r == -ENOMEM)
                return client_error(e, r, SD_BUS_ERROR_NO_MEMORY, "out of memory");
        if (errno_is_unreachable(r))
                return client_error(e, -EHOSTDOWN, PENSTOCK_ERROR_UNREACHABLE,
                                    "the system bus cannot be reached (%s); see: systemctl status dbus penstockd",
                                    strerror(-r));
        return client_error(e, r, SD_BUS_ERROR_FAILED, "%s", strerror(-r));
}
