#!/usr/bin/env bats
# Commands whose every other call on a file is interrupted by a signal, and does nothing.

load helper

setup_file() {
    export tools=${abs_top_builddir:?}/tests/cli
}

@test "signals that interrupt do not keep mkfs.cowdax from making an image" {
    "$tools/mkfs.cowdax-interrupted" image 16M >out
    grep '^UUID: ' out
    fsck.cowdax -n image
    "$tools/mkfs.cowdax-interrupted" -f image 32M
    truncate -s 16M other
    mkfs.ext4 -q other
    complains 1 'contains a ext4 ' "$tools/mkfs.cowdax-interrupted" --quiet other
    "$tools/mkfs.cowdax-interrupted" --force other
    fsck.cowdax -n other
}

@test "signals that interrupt do not keep a batch from reading its lines, and files, and writing them" {
    make_image 64M
    seq 1000000 >data
    truncate -s 20M data
    printf '%s\n' "write /a --input=data" "read /a --output=copy" "read /a" "map /a" >script
    "$tools/cowdax-batch-interrupted" image script >out
    cmp copy data
    head -c 20M out | cmp - data
    tail -c +$((20 * 1024 * 1024 + 1)) out | grep mapped
    "$tools/cowdax-batch-interrupted" image <script >out
    head -c 20M out | cmp - data
}

@test "signals that interrupt do not keep a batch from reading pipes" {
    make_image
    mkfifo lines bytes
    seq 1000 >data
    # Where nobody opens them, they do not wait for ever.
    timeout 60 bash -c 'cat data >bytes' 3>&- &
    timeout 60 bash -c 'echo "write /a --input=bytes" >lines' 3>&- &
    "$tools/cowdax-batch-interrupted" image lines
    holds /a data
}
