#!/usr/bin/env bats
# An image with no space left: errors are clean, and removing always works.

load helper

# Fill the image, by ever smaller files.
fill() {
    local length=$((1 << 20)) i=0

    while [ $length -ge 4096 ]; do
        if cowdax-write image "/fill$i" --pattern=7 --length=$length 2>stderr; then
            i=$((i + 1))
        else
            grep -q 'No space left on device' stderr
            length=$((length / 2))
        fi
    done
}

@test "a write that does not fit changes nothing" {
    make_image 4M
    seq 10000 | cowdax-write image /a
    fails_midway 1 'No space left on device' cowdax-write image /b --pattern=1 --length=8M
    fails_midway 1 'No space left on device' cowdax-write image /a --pattern=1 --length=8M
}

@test "a stream that does not fit changes nothing that can be seen" {
    make_image 4M
    echo before | cowdax-write image /a
    bytes 20000000 x | fails_midway 1 'No space left on device' cowdax-write image /a
    cowdax-write image /b --pattern=1 --length=1M
}

@test "on a full image clones, copies of shared blocks and growing fail cleanly" {
    make_image 4M
    cowdax-write image /a --pattern=1 --length=1M
    cowdax-reflink image /a /b
    fill
    for i in {1..200}; do
        cowdax-write image /b --offset=$((i * 4096)) --pattern=2 --length=4096 2>stderr || break
    done
    grep 'No space left on device' stderr
    fails_midway 1 'No space left on device' cowdax-fallocate image /b --unshare --offset=0 --length=1M
    fails_midway 1 'No space left on device' cowdax-write image /c --pattern=1 --length=1M
    bytes $((1 << 20)) '\1' | holds /a
}

@test "a change that finds no space prints no report of it" {
    make_image 1M
    failures=0
    for i in {1..300}; do
        if ! cowdax-write image /a --offset=$((i * 7919 % 300 * 40960)) --pattern=1 --length=5000 \
            --json >report 2>stderr; then
            grep 'No space left on device' stderr
            [ ! -s report ]
            failures=$((failures + 1))
        fi
    done
    [ $failures -gt 0 ]
}

@test "removing works on a full image, and gives the space back" {
    make_image 4M
    fill
    cowdax-ls image | sed 's|^|/|' | xargs cowdax-rm image
    [ -z "$(cowdax-ls image)" ]
    cowdax-write image /again --pattern=1 --length=2M
}

@test "rm -r of thousands of files works on a full image, and gives the space back" {
    make_image 32M
    { echo 'mkdir /d'; seq -f 'write /d/%g --pattern=1 --length=100' 4000; } | cowdax-batch image
    fill
    seq -f 'mkdir /name%g' 2000 | cowdax-batch image 2>stderr || grep 'No space left on device' stderr
    cowdax-rm -r image /d
    fails 1 '/d: No such file or directory' cowdax-ls image /d
    cowdax-write image /again --pattern=1 --length=14M
}

@test "punching and truncating work on a full image" {
    make_image 4M
    fill
    cowdax-fallocate image /fill0 --punch --offset=4096 --length=409600
    cowdax-truncate image /fill1 0
    cowdax-write image /new --pattern=1 --length=64k
}

@test "a full image is still listed, read, mapped and checked" {
    make_image 4M
    fill
    bytes $((1 << 20)) '\7' | holds /fill0
    cowdax-map image /fill0
    cowdax-info image
    fsck.cowdax -n image
}

@test "a full host disk under a sparse image is an error, not a crash" {
    [ "$(id -u)" = 0 ] || skip "needs root to mount a small tmpfs"
    mkdir small
    mount -t tmpfs -o size=4M none small 2>/dev/null || skip "cannot mount here"
    mkfs.cowdax -q small/image 64M
    echo before | cowdax-write small/image /a
    got=0
    cowdax-write small/image /b --pattern=1 --length=32M 2>stderr || got=$?
    content=$(cowdax-read small/image /a)
    checked=0
    fsck.cowdax -n small/image || checked=$?
    umount small
    [ $got = 1 ]
    [ "$(wc -l <stderr)" = 1 ]
    [ "$content" = before ]
    [ $checked = 0 ]
}

@test "one cowdax-rm removes thousands of files from a full image; where it cannot it says why, and nothing has changed" {
    make_image 24M
    cowdax-mkdir image /d
    seq -f 'write /d/f%.0f --length=0 --pattern=1' 6000 | cowdax-batch --quiet --atomic image
    fill
    fails_midway 1 'make fewer at once' cowdax-rm image $(seq -f /d/f%.0f 1 7 6000)
    cowdax-rm image $(seq -f /d/f%.0f 6000)
    [ -z "$(cowdax-ls image /d)" ]
}
