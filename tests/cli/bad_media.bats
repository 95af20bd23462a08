#!/usr/bin/env bats
# Bad pages of the media, as a user of the commands meets them.

load helper

setup_file() {
    export tools=${abs_top_builddir:?}/tests/cli
}

# /a is of 16 blocks; the sixth lies on a bad page for the programs in $tools.
make_bad_page() {
    make_image
    seq 100000 | head -c 65536 >expected
    cowdax-write image /a <expected
    POISON=$(cowdax-map --json image /a | jq '.extents[0].address + 5 * 4096')
    export POISON
}

@test "reading a bad page fails, naming file and offset, after all bytes before it" {
    make_bad_page
    complains 1 '/a: offset 20480: cannot be read from the media: Input/output error' \
        "$tools/cowdax-read-poisoned" image /a
    cmp stdout <(head -c 20480 expected)
    complains 1 '/a: offset 20480: ' "$tools/cowdax-read-poisoned" --offset=20480 --length=1 image /a
    "$tools/cowdax-read-poisoned" --offset=24576 image /a | cmp - <(tail -c +24577 expected)
}

@test "a standard output that fails is not taken for a bad page" {
    make_bad_page
    "$tools/cowdax-read-poisoned" --length=100 image /a >/dev/full 2>stderr && return 1
    grep -q 'standard output: No space left on device' stderr
}

@test "an aligned write over a bad page succeeds, one that needs its old bytes fails" {
    make_bad_page
    fails 1 '/a: offset 20480: cannot be read from the media: Input/output error' \
        "$tools/cowdax-write-poisoned" image /a --offset=20500 --pattern=1 --length=100
    "$tools/cowdax-write-poisoned" image /a --offset=20480 --pattern=0x61 --length=4096
    head -c 4096 /dev/zero | tr '\0' a | dd of=expected bs=4096 seek=5 conv=notrunc status=none
    "$tools/cowdax-read-poisoned" image /a | cmp - expected
}
