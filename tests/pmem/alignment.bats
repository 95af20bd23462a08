#!/usr/bin/env bats
# Device DAX with another alignment than 2 MiB, as "ndctl create-namespace --align" makes it.

load helper

# aligned SIZE DIMM [OPTION]: the device is mapped in pages of that, and works.
aligned() {
    uses "$(namespace "$2" devdax --align="$1" "${@:3}")"
    mkfs.cowdax --quiet --force image
    seq 100000 | cowdax-write image /a
    seq 100000 | holds /a
    fsck.cowdax -n image
    start_batch
    tell 'stat /'
    batch_mapping | grep -E "^KernelPageSize: +$(($(numfmt --from=iec "$1") / 1024)) kB"
    end_batch
    complains 1 'image: contains a cowdax filesystem' mkfs.cowdax image
}

@test "4 KiB: it works the same" {
    aligned 4K "$DAX_DIMM"
}

@test "1 GiB: it works the same, also for an image that is no multiple of that" {
    aligned 1G "$LARGE_DIMM" --map=mem
    mkfs.cowdax --quiet --force image 100m
    seq 1000 | cowdax-write image /a
    seq 1000 | holds /a
}
