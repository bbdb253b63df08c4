#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Other stories on each run. The base seed is printed: run penstock-sim with it to see the same again.
# Usage: sim-random.sh PENSTOCK_SIM COUNT
set -eu

seed=${PENSTOCK_SIM_SEED:-$(date +%s%N | cut -c1-16)}
echo "sim-random: penstock-sim run --seed $seed --count $2"
exec "$1" run --seed "$seed" --count "$2"
