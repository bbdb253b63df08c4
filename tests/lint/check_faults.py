#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each function that a program imports is one that the tests let fail (tests/fail/fail-list.h), or is named here with the
reason why not. Arguments: the root of the source, the programs."""

import os
import re
import subprocess
import sys

# They say nothing of a failure, or can't have one.
CANNOT = """
__assert_fail __cxa_finalize __errno_location __gmon_start__ __libc_start_main __stack_chk_fail _exit
_ITM_deregisterTMCloneTable _ITM_registerTMCloneTable
free getenv secure_getenv getpid geteuid getresuid getresgid umask qsort sysconf sched_get_priority_min
bcmp memchr memcmp memcpy memmove memset dirname strcasecmp strchr strchrnul strcmp strcspn strerror strlen strncmp strnlen strpbrk
strrchr strspn strstr strtoull snprintf sprintf vsnprintf __isoc99_fscanf __isoc99_sscanf __isoc23_fscanf __isoc23_sscanf
__isoc23_strtoull sigaddset sigemptyset sigfillset signal sigaction setsid getopt_long ferror clock_gettime dirfd munmap
stdin stdout stderr optarg optind program_invocation_short_name __progname
pthread_cond_destroy pthread_cond_signal pthread_cond_wait pthread_join pthread_mutex_destroy pthread_mutex_lock
pthread_mutex_unlock pthread_mutexattr_destroy pthread_attr_destroy pthread_sigmask gettid timer_delete timer_settime
sd_bus_close_unref sd_bus_flush_close_unref sd_bus_get_event sd_bus_is_open sd_bus_message_get_errno sd_bus_message_get_error
sd_bus_message_get_expect_reply sd_bus_message_get_interface sd_event_source_get_time
sd_bus_message_get_member sd_bus_message_get_path sd_bus_message_get_sender sd_bus_message_get_signature
sd_bus_message_is_method_call sd_bus_message_ref sd_bus_message_unref sd_bus_ref sd_bus_unref sd_bus_slot_unref
sd_bus_slot_set_destroy_callback sd_bus_object_vtable_format sd_event_exit sd_event_loop sd_event_now sd_event_ref
sd_event_dispatch sd_event_get_exit_code sd_event_get_state sd_event_prepare sd_event_wait
sd_event_unref sd_event_source_disable_unref sd_event_source_get_event sd_event_source_set_destroy_callback
sd_event_source_set_floating sd_event_source_set_io_fd_own sd_event_source_unref
sqlite3_busy_timeout sqlite3_changes sqlite3_clear_bindings sqlite3_close sqlite3_column_blob sqlite3_column_bytes
sqlite3_column_int64 sqlite3_column_text sqlite3_db_config sqlite3_db_handle sqlite3_extended_result_codes sqlite3_finalize
sqlite3_get_autocommit sqlite3_progress_handler sqlite3_reset sqlite3_system_errno
nettle_hmac_sha256_digest nettle_hmac_sha256_set_key nettle_hmac_sha256_update
json_object_iter json_object_iter_key json_object_iter_next json_object_iter_value json_object_key_to_iter
cgroup_free cgroup_get_last_errno cgroup_set_logger cgroup_strerror ini_allow_inline_comments ini_allow_multiline
ini_initial_alloc ini_max_line ini_parse_stream ini_use_stack json_null json_true json_false json_delete
json_array_get json_array_size json_integer_value json_object_get json_string_value
""".split()
# What these would fail with is an error of ours (a bad descriptor, a pid that is not our child).
OURS = "close fclose closedir waitpid kill readdir64 fgets sd_bus_get_fd sd_bus_set_method_call_timeout".split()
# Output for people, of the checker and of --help.
SHOWN = "fprintf fputc fputs fwrite puts vfprintf json_dumpf".split()
# Only in children of penstockd that ask name services.
NAMES = "getgrnam getgrouplist getpwnam getpwuid".split()
EXCUSED = {*CANNOT, *OURS, *SHOWN, *NAMES}


def listed(text):
    return set(re.findall(r"^WRAP\((\w+),", text, re.M))


def imported(program):
    done = subprocess.run(["nm", "-D", "--undefined-only", program], stdout=subprocess.PIPE, check=True)
    return {line.split()[-1].split("@")[0] for line in done.stdout.decode().splitlines() if line.strip()}


def check(functions, names):
    """Yields what is wrong with the list of NAMES for a program that imports FUNCTIONS."""
    for name in sorted(functions - names - EXCUSED):
        yield f"{name} is imported: the tests should let it fail (tests/fail/fail-list.h), or tests/lint/check_faults.py say why not"


def main(root, programs):
    with open(os.path.join(root, "tests/fail/fail-list.h"), encoding="ascii") as f:
        names = listed(f.read())
    wrong = [line for program in programs for line in check(imported(program), names)]
    wrong += [f"{name} is both in the list and excused" for name in sorted(names & EXCUSED)]
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
