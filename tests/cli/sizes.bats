#!/usr/bin/env bats
# cowdax-truncate and cowdax-fallocate.

load helper

@test "truncate cuts and extends" {
    make_image
    seq 10000 >data
    cowdax-write image /a --input=data
    cowdax-truncate image /a 5000
    truncate -s 5000 data
    holds /a data
    cowdax-truncate image /a 100k
    truncate -s 100k data
    holds /a data
    cowdax-truncate image /a 0
    [ "$(json '[.size, .blocks]' cowdax-stat image /a)" = '[0,0]' ]
}

@test "truncate creates a missing file, as truncate(1) does" {
    make_image
    cowdax-truncate image /a 1T
    [ "$(json '[.size, .blocks]' cowdax-stat image /a)" = "[$((1 << 40)),0]" ]
}

@test "truncating a clone leaves the other as it was" {
    make_image
    seq 10000 >data
    cowdax-write image /a --input=data
    cowdax-reflink image /a /b
    cowdax-truncate image /b 5000
    cowdax-truncate image /b 20000
    holds /a data
    { head -c 5000 data && bytes 15000 '\0'; } | holds /b
}

@test "a wrong size, a directory or a missing folder is an error" {
    make_image
    cowdax-mkdir image /d
    for size in -1 abc '' 1.5k 5kb 0x 18446744073709551616 16e 1kk; do
        fails 2 SIZE cowdax-truncate -- image /a "$size"
    done
    fails 2 'missing operand' cowdax-truncate image /a
    fails 1 '/d: Is a directory' cowdax-truncate image /d 5
    fails 1 '/nope/a: No such file or directory' cowdax-truncate image /nope/a 5
    fails 1 '/a: File too large' cowdax-truncate image /a 0x7fffffffffffffff
}

@test "sizes take hexadecimal and suffixes" {
    make_image
    for pair in 10:10 0x10:16 1k:1024 2KiB:2048 3m:3145728 0x1g:1073741824 1T:1099511627776 010:10; do
        cowdax-truncate image /a "${pair%:*}"
        [ "$(json .size cowdax-stat image /a)" = "${pair#*:}" ]
    done
}

@test "fallocate allocates blocks that read as zeros, and extends the file" {
    make_image
    cowdax-fallocate image /a --offset=5000 --length=10000
    bytes 15000 '\0' | holds /a
    [ "$(json '[.extents[].type]' cowdax-map image /a)" = '["hole","unwritten"]' ]
    cowdax-write image /a --offset=6000 --pattern=0x78 --length=10
    { bytes 6000 '\0' && bytes 10 x && bytes 8990 '\0'; } | holds /a
}

@test "fallocate over data keeps the data" {
    make_image
    bytes 20000 x | cowdax-write image /a
    cowdax-fallocate image /a --offset=0 --length=100000
    { bytes 20000 x && bytes 80000 '\0'; } | holds /a
}

@test "--keep-size allocates past the end without moving it" {
    make_image
    echo x | cowdax-write image /a
    cowdax-fallocate image /a --offset=0 --length=100000 --keep-size
    [ "$(json '[.size, .blocks]' cowdax-stat image /a)" = '[2,25]' ]
    [ "$(cowdax-read image /a)" = x ]
    cowdax-truncate image /a 50000
    { echo x && bytes 49998 '\0'; } | holds /a
}

@test "--punch frees whole blocks, never changes the size, and spares a clone" {
    make_image
    bytes 40960 x | cowdax-write image /a
    cowdax-reflink image /a /b
    cowdax-fallocate image /b --punch --offset=5000 --length=20000
    { bytes 5000 x && bytes 20000 '\0' && bytes 15960 x; } | holds /b
    bytes 40960 x | holds /a
    [ "$(json .blocks cowdax-stat image /b)" = 6 ]
    cowdax-fallocate image /b --punch --offset=0 --length=1T
    [ "$(json '[.size, .blocks]' cowdax-stat image /b)" = '[40960,0]' ]
}

@test "--zero keeps the range allocated" {
    make_image
    bytes 40960 x | cowdax-write image /a
    cowdax-fallocate image /a --zero --offset=5000 --length=20000
    { bytes 5000 x && bytes 20000 '\0' && bytes 15960 x; } | holds /a
    [ "$(json .blocks cowdax-stat image /a)" = 10 ]
}

@test "--zero past the end extends, but not with --keep-size" {
    make_image
    bytes 10 x | cowdax-write image /a
    cowdax-fallocate image /a --zero --offset=5 --length=10000 --keep-size
    { bytes 5 x && bytes 5 '\0'; } | holds /a
    cowdax-fallocate image /a --zero --offset=5 --length=10000
    { bytes 5 x && bytes 10000 '\0'; } | holds /a
}

@test "--unshare gives the file its own blocks; contents and holes stay" {
    make_image
    bytes 40960 x | cowdax-write image /a
    cowdax-fallocate image /a --punch --offset=8192 --length=8192
    cowdax-reflink image /a /b
    json '[.bytes_copied, .bytes_zeroed]' \
        cowdax-fallocate image /b --unshare --offset=0 --length=40960 >got
    [ "$(cat got)" = '[32768,0]' ]
    [ "$(json '[.blocks, .shared_blocks]' cowdax-stat image /b)" = '[8,0]' ]
    [ "$(json '[.blocks, .shared_blocks]' cowdax-stat image /a)" = '[8,0]' ]
    cowdax-read image /a | holds /b
    [ "$(json '[.extents[].type]' cowdax-map image /b)" = '["mapped","hole","mapped"]' ]
}

@test "--unshare of what is not shared does nothing" {
    make_image
    bytes 40960 x | cowdax-write image /a
    cowdax-map image /a >before
    [ "$(json .bytes_copied cowdax-fallocate image /a --unshare --offset=0 --length=40960)" = 0 ]
    cowdax-map image /a | cmp - before
}

@test "offset and length are required, and modes exclude each other" {
    make_image
    fails 2 'required' cowdax-fallocate image /a --offset=0
    fails 2 'required' cowdax-fallocate image /a --length=1
    fails 2 'must not be 0' cowdax-fallocate image /a --offset=0 --length=0
    fails 2 'exclude each other' cowdax-fallocate image /a --offset=0 --length=1 --punch --zero
}

@test "a missing file is created to preallocate only" {
    make_image
    for mode in --punch --zero --unshare; do
        fails 1 '/a: No such file or directory' cowdax-fallocate image /a $mode --offset=0 --length=1
    done
    fails 1 '/a: File too large' cowdax-fallocate image /a --offset=7e --length=7e
}
