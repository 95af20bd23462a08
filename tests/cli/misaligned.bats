#!/usr/bin/env bats
# Every misalignment of head and tail, over every kind of block: the copy of
# edges is where filesystems have corrupted files most often.

load helper

# lines_for KINDS NAME: lines for cowdax-batch that make the file NAME of six
# blocks, each of a kind: s shared (with NAME-other), u unshared, h hole,
# p preallocated.
lines_for() {
    local kinds=$1 name=$2 i range

    printf 'truncate %s 24576\n' "$name" "$name-other"
    for i in 0 1 2 3 4 5; do
        range="--offset $((i * 4096)) --length 4096"
        case ${kinds:i:1} in
            s | u) echo "write $name --pattern 0x64 $range" ;;
            p) echo "fallocate $name $range" ;;
        esac
        [ "${kinds:i:1}" != s ] ||
            echo "reflink $name $name-other --src-offset $((i * 4096)) --dst-offset $((i * 4096)) --length 4096"
    done
}

# model_for KINDS: what the file holds then.
model_for() {
    local kinds=$1 i

    for i in 0 1 2 3 4 5; do
        case ${kinds:i:1} in
            s | u) bytes 4096 d ;;
            *) bytes 4096 '\0' ;;
        esac
    done
}

# try_ranges 'KINDS…' 'OFFSET+LENGTH…' BYTE COMMAND [OPTION…]: run the command on
# each range of a file of each kind; the range then holds BYTE or, with "same",
# what it held, and what is around it or in the other file is as it was.
try_ranges() {
    local all_kinds=$1 ranges=$2 byte=$3 kinds range
    shift 3

    make_image 16M
    for kinds in $all_kinds; do
        for range in $ranges; do
            lines_for "$kinds" "/$kinds-$range"
            echo "$1 /$kinds-$range ${*:2} --offset ${range%+*} --length ${range#*+}"
        done
    done | cowdax-batch image
    for kinds in $all_kinds; do
        model_for "$kinds" >base
        model_for "${kinds//[!s]/h}" >other
        for range in $ranges; do
            cp base model
            [ "$byte" = same ] || bytes "${range#*+}" "$byte" | splice model "${range%+*}"
            holds "/$kinds-$range" model
            holds "/$kinds-$range-other" other
        done
    done
}

# From the second block into the fifth, by every misalignment of head and tail.
each_misalignment() {
    local head tail ranges=

    for head in 0 1 2048 4095; do
        for tail in 0 1 2048 4095; do
            ranges+=" $((4096 + head))+$((4 * 4096 + tail - 4096 - head))"
        done
    done
    try_ranges 'ssssss uuuuuu hhhhhh pppppp suhpsu phusph' "$ranges" "$@"
}

within_a_block() {
    try_ranges 'ssssss uuuuuu hhhhhh pppppp' '8192+1 8193+1 8292+3000 12287+1 8192+4096' "$@"
}

@test "a write changes its bytes only, whatever its ends and the blocks below" {
    each_misalignment W write --pattern 0x57
}

@test "a write within a block changes its bytes only" {
    within_a_block W write --pattern 0x57
}

@test "punching zeroes its bytes only, whatever its ends and the blocks below" {
    each_misalignment '\0' fallocate --punch
}

@test "punching within a block zeroes its bytes only" {
    within_a_block '\0' fallocate --punch
}

@test "zeroing zeroes its bytes only, whatever its ends and the blocks below" {
    each_misalignment '\0' fallocate --zero
}

@test "zeroing within a block zeroes its bytes only" {
    within_a_block '\0' fallocate --zero
}

@test "preallocating changes no byte, whatever its ends and the blocks below" {
    each_misalignment same fallocate
}

@test "unsharing changes no byte, whatever its ends and the blocks below" {
    each_misalignment same fallocate --unshare
}

@test "unsharing within a block changes no byte" {
    within_a_block same fallocate --unshare
}

@test "many short extents on either side: both files keep their bytes" {
    make_image 16M
    # Even blocks written one by one, backwards, so that nothing adjoins.
    for i in {98..0..2}; do
        echo "write /a --offset $((i * 4096)) --pattern $((i + 1)) --length 4096"
    done | cowdax-batch image
    echo 'reflink /a /b' | cowdax-batch image
    for i in {1..99..3}; do
        echo "write /b --offset $((i * 4096 - 7)) --pattern 255 --length 14"
    done | cowdax-batch image
    for i in {0..98}; do
        if ((i % 2)); then bytes 4096 '\0'; else bytes 4096 "\\$(printf %o $((i + 1)))"; fi
    done >a
    cp a b
    for i in {1..99..3}; do
        bytes 14 '\377' | splice b $((i * 4096 - 7))
    done
    holds /a a
    holds /b b
}

@test "bytes past the end of file never come back when it grows" {
    make_image 4M
    for how in truncate write fallocate clone; do
        bytes 8192 s | cowdax-write image /$how
        cowdax-truncate image /$how 5000
        case $how in
            truncate) cowdax-truncate image /$how 8192 ;;
            write) cowdax-write image /$how --offset=8191 --pattern=0 --length=1 ;;
            fallocate) cowdax-fallocate image /$how --offset=0 --length=8192 ;;
            clone) cowdax-reflink image /$how /clone && cowdax-truncate image /clone 8192 ;;
        esac
    done
    cowdax-truncate image /clone 8192
    for file in truncate write fallocate clone; do
        cowdax-read image /$file | head -c 8192 >got
        { bytes 5000 s && bytes 3192 '\0'; } | head -c "$(stat -c %s got)" | cmp - got
    done
}

@test "a short input leaves nothing of a block unfilled" {
    make_image 4M
    bytes 10 x | cowdax-write image /a
    cowdax-truncate image /a 4096
    { bytes 10 x && bytes 4086 '\0'; } | holds /a
    bytes 5 y | cowdax-write image /b --offset=4090
    { bytes 4090 '\0' && bytes 5 y; } | holds /b
}
