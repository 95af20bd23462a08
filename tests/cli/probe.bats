#!/usr/bin/env bats
# What mkfs.cowdax would overwrite, and whose it is: it refuses, and nothing has changed.

load helper

# An image file of 64 MiB with nothing in it.
blank() {
    rm -f image
    truncate -s 64M image
    may_be_damaged
}

# A partition of type 0x83 of an MBR: at sector $1, so many sectors.
make_mbr() {
    printf '\0\0\0\0\203\0\0\0%b%b' "$(le32 "$1")" "$(le32 "$2")" | splice image 446
    printf '\125\252' | splice image 510
}

# A number as four little-endian bytes, escaped.
le32() {
    printf '\\x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24))
}

# A GPT with one partition: at sector $1, so many sectors.
make_gpt() {
    # shellcheck disable=SC2016 # meant for perl
    perl -e '
        my ($start, $count, $sectors) = @ARGV;
        sub crc {
            my $crc = 0xffffffff;
            for my $byte (unpack "C*", shift) {
                $crc ^= $byte;
                $crc = $crc & 1 ? $crc >> 1 ^ 0xedb88320 : $crc >> 1 for 1 .. 8;
            }
            return $crc ^ 0xffffffff;
        }
        my $table = pack "a128 x16256", pack "a16 a16 Q< Q<", "linux-data-guid!", "a-partition-guid",
            $start, $start + $count - 1;
        sub header {
            my ($own, $other, $at) = @_;
            my $head = sub { pack "a8 L< L< L< L< Q< Q< Q< Q< a16 Q< L< L< L<", "EFI PART", 0x10000, 92,
                shift, 0, $own, $other, 34, $sectors - 34, "a-disk-with-guid", $at, 128, 128, crc($table) };
            return $head->(crc($head->(0)));
        }
        open my $image, "+<", "image" or die;
        sub at { seek $image, 512 * shift, 0; print $image shift }
        at(0, pack "x446 C8 L< L< x48 S<", 0, 0, 2, 0, 0xee, 255, 255, 255, 1, $sectors - 1, 0xaa55);
        at(1, header(1, $sectors - 1, 2));
        at(2, $table);
        at($sectors - 33, $table);
        at($sectors - 1, header($sectors - 1, 1, $sectors - 33));
    ' "$1" "$2" $((64 * 2048))
    [ "$(blkid -p -s PTTYPE -o value image)" = gpt ]
}

@test "mkfs sees that only the backup is left, and refuses" {
    make_image
    echo hello | cowdax-write image /a
    may_be_damaged
    bytes 4096 g | splice image 0
    fails 1 'image: contains a cowdax filesystem' mkfs.cowdax image
    truncate -s +5M image
    fails 1 'image: contains a cowdax filesystem' mkfs.cowdax image
    mkfs.cowdax -q --force image
    [ -z "$(cowdax-ls image 2>&1)" ]
    fsck.cowdax -qn image
}

@test "the middle of another cowdax filesystem is refused, by its superblock or by its backup" {
    blank
    mkfs.cowdax -q image 48M
    for _ in whole backup; do
        fails 1 'contains a cowdax filesystem, from byte 0 on' mkfs.cowdax --fs-offset=1M image
        fails 1 'contains a cowdax filesystem, from byte 0 on' mkfs.cowdax --fs-offset=512 image 8M
        bytes 4096 g | splice image 0
    done
    mkfs.cowdax -q --fs-offset=48M image
    fsck.cowdax -qn --fs-offset=48M image
}

@test "a cowdax filesystem that starts further on is refused, wherever a partition would put it" {
    for offset in 1M 31M 32256; do
        blank
        mkfs.cowdax -q --fs-offset=$offset image 16M
        fails 1 "contains a cowdax filesystem, from byte $(numfmt --from=iec $offset) on" mkfs.cowdax image
        bytes 4096 g | splice image "$(numfmt --from=iec $offset)"
        fails 1 "contains a cowdax filesystem, from byte $(numfmt --from=iec $offset) on" mkfs.cowdax image
    done
}

