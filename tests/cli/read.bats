#!/usr/bin/env bats
# cowdax-read: bytes of a file to standard output.

load helper

@test "a range is cut out of the file" {
    make_image
    seq 10000 >data
    cowdax-write image /a --input=data
    cowdax-read image /a --offset=5000 --length=100 | cmp - <(tail -c +5001 data | head -c 100)
    cowdax-read image /a --offset=40k | cmp - <(tail -c +40961 data)
}

@test "a read at or past the end of the file gives nothing" {
    make_image
    echo 123 | cowdax-write image /a
    [ -z "$(cowdax-read image /a --offset=4)" ]
    [ -z "$(cowdax-read image /a --offset=7e)" ]
    [ -z "$(cowdax-read image /a --length=0)" ]
    [ "$(cowdax-read image /a --offset=2 --length=7e)" = 3 ]
}

@test "holes and preallocated ranges read as zeros, whatever the media holds" {
    make_image
    cowdax-truncate image /hole 100000
    bytes 100000 '\0' | holds /hole
    cowdax-fallocate image /prealloc --offset=0 --length=100000
    bytes 100000 '\0' | holds /prealloc
}

@test "reading works on an image that cannot be written" {
    make_image
    echo x | cowdax-write image /a
    chmod 444 image
    [ "$(without_override cowdax-read image /a)" = x ]
}

@test "a missing file and a directory are errors" {
    make_image
    cowdax-mkdir image /d
    fails 1 'cowdax-read: /nope: No such file or directory' cowdax-read image /nope
    fails 1 '/d: Is a directory' cowdax-read image /d
    fails 1 'ino:999' cowdax-read image ino:999
}

@test "a full standard output is an error" {
    make_image
    cowdax-write image /a --pattern=1 --length=100000
    fails 1 'standard output: No space left on device' to_full cowdax-read image /a
}

@test "a reader that has gone away ends it as it ends cat: by SIGPIPE, without a word" {
    make_image
    cowdax-write image /a --pattern=1 --length=1M
    got=0
    to_closed_pipe cowdax-read image /a 2>stderr || got=$?
    [ $got = $((128 + 13)) ]
    [ ! -s stderr ]
    got=0
    cowdax-read image /a | head -c 1 >out || got=${PIPESTATUS[0]}
    [ "$got" = 0 ] || [ "$got" = $((128 + 13)) ]
}

@test "where SIGPIPE is ignored, a reader that has gone away is an error, not silence" {
    make_image
    cowdax-write image /a --pattern=1 --length=100000
    ignoring() { (trap '' PIPE && "$@"); }
    fails 1 'standard output: Broken pipe' ignoring to_closed_pipe cowdax-read image /a
    echo 'read /a' >lines
    fails 1 'standard output: Broken pipe' to_closed_pipe cowdax-batch image lines
}

@test "a change whose report nobody reads is not made, and not killed half-way" {
    make_image
    echo 'write /a --pattern 1 --length 5' >lines
    fails_midway 1 'standard output: Broken pipe' to_closed_pipe cowdax-batch --json image lines
    fails_midway 1 'standard output: Broken pipe' to_closed_pipe cowdax-write -v image /a --pattern=1 --length=5
}

@test "a closed standard output is an error" {
    make_image
    cowdax-write image /a --pattern=1 --length=100000
    closed() { "$@" >&-; }
    fails 1 'standard output: Bad file descriptor' closed cowdax-read image /a
}

@test "--json prints the source maps instead of the data" {
    make_image
    bytes 8192 x | cowdax-write image /a
    cowdax-truncate image /a 20000
    cowdax-read image /a --offset=100 --json >report
    jq -e '.command == "read" and .offset == 100 and .length == 19900' report
    jq -e '[.steps[].source.type] == ["mapped", "hole"] and .steps[0].destination == null' report
}

@test "--output writes to a file, whose holes are those of the image" {
    make_image 64M
    cowdax-truncate image /a 1t
    seq 1000 | cowdax-write image /a --offset=5000
    seq 100000 | cowdax-write image /a --offset=512g
    cowdax-fallocate image /a --offset=1m --length=8m
    cowdax-read image /a --output=out
    [ "$(stat -c %s out)" = $((1 << 40)) ]
    [ "$(stat -c %b out)" -lt 3000 ] # of 512 bytes
    for offset in 0 $((512 << 30)); do
        cmp <(tail -c +$((offset + 1)) out | head -c 1M) <(cowdax-read image /a --offset=$offset --length=1M)
    done
    cowdax-read image /a --output=out --offset=4096 --length=20000
    cowdax-read image /a --offset=4096 --length=20000 | cmp - out
    cowdax-read image /a --output=out --offset=2t
    [ ! -s out ]
    cowdax-read image /a --length=100 --output=- | cmp - <(bytes 100 '\0')
    cowdax-read image /a --length=10000 --output=/dev/stdout | cat | cmp - <(cowdax-read image /a --length=10000)
}

@test "--output in a batch, with --json, and in an atomic one" {
    make_image
    printf '%s\n' 'write /a --pattern 65 --length 5000' 'read /a --output one' \
        'write /a --pattern 66 --length 10 --offset 9000' 'read /a --output two' >lines
    for options in '' --atomic; do
        rm -f one two
        # shellcheck disable=SC2086 # perhaps none
        cowdax-batch $options image lines
        cowdax-read image /a | cmp - two
        bytes 5000 A | cmp - <(head -c 5000 one)
        cowdax-rm image /a
    done
    cowdax-batch image lines
    [ "$(json .length cowdax-read image /a --output=three)" = 9010 ]
    cmp two three
    cowdax-read -n image /a --output=four
    [ ! -e four ]
}

@test "--output fails loudly, never on the image, and keeps the file when there is nothing to read" {
    make_image
    bytes 50000 x | cowdax-write image /a
    cowdax-mkdir image /d
    fails 1 'image: is the image itself' cowdax-read image /a --output=image
    ln image hard && ln -s image soft
    fails 1 'hard: is the image itself' cowdax-read image /a --output=hard
    fails 1 'soft: is the image itself' cowdax-read image /a --output=soft
    echo keep >out
    fails 1 '/nope: No such file' cowdax-read image /nope --output=out
    fails 1 '/d: Is a directory' cowdax-read image /d --output=out
    [ "$(cat out)" = keep ]
    fails 1 '/dev/full: No space left on device' cowdax-read image /a --output=/dev/full
    fails 1 'no/folder: No such file or directory' cowdax-read image /a --output=no/folder
    (ulimit -f 8 && cowdax-read image /a --output=out) 2>stderr && false
    grep -Fx 'cowdax-read: out: File too large' stderr
}

@test "-v prints the maps on stderr and the data on stdout" {
    make_image
    echo data | cowdax-write image /a
    [ "$(cowdax-read image /a -v 2>table)" = data ]
    grep -E 'source +0 +[0-9]+ +[0-9]+ +mapped' table
}
