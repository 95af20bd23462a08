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
    [ $got = 0 ] || [ $got = $((128 + 13)) ]
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

@test "-v prints the maps on stderr and the data on stdout" {
    make_image
    echo data | cowdax-write image /a
    [ "$(cowdax-read image /a -v 2>table)" = data ]
    grep -E 'source +0 +[0-9]+ +[0-9]+ +mapped' table
}
