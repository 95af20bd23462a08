#!/usr/bin/env bats
# The README's examples and limits are what the commands do.

load helper

readme=${abs_top_srcdir:?}/README

# block FROM TO: the indented lines between two lines of the README that begin so.
block() {
    sed -n "/^$1/,/^$2/p" "$readme" | sed -n 's/^    //p'
}

# Where a transaction's number and an address in the image stand, which are the allocator's.
without_places() {
    sed -E 's/transaction [0-9]+/transaction N/' | awk '
        $3 == "destination" { $6 = "A" }
        $1 == "source" { $4 = "A" }
        NF == 6 && $1 ~ /^[0-9]+$/ { $3 = "A" }
        { $1 = $1; print }'
}

@test "the example at the top prints just that" {
    sed -n '/^\$ head/,/^$/p' "$readme" | sed '/^$/d' >example
    size=$(awk '/^ +[0-9]+ +[0-9]+ +[0-9]+ +mapped/ && NF == 6 { size = $1 + $2 } END { print size }' example)
    [ "$size" -gt 1000000 ]
    mkfs.cowdax -q image 256M
    bytes "$size" x >file
    cowdax-write image /original <file
    cowdax-reflink image /original /clone
    sed -n 's/^\$ //p' example >commands
    [ "$(wc -l <commands)" = 3 ]
    while IFS= read -r command; do
        printf '$ %s\n' "$command"
        bash -eu -o pipefail -c "$command" </dev/null
    done <commands >got
    diff <(without_places <example) <(without_places <got)
}

@test "the tour works, line by line" {
    block 'A short tour' 'Each takes' | grep -v '^PATH=' >tour
    [ "$(grep -c cowdax tour)" -ge 10 ]
    bash -eux -o pipefail tour >out
    grep -o hello out
    cmp <(cowdax-read image /dir/copy) <(cowdax-read image /a --length=1000)
}

@test "the limits are those that are told" {
    make_image
    block Limits 'What it does not' >limits
    grep -E '^file +2\^62 - 65536 bytes$' limits
    cowdax-truncate image /a $(((1 << 62) - 65536))
    fails 1 '/a: File too large' cowdax-truncate image /a $(((1 << 62) - 65535))
    grep -E '^name +255 bytes;' limits
    cowdax-mkdir image "/$(bytes 255 n)"
    fails 1 'File name too long' cowdax-mkdir image "/$(bytes 256 n)"
    grep -E '^block +4 KiB to 64 KiB$' limits
    for size in 4k 64k; do
        mkfs.cowdax -q -b $size sized 16M
        [ "$(json .block_size cowdax-info sized)" = $((${size%k} << 10)) ]
        rm sized
    done
    for size in 2k 128k 5000; do
        fails 2 'not a power of two from 4096 to 65536' mkfs.cowdax -b $size sized 16M
    done
}
