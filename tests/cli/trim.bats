#!/usr/bin/env bats
# cowdax-trim, and what mkfs.cowdax leaves of what was there.

load helper

# marked SIZE: bytes that are told apart easily.
marked() {
    yes 'a secret of mine' | head -c "$1"
}

# secrets: how many are to be found in the image, whoever can see them.
secrets() {
    grep -ac 'a secret of mine' image || true
}

kibibytes() {
    du -k image | cut -f1
}

@test "what is free is given back to the host: the file has holes there, and the files are as they were" {
    mkfs.cowdax -q image 64M
    seq 100000 | cowdax-write image /kept
    marked 20M | cowdax-write image /gone
    cowdax-rm image /gone
    [ "$(kibibytes)" -gt 20000 ]
    free=$(free_blocks)
    [ -z "$(cowdax-trim image)" ]
    [ "$(kibibytes)" -lt 3000 ]
    [ "$(free_blocks)" -ge $((free - 2)) ]
    [ "$(secrets)" = 0 ]
    seq 100000 | holds /kept
    marked 20M | cowdax-write image /again
    marked 20M | holds /again
}

@test "--zero leaves no byte of what was removed, not in the reserves either, and keeps the holes" {
    mkfs.cowdax -q image 64M
    seq 1000 | cowdax-write image /kept
    marked 5M | cowdax-write image /large
    for i in {1..40}; do
        marked 5000 | cowdax-write image "/a secret of mine $i"
    done
    cowdax-rm image /large
    for i in {1..40}; do
        cowdax-rm image "/a secret of mine $i"
    done
    for i in {1..150}; do
        echo "mkdir /kept$i"
    done | cowdax-batch image
    [ "$(secrets)" -gt 0 ]
    before=$(kibibytes)
    cowdax-trim --zero image
    [ "$(secrets)" = 0 ]
    [ "$(kibibytes)" -le $((before + 600)) ]
    seq 1000 | holds /kept
}

@test "a reader keeps what it reads, and what comes free later is for the next" {
    mkfs.cowdax -q image 64M
    marked 5M | cowdax-write image /a
    mkfifo pipe
    cowdax-read image /a >pipe 3>&- &
    reader=$!
    exec 4<pipe
    head -c 100 <&4 >start
    cowdax-rm image /a
    cowdax-trim image
    cowdax-trim --zero image
    cat <&4 >rest
    exec 4<&-
    wait $reader
    cat start rest | cmp - <(marked 5M)
    cowdax-trim image
    [ "$(secrets)" = 0 ]
}

@test "-n, -v and --json tell how much, and -n does nothing" {
    make_image 16M
    marked 100000 | cowdax-write image /a
    cp image before
    cowdax-trim -n image >out
    grep -E '^image: [0-9]+ bytes in [0-9]+ runs given back \(dry run, nothing done\)$' out
    json '[.command, .dry_run, .zero, .transaction]' cowdax-trim -n --zero image |
        grep -Fx '["trim",true,true,null]'
    cmp image before
    cowdax-trim -v image >out
    grep -E '^image: [0-9]+ bytes in [0-9]+ runs given back$' out
    sum=$(awk 'NF == 2 && $1 ~ /^[0-9]+$/ { sum += $2 } END { print sum }' out)
    grep -F "image: $sum bytes" out
    [ "$(json '.bytes > 10000000 and .bytes < 16777216 and .transaction > 2' cowdax-trim image)" = true ]
    cowdax-trim --quiet -v image >out 2>&1
    [ ! -s out ]
}

@test "where nothing is free, nothing is done; what is not an image is refused" {
    fails 1 'No such file or directory' cowdax-trim image
    truncate -s 16M image
    may_be_damaged
    fails 1 'not a cowdax filesystem' cowdax-trim image
    fails 2 'extra operand' cowdax-trim image /a
}

@test "mkfs --force leaves nothing of what was there, but with -K" {
    mkfs.cowdax -q image 16M
    marked 5M | cowdax-write image /a
    cp image copy
    mkfs.cowdax -qf -K image
    [ "$(secrets)" -gt 1000 ]
    fsck.cowdax -qn image
    cp copy image
    cp image before
    mkfs.cowdax -qfn image
    cmp image before
    mkfs.cowdax -qf image
    [ "$(secrets)" = 0 ]
    [ "$(kibibytes)" -lt 1000 ]
}

@test "mkfs keeps what is outside of its range" {
    marked 16M >image
    may_be_damaged
    mkfs.cowdax -q --fs-offset=4M image 8M
    cmp -n $((4 << 20)) image <(marked 16M)
    cmp -i $((12 << 20)) image <(marked 16M)
    [ "$(secrets)" -gt 10000 ]
    fsck.cowdax -qn --fs-offset=4M image
}

@test "an image of 64 TiB works; what is more than a process can map is refused, by its number" {
    cd "$(mktemp -d -p /dev/shm)"
    mkfs.cowdax -q image 64T
    seq 1000 | cowdax-write image /a
    seq 1000 | holds /a
    cowdax-trim image
    fsck.cowdax -qn image
    rm image
    complains 1 'image: 70368744181760 bytes are more than a process can map: at most 70368744177664 (64 TiB)' \
        mkfs.cowdax image 70368744181760
    [ ! -e image ]
    truncate -s 100T image
    complains 1 'more than a process can map' mkfs.cowdax image
    [ "$(stat -c %s image)" = $((100 << 40)) ]
    rm -r "$PWD"
    cd "$BATS_TEST_TMPDIR"
}

@test "what a clone has replaced and nobody else has any more is told by fsck and info, and comes free" {
    make_clones 10 64M
    cowdax-rm image /a
    [ "$(fsck.cowdax -n --json image | jq -s '.[-1] | [.borrowing_nodes, .hidden_blocks] == [1, 1]')" = true ]
    [ "$(json .hidden_blocks cowdax-info --hidden image)" = 1 ]
    cowdax-info --hidden image | grep -x 'hidden:       1'
    # Not unasked: it is more to read than all the rest.
    [ "$(json .hidden_blocks cowdax-info image)" = null ]
    cowdax-info image | grep -x 'hidden:       not counted (see --hidden)'
    cowdax-trim image
    [ "$(json .hidden_blocks cowdax-info --hidden image)" = 0 ]
    [ "$(fsck.cowdax -n --json image | jq -s '.[-1] | [.borrowing_nodes, .hidden_blocks] == [0, 0]')" = true ]
    [ "$(cowdax-read image /b --length=4096 | tr -d '\2' | wc -c)" = 0 ]
}
