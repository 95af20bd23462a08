#!/usr/bin/env bats
# An image that is all of a block device, /dev/pmemN: through the page cache.

load helper

setup_file() {
    device=$(namespace "$BLOCK_DIMM" fsdax)
    export device
}

@test "mkfs says that it is not persistent memory, warns, and tells where to read what would be" {
    mkfs.cowdax --force "$device" >out 2>err
    [ "$(cat err)" = "mkfs.cowdax: warning: $device: not persistent memory: as durable as msync() makes it; \
the namespace could be (see mkfs.cowdax(8), NAMESPACES)" ]
    grep -Ex 'mapping: +page cache \(not persistent memory\)' out
    grep -Ex "size: +$(blockdev --getsize64 "$device") \(.*\)" out
    [ "$(json '[.mapping, .persistent_memory]' cowdax-info image)" = '["page cache",false]' ]
}

# But for the page of the mirror of its commit, which the next one syncs, or the end of the batch.
@test "what a command has stored has left the page cache when it is done" {
    mkfs.cowdax --quiet --force image
    start_batch
    tell 'write /a --pattern 1 --length 100000'
    batch_mapping | grep -E '^Rss: +[1-9]'
    kib=0
    while read -r what number _; do
        if [[ $what = @(Shared|Private)_Dirty: ]]; then kib=$((kib + number)); fi
    done < <(batch_mapping)
    [ "$kib" -le 4 ]
    end_batch
}

@test "all that the commands do works on a namespace full of old data, no byte of which shows" {
    uses "$(old_namespace "$BLOCK_DIMM" fsdax)"
    mkfs.cowdax --quiet image
    exercise
    no_stale_byte
}

@test "a mounted XFS is refused by every command, even with --force" {
    disk=$(namespace "$XFS_DIMM" fsdax)
    mount_xfs "$disk" dax=always
    complains 1 "$disk: mounted" mkfs.cowdax --force "$disk"
    complains 1 "$disk: mounted" cowdax-ls "$disk"
    complains 1 "$disk: mounted" cowdax-mkdir "$disk" /a
    echo whole >/mnt/xfs/file
    umount /mnt/xfs
    xfs_repair -n "$disk" >/dev/null 2>&1
}

@test "an XFS is refused by its name, and --force leaves no trace of it" {
    disk=$(namespace "$XFS_DIMM" fsdax)
    mkfs.xfs -q -f "$disk"
    complains 1 "$disk: contains a xfs filesystem" mkfs.cowdax "$disk"
    [ "$(blkid -p -s TYPE -o value "$disk")" = xfs ]
    mkfs.cowdax --quiet --force "$disk"
    run ! blkid -p "$disk"
    fsck.cowdax -n "$disk"
}

@test "swap space in use is refused, even with --force" {
    mkswap "$device" >/dev/null
    swapon "$device"
    status=0
    complains 1 'in use as swap space' mkfs.cowdax --force "$device" || status=$?
    swapoff "$device"
    [ $status = 0 ]
    mkfs.cowdax --quiet --force "$device"
}

@test "a device that another has opened for itself is refused" {
    mkfs.cowdax --quiet --force image
    # The log of an XFS: held by its driver, but in no list of mounts.
    log=$(namespace "$LARGE_DIMM" fsdax)
    disk=$(namespace "$XFS_DIMM" fsdax)
    mkfs.xfs -q -f -l "logdev=$log,size=64m" "$disk"
    mkdir -p /mnt/xfs
    mount -o "logdev=$log" "$disk" /mnt/xfs
    complains 1 "$log: Device or resource busy" mkfs.cowdax --force "$log"
    umount /mnt/xfs
}
