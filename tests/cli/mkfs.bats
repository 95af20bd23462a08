#!/usr/bin/env bats
# mkfs.cowdax: an image, made with care for what it would overwrite.
# shellcheck disable=SC2030,SC2031 # a test's own environment

load helper

@test "a missing file is created, sparse, with the size asked for" {
    mkfs.cowdax image 1G
    [ "$(stat -c %s image)" = $((1 << 30)) ]
    [ "$(stat -c %b image)" -le 2048 ]
}

@test "an existing file is taken as it is" {
    truncate -s 32M image
    mkfs.cowdax image
    [ "$(stat -c %s image)" = $((32 << 20)) ]
    [ "$(json .size cowdax-info image)" = $((32 << 20)) ]
}

@test "an empty file grows to the size asked for" {
    : >image
    mkfs.cowdax --quiet image 16M
    [ "$(json .size cowdax-info image)" = $((16 << 20)) ]
}

@test "it prints the geometry, the UUID and what is behind the mapping" {
    mkfs.cowdax -U 01234567-89ab-cdef-0123-456789abcdef -L 'my label' image 16M >out
    grep -E '^UUID: +01234567-89ab-cdef-0123-456789abcdef$' out
    grep -E '^label: +my label$' out
    grep -E '^size: +16777216 \(16 MiB\)$' out
    grep -E '^block size: +4096' out
    grep -E '^mapping: .*not persistent memory' out
    grep -E '^durable: .*msync' out
}

@test "it warns of what is not persistent memory, and of what is only taken for it" {
    mkfs.cowdax image 16M 2>err >out
    [ "$(cat err)" = 'mkfs.cowdax: warning: image: not persistent memory: as durable as msync() makes it' ]
    PMEM_IS_PMEM_FORCE=1 mkfs.cowdax --force image 2>err >out
    grep -F 'nothing is certain when power fails' err
    grep -E '^mapping: +forced PM \(not persistent memory\)' out
    PMEM_IS_PMEM_FORCE=1 json '[.mapping, .persistent_memory]' cowdax-info image | grep -Fx '["forced PM",false]'
    [ -z "$(mkfs.cowdax --quiet --force image 2>&1)" ]
}

@test "--quiet prints nothing, --json one object" {
    mkfs.cowdax --quiet image 16M >out 2>&1
    [ ! -s out ]
    mkfs.cowdax --json image2 16M | jq -e '.cowdax_json == 1 and .command == "mkfs" and
        .block_size == 4096 and .size == 16777216 and .label == null and (.warnings | length) == 1'
}

@test "block sizes from 4 to 64 KiB work, and warn that DAX cannot where pages differ" {
    for size in 4k 8k 16KiB 0x8000 65536; do
        rm -f image
        mkfs.cowdax --quiet -b $size image 64M
        bytes 100000 x | cowdax-write image /a
        bytes 10 y | cowdax-write image /a --offset 5000
        { bytes 5000 x && bytes 10 y && bytes 94990 x; } | holds /a
        fsck.cowdax -qn image
    done
    mkfs.cowdax -b 64k image2 64M 2>&1 >out | grep 'warning: .*DAX cannot work'
}

@test "a start that is not 2 MiB-aligned warns that DAX cannot work" {
    truncate -s 32M image
    may_be_damaged
    mkfs.cowdax --fs-offset=1M image 2>&1 >out | grep 'warning: .*2 MiB'
    run ! grep 2.MiB <(mkfs.cowdax -f --fs-offset=2M image 2>&1 >out)
}

@test "a filesystem at an offset leaves what is before it alone" {
    bytes 1048576 x >image
    truncate -s 32M image
    may_be_damaged
    mkfs.cowdax --quiet --fs-offset=1M image
    echo hello | cowdax-write --fs-offset=1M image /a
    [ "$(cowdax-read --fs-offset=1M image /a)" = hello ]
    fsck.cowdax -n --fs-offset=1M image
    bytes 1048576 x | cmp -n 1048576 - image
}

@test "wrong numbers are usage errors and create nothing" {
    for size in 0 -1 16q 1.5m 16777216e 0x 99999999999999999999 8e; do
        fails 2 mkfs.cowdax mkfs.cowdax -- image $size
    done
    fails 2 'power of two' mkfs.cowdax -b 5000 image 16M
    fails 2 'power of two' mkfs.cowdax -b 2k image 16M
    fails 2 'power of two' mkfs.cowdax -b 128k image 16M
    fails 2 'multiple of 512' mkfs.cowdax --fs-offset=100 image 16M
    fails 2 'not a UUID' mkfs.cowdax -U zzz image 16M
    fails 2 'longer than 64 bytes' mkfs.cowdax -L "$(bytes 65 l)" image 16M
    fails 2 'missing operand' mkfs.cowdax
    fails 2 'extra operand' mkfs.cowdax image 16M more
    [ ! -e image ]
}

