#!/usr/bin/env bats
# An image that is a file on an XFS with DAX: MAP_SYNC.

load helper

setup_file() {
    disk=$(namespace "$XFS_DIMM" fsdax)
    device=/mnt/xfs/image
    export disk device
    mount_xfs "$disk" dax=always
}

new_file() {
    rm -f /mnt/xfs/*
    truncate -s 64M "$device"
}

teardown_file() {
    umount /mnt/xfs
}

@test "mkfs and info say MAP_SYNC and persistent memory, and do not warn" {
    new_file
    mkfs.cowdax image >out 2>err
    [ ! -s err ]
    grep -Ex 'mapping: +MAP_SYNC \(persistent memory\)' out
    grep -Ex 'durable: +once a command has ended' out
    [ "$(json '[.mapping, .persistent_memory]' cowdax-info image)" = '["MAP_SYNC",true]' ]
}

@test "all that the commands do works on an image that is not zeroed, and no byte of that shows" {
    new_file
    bytes 32m '\245' >/mnt/xfs/image
    mkfs.cowdax --quiet image
    exercise
    no_stale_byte
}

@test "the kernel confirms synchronous faults for the mapping, and libpmem does the stores" {
    new_file
    mkfs.cowdax --quiet image
    start_batch
    tell 'write /a --pattern 1 --length 100'
    batch_mapping | grep -E '^VmFlags:.* sf( |$)'
    grep libpmem "/proc/$(batch_process)/maps"
    end_batch

    rm image input output
    mkfs.cowdax --quiet image 16M
    start_batch
    tell 'write /a --pattern 1 --length 100'
    batch_mapping | grep '^VmFlags:'
    run ! grep -E '^VmFlags:.* sf( |$)' <(batch_mapping)
    run ! grep libpmem "/proc/$(batch_process)/maps"
    end_batch
}

@test "a copy of the image that XFS reflinks is an image of its own: neither sees the other's changes" {
    new_file
    mkfs.cowdax --quiet image
    seq 100000 | cowdax-write image /a
    cp --reflink=always /mnt/xfs/image /mnt/xfs/copy
    ln -s /mnt/xfs/copy copy
    # 0x2000: FIEMAP_EXTENT_SHARED.
    xfs_io -r -c 'fiemap -v' copy | grep -E '0x2[0-9a-f]{3}$'
    seq 50 | cowdax-write copy /a --offset=300001
    cowdax-reflink image /a /b
    printf original | cowdax-write image /b --offset=5

    seq 100000 | holds /a
    seq 100000 >expected
    seq 50 | splice expected 300001
    cowdax-read copy /a | cmp - expected
    complains 1 '/b: No such file or directory' cowdax-stat copy /b
    fsck.cowdax -n image
    fsck.cowdax -n copy
    [ "$(json .mapping cowdax-info copy)" = '"MAP_SYNC"' ]
}

@test "a sparse image that XFS has no room to fill is an error, not a signal, and stays as it was" {
    new_file
    mkfs.cowdax --quiet image
    seq 1000 | cowdax-write image /a
    xfs_io -f -c "falloc 0 $(($(stat -f -c '%f * %S' /mnt/xfs) - (4 << 20)))" /mnt/xfs/ballast
    before=$(seen)
    bytes 8m x >large
    complains 1 'No space left on device' cowdax-write image /b --input=large
    [ "$(seen)" = "$before" ]
    rm /mnt/xfs/ballast
    cowdax-write image /b --input=large
    holds /b large
}

@test "with DAX switched off for the mount, the page cache is used, said and warned of" {
    new_file
    mkfs.cowdax --quiet image
    seq 1000 | cowdax-write image /a
    umount /mnt/xfs
    mount -o dax=never "$disk" /mnt/xfs
    got=$(json '[.mapping, .persistent_memory]' cowdax-info image)
    seq 1000 | holds /a
    mkfs.cowdax --force image >out 2>err
    umount /mnt/xfs
    mount -o dax=always "$disk" /mnt/xfs
    [ "$got" = '["page cache",false]' ]
    grep -F 'warning: image: not persistent memory: as durable as msync() makes it' err
    grep -Ex 'durable: +once a command has ended, as far as msync\(\) reaches' out
}
