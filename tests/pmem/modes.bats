#!/usr/bin/env bats
# Namespaces and devices on which there is no persistent memory to be had, or none to write to.

load helper

works() {
    seq 100000 | cowdax-write image /a
    cowdax-reflink image /a /b
    printf x | cowdax-write image /b --offset=100000
    blockdev --flushbufs image
    seq 100000 | holds /a
    fsck.cowdax -n image
}

@test "a namespace in raw mode works through the page cache, which mkfs and info say" {
    uses "$(namespace "$BLOCK_DIMM" raw)"
    mkfs.cowdax --force image >out 2>err
    grep -F 'warning: image: not persistent memory' err
    grep -Ex 'mapping: +page cache \(not persistent memory\)' out
    works
}

@test "a namespace in sector mode works through the page cache, which mkfs and info say" {
    uses "$(namespace "$BLOCK_DIMM" sector)"
    [[ $(readlink image) == /dev/pmem*s ]]
    mkfs.cowdax --force image >out 2>err
    # No DAX to be had from this one, so no word about it.
    [ "$(cat err)" = 'mkfs.cowdax: warning: image: not persistent memory: as durable as msync() makes it' ]
    works
}

@test "a block device set read-only can be read and checked; what would write says why it cannot" {
    uses "$(namespace "$BLOCK_DIMM" fsdax)"
    mkfs.cowdax --quiet --force image
    seq 1000 | cowdax-write image /a
    blockdev --setro image
    seq 1000 | holds /a
    fsck.cowdax -n image
    for command in 'mkfs.cowdax --force image' 'mkfs.cowdax --force --json image' \
        'cowdax-mkdir image /b' 'cowdax-write image /a'; do
        # shellcheck disable=SC2086 # meant: a command with its words
        complains 1 'image: read-only device' $command </dev/null
        [ ! -s stdout ]
    done
    blockdev --setrw image
    seq 1000 | holds /a
}

@test "a DIMM that cannot be written to is refused in every mode" {
    disk=$(namespace "$PROTECTED_DIMM")
    [ "$(blockdev --getro "$disk")" = 1 ]
    complains 1 "$disk: read-only device" mkfs.cowdax "$disk"
    complains 1 "$disk: not a cowdax filesystem" cowdax-ls "$disk"
}

@test "a device with fewer bytes than asked for, or too few for any filesystem, is refused" {
    disk=$(namespace "$BLOCK_DIMM" fsdax)
    complains 1 "$disk: has $(blockdev --getsize64 "$disk") bytes, 1073741824 are asked for" \
        mkfs.cowdax --force "$disk" 1g
    offset=$(($(blockdev --getsize64 "$disk") - 65536))
    complains 1 "$disk: 65536 bytes are too few: at least 524288" \
        mkfs.cowdax --force --fs-offset=$offset "$disk"
}

@test "a namespace that is not enabled has no node, and none is made" {
    device=$(namespace "$DAX_DIMM" devdax)
    name=namespace${device#/dev/dax}
    ndctl disable-namespace "$name"
    complains 1 "$device: " mkfs.cowdax "$device"
    [ ! -e "$device" ]
    ndctl enable-namespace "$name"
    mkfs.cowdax --quiet --force "$device"
}
