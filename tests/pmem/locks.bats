#!/usr/bin/env bats
# Many processes on one device node: its locks are the kernel's, as on a file.

load helper

each_device() {
    for device in "$(namespace "$DAX_DIMM" devdax)" "$(namespace "$BLOCK_DIMM" fsdax)"; do
        uses "$device"
        mkfs.cowdax --quiet --force image
        "$@"
        fsck.cowdax -n image
    done
}

append_and_create() {
    local writer line writers=()

    for writer in {1..4}; do
        for line in {1..3}; do
            echo "writer $writer line $line" | cowdax-write image /log --append
            seq "$writer" "$((20000 + line))" | cowdax-write image "/$writer.$line"
            cowdax-reflink image "/$writer.$line" "/clone.$writer.$line"
        done &
        writers+=($!)
    done
    for writer in "${writers[@]}"; do
        wait "$writer"
    done
    cowdax-read image /log | sort | cmp - <(
        for writer in {1..4}; do
            for line in {1..3}; do
                echo "writer $writer line $line"
            done
        done
    )
    for writer in {1..4}; do
        seq "$writer" 20003 | holds "/clone.$writer.3"
    done
}

@test "of many processes that append to one file and create others, each finds its bytes there" {
    each_device append_and_create
}

wait_and_look() {
    echo old | cowdax-write image /a
    start_batch --atomic
    tell 'rm /a'
    complains 1 'another process is writing' cowdax-mkdir --no-wait image /b
    [ "$(cowdax-read --no-wait image /a)" = old ]
    cowdax-mkdir image /c 3>&- 5>&- 6>&- &
    waiting=$!
    end_batch
    wait $waiting
    rm input output
    [ "$(cowdax-ls image)" = c ]
}

@test "a writer waits for another, or not with --no-wait; a reader sees the old state meanwhile" {
    each_device wait_and_look
}

die_and_go_on() {
    start_batch --atomic
    tell 'write /a --pattern 1 --length 100000'
    kill -9 "$(batch_process)"
    wait "$(batch_process)" || true
    exec 5>&- 6>&-
    rm input output
    [ -z "$(cowdax-ls image)" ]
    cowdax-mkdir --no-wait image /b
    [ "$(cowdax-ls image)" = b ]
}

@test "a writer that is killed leaves no lock and no trace" {
    each_device die_and_go_on
}

refuse_mkfs() {
    start_batch
    tell 'mkdir /a'
    complains 1 ': ' mkfs.cowdax --force image
    grep -E 'in use|busy' stderr
    end_batch
    rm input output
    [ "$(cowdax-ls image)" = a ]
}

@test "mkfs is refused while anybody has the device open, even with --force" {
    each_device refuse_mkfs
}