@test "too small a size, and none for a missing file, are errors that leave no file behind" {
    fails 1 image mkfs.cowdax image 4k
    fails 1 image mkfs.cowdax image
    [ ! -e image ]
    fails 1 'No such file or directory' mkfs.cowdax nowhere/image 16M
}

@test "a size that is too small is an error that says the smallest, which works" {
    local block smallest

    for block in 4k 64k; do
        fails 1 'image: 1 bytes are too few: at least ' mkfs.cowdax -b $block image 1
        smallest=$(sed 's/.* at least //' stderr)
        fails 1 "at least $smallest" mkfs.cowdax -b $block image $((smallest - 4096))
        [ ! -e image ]
        mkfs.cowdax --quiet -b $block image "$smallest"
        fsck.cowdax -n image
        fails 1 "at least $smallest" mkfs.cowdax -f -b $block image 1
        rm image
    done
}

@test "a device that is not there is an error, and no file takes its place" {
    complains 1 '/dev/pmem99: No such file or directory' mkfs.cowdax /dev/pmem99 64M
    [ ! -e /dev/pmem99 ]
    complains 1 '/dev/pmem99: ' mkfs.cowdax --dry-run /dev/pmem99 64M
}

@test "another filesystem is refused by its name, and overwritten with --force" {
    truncate -s 16M image
    mkswap -q image 2>/dev/null || mkswap image >/dev/null
    may_be_damaged
    fails 1 'swap' mkfs.cowdax image
    mkfs.cowdax --quiet --force image
    fsck.cowdax -n image
}

@test "with --force no signature of the former filesystem is left, wherever it lay" {
    truncate -s 16M image
    printf '\001CD001\001' | dd of=image bs=1 seek=32768 conv=notrunc status=none
    [ "$(blkid -p -s TYPE -o value image)" = iso9660 ]
    fails 1 'iso9660' mkfs.cowdax image
    mkfs.cowdax --quiet --force image
    [ -z "$(blkid -p -s TYPE -o value image)" ]
    fsck.cowdax -n image
}

@test "a failure prints nothing on standard output" {
    for format in -v --json; do
        status=0
        mkfs.cowdax $format missing >out 2>err || status=$?
        [ $status = 1 ]
        [ ! -s out ]
    done
}

@test "--dry-run tells the numbers that the real run then has" {
    mkfs.cowdax --dry-run --json image 64M >trial
    [ "$(jq -c '[.dry_run, .transaction]' trial)" = '[true,null]' ]
    mkfs.cowdax --json image 64M >real
    jq -e '.dry_run == false and .transaction > 0' real
    for key in .free_blocks .available_blocks .reserved_blocks .blocks; do
        [ "$(jq $key trial)" = "$(jq $key real)" ]
    done
    [ "$(jq .free_blocks real)" = "$(json .free_blocks cowdax-info image)" ]
    [ "$(jq .available_blocks real)" = "$(json .available_blocks cowdax-info image)" ]
}

@test "a file size limit is an error, and no file is left behind" {
    (ulimit -f 1000 && fails 1 'File too large' mkfs.cowdax image 64M)
    [ ! -e image ]
}

@test "a partition table is refused" {
    truncate -s 16M image
    # One partition of type 0x83 from sector 2048, and the signature.
    printf '\0\0\0\0\203\0\0\0\0\010\0\0\0\020\0\0' | splice image 446
    printf '\125\252' | splice image 510
    may_be_damaged
    fails 1 'dos partition table' mkfs.cowdax image
}

@test "an image of ours is refused too, and -f and -F overwrite it" {
    make_image
    echo x | cowdax-write image /a
    fails 1 'image: contains a cowdax filesystem' mkfs.cowdax image
    mkfs.cowdax -f --quiet image
    [ -z "$(cowdax-ls image)" ]
    mkfs.cowdax -F --quiet image
}

@test "nothing of a former life comes back, even with the same UUID" {
    export SOURCE_DATE_EPOCH=1700000000
    mkfs.cowdax -q -U clear image 16M
    for i in {1..10}; do
        echo "$i" | cowdax-write image "/$i"
    done
    mkfs.cowdax -q -f -U clear image
    [ -z "$(cowdax-ls image)" ]
    fsck.cowdax -n image
    echo new | cowdax-write image /new
    [ "$(cowdax-ls image)" = new ]
}

@test "an image that a command has open is refused, even with --force" {
    make_image
    start_batch
    tell 'mkdir /a'
    fails 1 'image: ' mkfs.cowdax --force image
    end_batch
    [ "$(cowdax-ls image)" = a ]
}

@test "--dry-run prints and creates nothing" {
    mkfs.cowdax --dry-run image 16M >out
    grep -E '^blocks: +4096$' out
    [ ! -e image ]
    make_image
    fails 1 cowdax mkfs.cowdax -N image
    cp image before
    mkfs.cowdax -n -f image >out
    cmp image before
}

