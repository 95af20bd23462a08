#!/usr/bin/env bats
# cowdax-write: bytes into a file, all or nothing.

load helper

@test "what is written is read back" {
    make_image
    seq 100000 >data
    cowdax-write image /a <data
    holds /a data
}

@test "a write in the middle changes only its bytes" {
    make_image
    seq 10000 >data
    cowdax-write image /a --input=data
    echo Hello | cowdax-write image /a --offset=5000
    echo Hello | splice data 5000
    holds /a data
}

@test "a new file has mode 0644" {
    make_image
    cowdax-write image /a </dev/null
    [ "$(json .mode cowdax-stat image /a)" = $((0644)) ]
    [ "$(json .size cowdax-stat image /a)" = 0 ]
}

@test "the path works without its leading slash" {
    make_image
    echo x | cowdax-write image a
    [ "$(cowdax-read image /a)" = x ]
}

@test "ino:N names the file by its inode number" {
    make_image
    echo x | cowdax-write image /a
    echo y | cowdax-write image "ino:$(json .inode cowdax-stat image /a)"
    [ "$(cowdax-read image /a)" = y ]
}

@test "options may stand anywhere, and -- ends them" {
    make_image
    cowdax-write --pattern 0x41 image --length 3 -- /-a
    [ "$(cowdax-read image -- /-a)" = AAA ]
}

@test "a write past the end leaves a hole that reads as zeros" {
    make_image
    printf abc | cowdax-write image /a
    printf xyz | cowdax-write image /a --offset=100000
    { printf abc && bytes 99997 '\0' && printf xyz; } | holds /a
    [ "$(json '[.extents[].type]' cowdax-map image /a)" = '["mapped","hole","mapped"]' ]
}

@test "a shorter write leaves the rest of the file, --truncate does not" {
    make_image
    printf 123456 | cowdax-write image /a
    printf ab | cowdax-write image /a
    [ "$(cowdax-read image /a)" = ab3456 ]
    printf cd | cowdax-write image /a --truncate
    [ "$(cowdax-read image /a)" = cd ]
}

@test "--truncate with an offset leaves zeros before it" {
    make_image
    bytes 10000 x | cowdax-write image /a
    printf yz | cowdax-write image /a --truncate --offset=6000
    { bytes 6000 '\0' && printf yz; } | holds /a
}

@test "--append continues at the end" {
    make_image
    printf one | cowdax-write image /a --append
    printf two | cowdax-write image /a --append
    [ "$(cowdax-read image /a)" = onetwo ]
}

@test "--length takes that many bytes of a longer source" {
    make_image
    printf 123456 | cowdax-write image /a --length=4
    [ "$(cowdax-read image /a)" = 1234 ]
}

@test "a source shorter than --length is an error, and nothing changes" {
    make_image
    printf 123456 | cowdax-write image /a
    printf xy | fails 1 /a cowdax-write image /a --length=4
    printf xy | fails 1 /new cowdax-write image /new --length=1M
    [ "$(cowdax-read image /a)" = 123456 ]
}

@test "--pattern repeats a byte" {
    make_image
    cowdax-write image /a --pattern=0x41 --length=100000
    bytes 100000 A | holds /a
    cowdax-write image /a --pattern=66 --length=1 --offset=50000
    { bytes 50000 A && printf B && bytes 49999 A; } | holds /a
}

@test "--no-create fails where there is no file, and writes where there is one" {
    make_image
    fails 1 '/a: No such file or directory' cowdax-write image /a --no-create </dev/null
    cowdax-write image /a </dev/null
    echo x | cowdax-write image /a --no-create
    [ "$(cowdax-read image /a)" = x ]
}

@test "--chunk commits what was written before a failure" {
    make_image 16M
    before=$(json .transaction cowdax-info image)
    cowdax-write image /a --pattern=1 --length=1M --chunk=256k
    [ "$(json .transaction cowdax-info image)" -ge $((before + 4)) ]
    [ "$(json .size cowdax-stat image /a)" = $((1 << 20)) ]
}

@test "a write in chunks that fails says how much it has committed" {
    make_image 4M
    complains 1 'No space left on device; ' cowdax-write image /a --pattern=1 --length=16M --chunk=256k
    committed=$(sed -n 's/^cowdax-write: .*; \([0-9]*\) bytes were committed before$/\1/p' stderr)
    [ "$committed" -ge $((2 << 20)) ]
    [ "$(json .size cowdax-stat image /a)" = "$committed" ]
    bytes 300000 x | complains 1 '; 262144 bytes were committed before' \
        cowdax-write image /a --length=1M --chunk=128k
    complains 1 '/: Is a directory; 0 bytes were committed before' cowdax-write image / --pattern=1 \
        --length=1M --chunk=64k
}

@test "without --chunk a write of many megabytes is one transaction" {
    make_image 64M
    before=$(json .transaction cowdax-info image)
    result=$(json .transaction cowdax-write image /a --pattern=1 --length=40M)
    [ "$result" = "$(json .transaction cowdax-info image)" ]
    bytes 41943040 '\1' | holds /a
}

