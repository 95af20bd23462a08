#!/usr/bin/env bats
# cowdax-reflink: files that share blocks.

load helper

@test "a clone has the bytes of its source and takes no space for them" {
    make_image 16M
    seq 400000 >data
    cowdax-write image /a --input=data
    before=$(free_blocks)
    cowdax-reflink image /a /b
    holds /b data
    # Some nodes at the most.
    [ $((before - $(free_blocks))) -le 16 ]
}

@test "writing into a clone leaves the original untouched, and the other way round" {
    make_image
    seq 10000 >data
    cowdax-write image /a --input=data
    cowdax-reflink image /a /b
    printf X | cowdax-write image /b --offset 5000
    holds /a data
    printf Y | cowdax-write image /a --offset 100
    printf X | splice data 5000
    holds /b data
}

@test "clones of clones are independent of each other" {
    make_image
    bytes 50000 0 >model0
    cowdax-write image /0 --input=model0
    for i in 1 2 3 4 5; do
        cowdax-reflink image /$((i - 1)) /$i
        cp model$((i - 1)) model$i
        bytes 3000 $i | tee >(splice model$i $((i * 5000))) | cowdax-write image /$i --offset $((i * 5000))
        wait
    done
    for i in 0 1 2 3 4 5; do
        holds /$i model$i
    done
}

@test "a clone outlives its source" {
    make_image
    seq 100000 >data
    cowdax-write image /a --input=data
    cowdax-reflink image /a /b
    cowdax-rm image /a
    cowdax-write image /c --pattern=7 --length=1M
    holds /b data
}

@test "cloning onto an existing file replaces it, and frees what it had" {
    make_image 8M
    seq 10000 >data
    cowdax-write image /a --input=data
    for i in {1..20}; do
        cowdax-write image /b --pattern="$i" --length=1M
        cowdax-reflink image /a /b
        holds /b data
    done
}

@test "a file cannot be cloned onto itself" {
    make_image
    seq 10000 >data
    cowdax-write image /a --input=data
    fails 1 '/a: cannot be cloned onto itself' cowdax-reflink image /a /a
}

@test "cloning keeps holes and preallocated ranges" {
    make_image
    cowdax-fallocate image /a --offset=0 --length=8192
    cowdax-write image /a --offset=100000 --pattern=1 --length=10
    cowdax-reflink image /a /b
    [ "$(json '[.extents[].type]' cowdax-map image /b)" = '["unwritten","hole","mapped"]' ]
    cowdax-read image /a | holds /b
}

@test "a range is shared at block boundaries" {
    make_image
    bytes 40960 a | cowdax-write image /a
    bytes 40960 b | cowdax-write image /b
    json '[.offset, .length, .bytes_shared, .bytes_copied]' \
        cowdax-reflink image /a /b --src-offset=8192 --dst-offset=4096 --length=12288 >got
    [ "$(cat got)" = '[4096,12288,12288,0]' ]
    { bytes 4096 b && bytes 12288 a && bytes 24576 b; } | holds /b
    bytes 40960 a | holds /a
}

@test "a range that ends at the end of the source may end at the end of the destination" {
    make_image
    bytes 10000 a | cowdax-write image /a
    cowdax-reflink image /a /new --src-offset=8192 --dst-offset=4096
    { bytes 4096 '\0' && bytes 1808 a; } | holds /new
    bytes 9000 b | cowdax-write image /b
    cowdax-reflink image /a /b --src-offset=8192 --dst-offset=8192 --length=1808
    { bytes 8192 b && bytes 1808 a; } | holds /b
}

@test "a partial last block is never shared into the middle of another file" {
    make_image
    bytes 10000 a | cowdax-write image /a
    bytes 40000 b | cowdax-write image /b
    fails 1 'must be multiples of the block size' cowdax-reflink image /a /b --dst-offset=8192
    fails 1 'must be multiples of the block size' cowdax-reflink image /a /b --src-offset=8192 --dst-offset=8192 \
        --length=1808
}

@test "ranges that are not aligned are refused" {
    make_image
    bytes 40960 a | cowdax-write image /a
    bytes 40960 b | cowdax-write image /b
    fails 1 'must be multiples of the block size' cowdax-reflink image /a /b --src-offset=1 --length=4096
    fails 1 'must be multiples of the block size' cowdax-reflink image /a /b --dst-offset=512 --length=4096
    fails 1 'must be multiples of the block size' cowdax-reflink image /a /b --length=100
}

@test "a range past the end of the source is refused" {
    make_image
    bytes 40960 a | cowdax-write image /a
    fails 1 'must be multiples of the block size' cowdax-reflink image /a /b --length=45056
    fails 1 'must be multiples of the block size' cowdax-reflink image /a /b --src-offset=1m --length=4096
    fails 1 'must be multiples of the block size' cowdax-reflink image /a /b --src-offset=4k \
        --length=0x7ffffffffffff000
}

@test "within one file ranges may not overlap, but may adjoin" {
    make_image
    { bytes 20480 a && bytes 20480 b; } | cowdax-write image /a
    fails 1 'must be multiples of the block size' cowdax-reflink image /a /a --dst-offset=4096 --length=8192
    cowdax-reflink image /a /a --dst-offset=20480 --length=8192
    { bytes 28672 a && bytes 12288 b; } | holds /a
}

@test "a file whose own blocks are shared within it is written correctly" {
    make_image
    bytes 8192 a | cowdax-write image /a
    cowdax-reflink image /a /a --dst-offset=8192 --length=8192
    printf X | cowdax-write image /a --offset=5
    { bytes 5 a && printf X && bytes 16378 a; } | holds /a
}

@test "what was written past a clone's end is not in the source's last block" {
    make_image
    bytes 5000 a | cowdax-write image /a
    cowdax-reflink image /a /b
    cowdax-write image /b --append --pattern=0x62 --length=1000
    cowdax-truncate image /a 8000
    { bytes 5000 a && bytes 3000 '\0'; } | holds /a
    { bytes 5000 a && bytes 1000 b; } | holds /b
}

@test "the blocks of a clone are marked as shared until one side is written" {
    make_image
    bytes 8192 a | cowdax-write image /a
    [ "$(json '[.extents[].flags]' cowdax-map image /a)" = '[[]]' ]
    cowdax-reflink image /a /b
    [ "$(json '[.extents[].flags]' cowdax-map image /a)" = '[["shared"]]' ]
    cowdax-write image /b --pattern=1 --length=8192
    [ "$(json '[.extents[].flags]' cowdax-map image /a)" = '[[]]' ]
    [ "$(json '[.extents[].flags]' cowdax-map image /b)" = '[[]]' ]
}

@test "a missing source and a directory are refused" {
    make_image
    cowdax-mkdir image /d
    echo x | cowdax-write image /a
    fails 1 '/nope: No such file or directory' cowdax-reflink image /nope /b
    fails 1 'Is a directory' cowdax-reflink image /d /b
    fails 1 'Is a directory' cowdax-reflink image /a /d
}

@test "--dry-run of a clone changes nothing" {
    make_image
    bytes 40960 a | cowdax-write image /a
    cp image before
    [ "$(json .bytes_shared cowdax-reflink -n image /a /b)" = 40960 ]
    cmp image before
}

@test "a report that cannot be printed leaves no clone behind" {
    make_image
    echo x | cowdax-write image /a
    fails_midway 1 'standard output: No space left on device' to_full cowdax-reflink -v image /a /b
    fails_midway 1 'standard output: Broken pipe' to_closed_pipe cowdax-reflink --json image /a /b
}
