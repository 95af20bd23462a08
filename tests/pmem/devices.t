#!/bin/bash
# The suite that runs in the test guest: devices.t [NAME.bats]... runs some of it.
set -eu -o pipefail

here=$(cd "$(dirname "$0")" && pwd)
time_limit=600     # seconds

# In memory: what becomes of the DIMMs matters to nobody.
memory=/dev/shm
[ -w "$memory" ] || memory=/tmp
folder=$(mktemp -d "${TMPDIR:-$memory}/cowdax-devices.XXXXXX")
trap 'rm -rf "$folder"' EXIT

# In the order of helper.bash.  An XFS has 300 MiB or more.
dimms=()
for size in 320M 32M 32M 2G 16M; do
    truncate -s "$size" "$folder/${#dimms[@]}"
    dimms+=("$folder/${#dimms[@]}")
done

printf '%s\n' '#!/bin/bash' 'exec 2>&1' "cd pmem && bats --tap ${*:-*.bats}" >"$folder/job"
status=0
"$here/guest" run --job "$folder/job" --timeout "$time_limit" \
    --dimm "${dimms[0]}" --dimm "${dimms[1]}" --dimm "${dimms[2]}" --dimm "${dimms[3]}" \
    --dimm-ro "${dimms[4]}" --add "$here" --add "$here/../cli" || status=$?
# bats ends with 0 or 1.
[ "$status" -le 1 ] || echo "Bail out! the guest ended with status $status"
exit "$status"
