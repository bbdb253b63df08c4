# SPDX-License-Identifier: LGPL-2.1-or-later
# Before a program's own file: ends before any of its rules is run. The exit in END is for awks in which an exit in BEGIN
# still runs the END rules.
BEGIN { exit }
END { exit }
