#!/usr/bin/env bats
# "mkfs -t cowdax" and "fsck -t cowdax", on each kind of device.

load helper

each_kind() {
    for device in "$(namespace "$DAX_DIMM" devdax)" "$(namespace "$BLOCK_DIMM" fsdax)"; do
        mkfs.cowdax --quiet --force "$device"
        "$@"
    done
}

make() {
    complains 1 "$device: contains a cowdax filesystem" mkfs -t cowdax "$device"
    mkfs -t cowdax --force "$device" | grep -E '^mapping: '
    [ -z "$(cowdax-ls "$device")" ]
}

@test "mkfs -t cowdax makes a filesystem, with the options given" {
    each_kind make
}

check() {
    fsck -t cowdax "$device" | grep -F "$device: clean: "
    fsck -t cowdax "$device" -- --json | grep '"clean":true'
    fsck.cowdax -a -T -l -M "$device"
}

@test "fsck -t cowdax checks it, and hands its own options on" {
    each_kind check
}