@test "one that only its backup at the end of the file is left of is refused too" {
    blank
    mkfs.cowdax -q --fs-offset=3M image
    bytes 12288 g | splice image $((3 << 20))
    fails 1 'contains a cowdax filesystem, from byte 3145728 on' mkfs.cowdax image
}

@test "neighbours are no obstacle" {
    blank
    mkfs.cowdax -q --fs-offset=16M image 16M
    mkfs.cowdax -q image 16M
    mkfs.cowdax -q --fs-offset=32M image
    for offset in 0 16M 32M; do
        fsck.cowdax -qn --fs-offset=$offset image
        fsck.cowdax -qnb --fs-offset=$offset image
    done
    mkfs.cowdax -q -f image 16M
    for offset in 0 16M 32M; do
        fsck.cowdax -qn --fs-offset=$offset image
        fsck.cowdax -qnb --fs-offset=$offset image
    done
}

@test "with --force, nobody writes any more to what was overwritten in part" {
    blank
    mkfs.cowdax -q --fs-offset=1M image
    mkfs.cowdax -q -f image 32M
    fails 1 'not a cowdax filesystem' cowdax-mkdir --fs-offset=1M image /d
    fails 8 'no backup superblock' fsck.cowdax -nb --fs-offset=1M image
    fsck.cowdax -qn image
    mkfs.cowdax -q -f --fs-offset=2M image 16M
    fails 1 'not a cowdax filesystem' cowdax-mkdir image /d
    fsck.cowdax -qn --fs-offset=2M image
}

@test "the middle of an ext4, and one at the first partition's place, are refused" {
    command -v mkfs.ext4 >/dev/null || skip "no mkfs.ext4"
    blank
    mkfs.ext4 -q image
    fails 1 'contains a ext4 filesystem or signature, from byte 0 on' mkfs.cowdax --fs-offset=5M image
    fails 1 'contains a ext4 filesystem or signature' mkfs.cowdax image
    blank
    mkfs.ext4 -q -E offset=1048576 image 32M
    fails 1 'contains a ext4 filesystem or signature, from byte 1048576 on' mkfs.cowdax image
}

@test "a partition is refused to who starts in it, before it, or at it; what is behind it is free" {
    blank
    make_mbr 2048 32768
    for offset in 512 64k 1M 2M; do
        fails 1 'partition' mkfs.cowdax --fs-offset=$offset image
    done
    fails 1 'contains a dos partition table' mkfs.cowdax image
    mkfs.cowdax -q --fs-offset=17M image
    fsck.cowdax -qn --fs-offset=17M image
    [ "$(blkid -p -s PTTYPE -o value image)" = dos ]
}

@test "a GPT is refused, and so is its copy at the end, even when only that is left" {
    blank
    make_gpt 2048 32768
    fails 1 'gpt partition table' mkfs.cowdax image
    fails 1 'gpt partition table' mkfs.cowdax --fs-offset=17M image
    fails 1 'partition 1 of a gpt partition table' mkfs.cowdax --fs-offset=16M image 8M
    mkfs.cowdax -q --fs-offset=17M image 8M
    blank
    make_gpt 2048 32768
    bytes 20000 '\0' | splice image 0
    fails 1 'gpt partition table at its end' mkfs.cowdax image
    fails 1 'gpt partition table at its end' mkfs.cowdax --fs-offset=25M image
    mkfs.cowdax -q image 32M
}

@test "a file that a loop device is attached to is in use, even with --force" {
    mkdir -p block/loop7/loop
    blank
    echo "$PWD/image" >block/loop7/loop/backing_file
    unshare -rm true 2>/dev/null || skip "no namespaces here"
    # shellcheck disable=SC2016 # meant for the inner shell
    unshare -rm sh -c 'mount --bind block /sys/block && mkfs.cowdax --force image' 2>err && false
    grep -F 'image: in use by a loop device' err
    cmp -n 67108864 image /dev/zero
}
