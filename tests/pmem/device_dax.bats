#!/usr/bin/env bats
# An image that is all of a namespace in devdax mode: /dev/daxX.Y.
# shellcheck disable=SC2030,SC2031 # a test's own device

load helper

setup_file() {
    device=$(namespace "$DAX_DIMM" devdax)
    export device
}

@test "mkfs takes all of the device, whose size sysfs tells, and says that it is persistent memory" {
    mkfs.cowdax --force "$device" >out 2>err
    [ ! -s err ]
    size=$(cat "/sys/bus/dax/devices/${device##*/}/size")
    grep -Ex "size: +$size \(.*\)" out
    grep -Ex 'mapping: +device DAX \(persistent memory\)' out
    grep -Ex 'durable: +once a command has ended' out
    json '[.size, .mapping, .persistent_memory]' cowdax-info image >info
    [ "$(cat info)" = "[$size,\"device DAX\",true]" ]
}

@test "it is mapped in pages of 2 MiB, and stored to by libpmem" {
    mkfs.cowdax --quiet --force image
    start_batch
    tell 'write /a --pattern 1 --length 100'
    batch_mapping | grep -E '^KernelPageSize: +2048 kB'
    grep libpmem "/proc/$(batch_process)/maps"
    end_batch
}

@test "a change is there for who takes the namespace over without a shutdown" {
    mkfs.cowdax --quiet --force image
    seq 100000 | cowdax-write image /a
    device=$(namespace "$DAX_DIMM" devdax)
    uses "$device"
    seq 100000 | holds /a
}

@test "a filesystem in the middle of the device starts at a multiple of its alignment" {
    for verb in 'mkfs.cowdax --force' cowdax-ls 'fsck.cowdax -n'; do
        status=1
        [[ $verb != fsck* ]] || status=8
        # shellcheck disable=SC2086 # meant: a command with its option
        complains $status "image: a filesystem starts at a multiple of 2097152, the alignment of the device, not at 1048576" \
            $verb --fs-offset=1m image
    done
    mkfs.cowdax --quiet --force --fs-offset=4m image
    seq 1000 | cowdax-write --fs-offset=4m image /a
    [ "$(cowdax-read --fs-offset=4m image /a | tail -n 1)" = 1000 ]
    fsck.cowdax -n --fs-offset=4m image
    may_be_damaged
}

@test "an image is refused without --force, wherever on the device it starts" {
    mkfs.cowdax --quiet --force image
    complains 1 'image: contains a cowdax filesystem' mkfs.cowdax image
    mkfs.cowdax --quiet --force --fs-offset=4m image
    complains 1 'image: contains a cowdax filesystem' mkfs.cowdax --fs-offset=4m image
    may_be_damaged
}

@test "another filesystem that the namespace held in fsdax mode is refused by its name" {
    disk=$(namespace "$DAX_DIMM" fsdax)
    truncate -s 64M swap
    mkswap swap >/dev/null
    dd if=swap of="$disk" bs=64k count=1 conv=notrunc,fsync status=none
    device=$(namespace "$DAX_DIMM" devdax)
    uses "$device"
    may_be_damaged
    complains 1 'image: contains a swap' mkfs.cowdax image
    mkfs.cowdax --quiet --force image
    fsck.cowdax -n image
}

@test "more than the device holds is refused with both numbers, and too little space with the least" {
    mkfs.cowdax --quiet --force image
    size=$(cat "/sys/bus/dax/devices/${device##*/}/size")
    complains 1 "image: has $size bytes, 1073741824 are asked for" mkfs.cowdax --force image 1g
    complains 1 'image: 65536 bytes are too few: at least 524288' mkfs.cowdax --force image 64k
}

@test "all that the commands do works on a namespace full of old data, no byte of which shows" {
    device=$(old_namespace "$DAX_DIMM" devdax)
    uses "$device"
    mkfs.cowdax --quiet image
    exercise
    no_stale_byte
}