@test "the same UUID and SOURCE_DATE_EPOCH give the same image, byte for byte" {
    export SOURCE_DATE_EPOCH=1700000000
    mkfs.cowdax -q -U 01234567-89ab-cdef-0123-456789abcdef image 16M
    mkfs.cowdax -q -U 01234567-89ab-cdef-0123-456789abcdef image2 16M
    cmp image image2
    [ "$(json .mtime cowdax-stat image /)" = 1700000000 ]
    SOURCE_DATE_EPOCH=1700000001 \
        mkfs.cowdax -q -U 01234567-89ab-cdef-0123-456789abcdef image3 16M
    run ! cmp -s image image3
}

@test "the seed of a reproducible image is the 64-bit FNV-1a of its UUID and time" {
    export SOURCE_DATE_EPOCH=1700000000
    mkfs.cowdax -q -U 01234567-89ab-cdef-0123-456789abcdef image 16M
    # shellcheck disable=SC2016 # meant for perl
    expected=$(perl -e '
        use integer;
        my $hash = 0xcbf29ce484222325;
        for my $byte (unpack "C*", pack "H32 Q<", "0123456789abcdef0123456789abcdef", 1700000000) {
            $hash = ($hash ^ $byte) * 0x100000001b3;
        }
        print unpack "H16", pack "Q<", $hash')
    [ "$(od -An -tx1 -j72 -N8 image | tr -d ' ')" = "$expected" ]
}

@test "otherwise two images differ" {
    mkfs.cowdax -q image 16M
    mkfs.cowdax -q image2 16M
    [ "$(json .uuid cowdax-info image)" != "$(json .uuid cowdax-info image2)" ]
    mkfs.cowdax -q -U clear image3 16M
    mkfs.cowdax -q -U clear image4 16M
    [ "$(json .uuid cowdax-info image3)" = '"00000000-0000-0000-0000-000000000000"' ]
    run ! cmp -s image3 image4
}

@test "a SOURCE_DATE_EPOCH that is no number is an error" {
    export SOURCE_DATE_EPOCH=yesterday
    fails 1 "SOURCE_DATE_EPOCH: 'yesterday' is not a number" mkfs.cowdax image 16M
    [ ! -e image ]
}

@test "--all-root gives the root directory to root" {
    mkfs.cowdax -q --all-root image 16M
    [ "$(json '[.uid, .gid, .mode]' cowdax-stat image /)" = "[0,0,$((0755))]" ]
}

@test "what is not supported yet says so" {
    fails 1 '--from: not supported yet' mkfs.cowdax -d . image 16M
    fails 1 'not supported yet' mkfs.cowdax -O foo image 16M
    fails 2 '--shrink needs --from' mkfs.cowdax --shrink image 16M
    [ ! -e image ]
}

@test "-O list-all lists the features and exits" {
    mkfs.cowdax -O list-all
    fails 1 'standard output: No space left on device' to_full mkfs.cowdax --help
}

@test "a full standard output is an error and makes nothing" {
    fails 1 'standard output: No space left on device' to_full mkfs.cowdax image 16M
    fails 1 'standard output: No space left on device' to_full mkfs.cowdax --json image 16M
    [ ! -e image ]
}

@test "a directory, a FIFO and a forbidden file are refused" {
    mkdir folder
    fails 1 'folder: neither a regular file nor a device' mkfs.cowdax folder 16M
    mkfifo fifo
    fails 1 'fifo: neither a regular file nor a device' mkfs.cowdax fifo 16M
    truncate -s 16M image
    may_be_damaged
    chmod 000 image
    without_override mkfs.cowdax image 2>stderr && false
    grep -Fx 'mkfs.cowdax: image: Permission denied' stderr
    chmod 600 image
    cmp -n 16777216 image /dev/zero
}

@test "a file behind a loop device is in use, even with --force" {
    [ "$(id -u)" = 0 ] || skip "needs root for losetup"
    truncate -s 16M image
    may_be_damaged
    device=$(losetup --find --show image 2>/dev/null) || skip "no loop device here"
    got=0
    fails 1 'image: in use by a loop device' mkfs.cowdax --force image || got=$?
    losetup --detach "$device"
    [ $got = 0 ]
}

@test "a mounted block device is in use, even with --force" {
    [ "$(id -u)" = 0 ] || skip "needs root to mount"
    command -v mkfs.ext4 >/dev/null || skip "no mkfs.ext4"
    truncate -s 16M backing
    mkfs.ext4 -q backing
    device=$(losetup --find --show backing 2>/dev/null) || skip "no loop device here"
    mkdir mnt
    mount "$device" mnt
    got=0
    mkfs.cowdax --force "$device" 2>stderr || got=$?
    umount mnt
    losetup --detach "$device"
    [ $got = 1 ]
    grep -E "^mkfs.cowdax: $device: .*(busy|in use|mounted)" stderr
}

@test "mkfs -t cowdax comes here" {
    mkfs -t cowdax image 16M
    fsck.cowdax -n image
}
