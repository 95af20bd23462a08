#!/usr/bin/env bats
# cowdax-write --input: what is a hole in the source is a hole in the file.

load helper

# sparse FILE LENGTH [OFFSET COUNT]…: holes but for COUNT bytes of "s" at each OFFSET.
sparse() {
    local file=$1

    truncate -s "$2" "$file"
    shift 2
    for (( ; $#; )); do
        bytes "$2" s | splice "$file" "$1"
        shift 2
    done
}

# extents PATH: offset, length and type of each.
extents() {
    json '[.extents[] | "\(.offset) \(.length) \(.type)"] | join(", ")' cowdax-map image "$1"
}

blocks() {
    json .blocks cowdax-stat image "$1"
}

@test "a hole of the input is a hole of the file" {
    make_image
    sparse data 100k 0 4096 40960 4096
    cowdax-write image /a --input=data
    holds /a data
    [ "$(extents /a)" = '"0 4096 mapped, 4096 36864 hole, 40960 4096 mapped, 45056 57344 hole"' ]
    [ "$(blocks /a)" = 2 ]
}

@test "a file of a TiB that is nearly all hole is written at once, from standard input too" {
    make_image
    sparse data 1T 500G 5
    cowdax-write image /a --input=data
    cowdax-write image /b <data
    cowdax-write image /c --input=data --chunk=1k
    for path in /a /b /c; do
        [ "$(json .size cowdax-stat image "$path")" = $((1 << 40)) ]
        [ "$(blocks "$path")" = 1 ]
        [ "$(cowdax-read image "$path" --offset=500G --length=5)" = sssss ]
    done
}

@test "what was there before is gone where the input has a hole, at an offset that is no multiple of a block" {
    make_image
    bytes 100k o >data
    cowdax-write image /a --input=data
    sparse hole 40k 20480 4096
    cowdax-write image /a --input=hole --offset=1000
    splice data 1000 <hole
    holds /a data
    [ "$(blocks /a)" = $((25 - 4 - 3)) ]
}

@test "holes give up a clone's part of the blocks, and leave the original as it was" {
    make_image
    bytes 1M o >original
    sparse data 1M 65536 4096
    cowdax-write image /original --input=original
    cowdax-reflink image /original /clone
    cowdax-write image /clone --input=data
    holds /clone data
    holds /original original
    [ "$(json .shared_blocks cowdax-stat image /original)" = 0 ]
    [ "$(blocks /clone)" = 1 ]
}

@test "a long write keeps holes, appended too, and in chunks" {
    make_image 64M
    sparse data 40M 3333 6000000 20000000 100000 30000001 6000000
    cowdax-write image /a --input=data
    holds /a data
    seq 1000 >appended
    cowdax-write image /b --input=appended
    cowdax-write image /b --append --input=data
    cat appended data >both
    holds /b both
    cowdax-write image /a --input=data --offset=777 --chunk=1000000
    splice data 777 < <(cat data)
    holds /a data
    (( $(blocks /a) < 3100 && $(blocks /b) < 3100 ))
}

@test "--length and --truncate count holes as bytes" {
    make_image
    sparse data 100k 0 10
    bytes 50k o | cowdax-write image /a
    cowdax-write image /a --input=data --length=20000
    [ "$(json .size cowdax-stat image /a)" = $((50 * 1024)) ]
    cowdax-write image /a --input=data --length=20000 --truncate
    head -c 20000 data >part
    holds /a part
    fails 1 "ended after 102400 of 102401 bytes" cowdax-write image /a --input=data --length=102401
}

@test "a batch keeps holes, atomic or not" {
    make_image
    sparse data 10M 5000000 10
    echo "write /a --input=data" | cowdax-batch image
    printf '%s\n' "write /b --input=data" "write /b --append --input=data" | cowdax-batch image --atomic
    holds /a data
    cat data data >both
    holds /b both
    [ "$(blocks /a)" = 1 ]
    [ "$(blocks /b)" = 2 ]
}

@test "what a dry run tells of holes is what is done" {
    make_image
    sparse data 1M 65536 4096
    bytes 1M o | cowdax-write image /a
    json 'del(.dry_run, .transaction)' cowdax-write image /a --input=data -n >dry
    bytes 1M o >old
    holds /a old
    json 'del(.dry_run, .transaction)' cowdax-write image /a --input=data >really
    [ "$(jq .length really)" = 1048576 ]
    cmp dry really
}

@test "a pipe has no holes, and an input that is all hole makes a file of none but holes" {
    make_image
    sparse data 1M
    # shellcheck disable=SC2002 # meant: a pipe
    cat data | cowdax-write image /a
    cowdax-write image /b --input=data
    holds /a data
    holds /b data
    [ "$(blocks /a)" = 256 ]
    [ "$(blocks /b)" = 0 ]
}