@test "an unaligned write into a clone copies the rest of its block from the source map" {
    make_image
    bytes 20000 s | cowdax-write image /a
    cowdax-reflink image /a /b
    bytes 100 W >data
    cowdax-write image /b --offset=5000 --input=data --json >report
    jq -e '.cowdax_json == 1 and .command == "write" and .path == "/b"' report
    jq -e '.offset == 5000 and .length == 100 and .bytes_written == 100' report
    jq -e '.bytes_copied == 3996 and .bytes_zeroed == 0 and .bytes_shared == 0' report
    jq -e '.source_lookups == 1 and (.steps | length) == 1' report
    jq -e '.steps[0] | .offset == 5000 and .length == 100' report
    jq -e '.steps[0].destination | .offset == 4096 and .length == 4096 and .type == "mapped"
        and .flags == ["new"]' report
    jq -e '.steps[0].source | .offset == 4096 and .length == 4096 and .type == "mapped"
        and .flags == ["shared"]' report
    jq -e '.steps[0] | .source.address != .destination.address' report
    [ "$(jq .steps[0].destination.address report)" = \
        "$(json '.extents[] | select(.offset == 4096).address' cowdax-map image /b)" ]
    bytes 20000 s | holds /a
}

@test "an aligned write looks up no source and copies nothing" {
    make_image
    bytes 40960 s | cowdax-write image /a
    cowdax-reflink image /a /b
    json '[.bytes_copied, .bytes_zeroed, .source_lookups, (.steps | map(.source) | unique)]' \
        cowdax-write image /b --offset=8192 --pattern=1 --length=8192 >got
    [ "$(cat got)" = '[0,0,0,[null]]' ]
}

@test "an unaligned write over many blocks looks up the source of the first and the last only" {
    make_image
    bytes 409600 s | cowdax-write image /a
    cowdax-reflink image /a /b
    json '[.bytes_copied, .source_lookups]' \
        cowdax-write image /b --offset=1000 --pattern=1 --length=200000 >got
    # 1000 bytes before it, and after it the rest of the block that holds byte 201000
    [ "$(cat got)" = "[$((1000 + 4096 - 201000 % 4096)),2]" ]
}

@test "around a write into a hole the new block is zeroed, not copied" {
    make_image
    cowdax-truncate image /a 20000
    json '[.bytes_copied, .bytes_zeroed, .steps[0].source.type]' \
        cowdax-write image /a --offset=5000 --pattern=1 --length=100 >got
    [ "$(cat got)" = '[0,3996,"hole"]' ]
    { bytes 5000 '\0' && bytes 100 '\1' && bytes 14900 '\0'; } | holds /a
}

@test "-v prints both iomaps of each step as a table" {
    make_image
    bytes 20000 s | cowdax-write image /a
    cowdax-reflink image /a /b
    printf x | cowdax-write image /b --offset=5000 -v >out
    grep -E '^ +5000 +1 +destination +4096 +4096 +[0-9]+ +mapped +new$' out
    grep -E '^ +source +4096 +4096 +[0-9]+ +mapped +shared$' out
    grep -E '^/b: .* 1 bytes written, 4095 copied, 0 zeroed' out
}

@test "without -v nothing is printed" {
    make_image
    echo x | cowdax-write image /a >out 2>&1
    [ ! -s out ]
}

@test "--dry-run prints what would be done and changes nothing" {
    make_image
    bytes 20000 s | cowdax-write image /a
    cowdax-reflink image /a /b
    cp image before
    printf x | cowdax-write image /b --offset=5000 --dry-run >out
    grep -F '4095 copied' out
    printf x | cowdax-write image /b --offset=5000 --dry-run --json | jq -e '.bytes_copied == 4095'
    printf x | cowdax-write image /new --dry-run --quiet >out
    [ ! -s out ]
    cmp image before
}

@test "writing over the same place again and again never fills the image" {
    make_image 4M
    cowdax-write image /a --pattern=1 --length=1M
    for i in {1..50}; do
        cowdax-write image /a --pattern="$i" --length=1M
    done
    bytes $((1 << 20)) '\62' | holds /a
}

@test "a directory cannot be written to" {
    make_image
    cowdax-mkdir image /d
    echo x | fails 1 '/d: Is a directory' cowdax-write image /d
    echo x | fails 1 '/: Is a directory' cowdax-write image /
}

@test "a missing directory, and a file in its place, are named" {
    make_image
    echo x | cowdax-write image /a
    echo x | fails 1 '/nope/a: No such file or directory' cowdax-write image /nope/a
    echo x | fails 1 '/a/b: Not a directory' cowdax-write image /a/b
}

@test "an input that does not exist, or is a directory, is named" {
    make_image
    fails 1 'nope: No such file or directory' cowdax-write image /a --input=nope
    mkdir folder
    fails 1 'folder: Is a directory' cowdax-write image /a --input=folder
}

@test "a name of 255 bytes is fine, one of 256 is too long" {
    make_image
    echo x | cowdax-write image "/$(bytes 255 n)"
    echo x | fails 1 'File name too long' cowdax-write image "/$(bytes 256 n)"
}

@test "an offset past the largest file is an error" {
    make_image
    echo x | fails 1 '/a: File too large' cowdax-write image /a --offset=0x7fffffffffffffff
    echo x | fails 1 '/a: File too large' cowdax-write image /a --offset=7e
}

@test "two offsets, or a pattern without end, are wrong usage" {
    make_image
    fails 2 'exclude each other' cowdax-write image /a --offset=1 --append
    fails 2 'exclude each other' cowdax-write image /a --pattern=1 --length=1 --input=x
    fails 2 '--pattern needs --length' cowdax-write image /a --pattern=1
    fails 2 'not a byte' cowdax-write image /a --pattern=256 --length=1
    fails 2 'not a byte' cowdax-write image /a --pattern=x --length=1
    fails 2 'must not be 0' cowdax-write image /a --chunk=0
}

@test "two writers of disjoint ranges of one file both succeed" {
    make_image 64M
    cowdax-truncate image /a 16M
    cowdax-write image /a --pattern=1 --length=8388000 &
    cowdax-write image /a --pattern=2 --length=8389216 --offset=8388000
    wait $!
    { bytes 8388000 '\1' && bytes 8389216 '\2'; } | holds /a
}
