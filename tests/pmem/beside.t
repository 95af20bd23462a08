#!/bin/bash
# The same operations on an XFS mounted with dax=always and on cowdax on a devdax
# namespace, in the test guest; see beside.c, to which the arguments go.
set -eu -o pipefail

here=$(cd "$(dirname "$0")" && pwd)
build=${abs_top_builddir:-$PWD}
time_limit=1000     # seconds

# In memory: what becomes of the DIMMs matters to nobody.
memory=/dev/shm
[ -w "$memory" ] || memory=/tmp
folder=$(mktemp -d "${TMPDIR:-$memory}/cowdax-beside.XXXXXX")
trap 'rm -rf "$folder"' EXIT

for dimm in xfs devdax; do
    truncate -s 512m "$folder/$dimm"
done
printf '%s\n' "$@" >"$folder/arguments"
status=0
"$here/guest" run --dimm "$folder/xfs" --dimm "$folder/devdax" --job "$here/beside_job" \
    --add "$build/tests/pmem/beside" --add "$folder/arguments" --timeout "$time_limit" || status=$?
# Whatever reports its tests ends with 0 or 1.
[ "$status" -le 1 ] || echo "Bail out! the guest ended with status $status"
exit "$status"
