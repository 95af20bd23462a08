# What the tests of the commands share.
bats_require_minimum_version 1.5.0

PATH=$PATH:/usr/sbin:/sbin

# Each test has a folder of its own, and a plain environment.
setup() {
    cd "$BATS_TEST_TMPDIR" || exit
    unset SOURCE_DATE_EPOCH POSIXLY_CORRECT PMEM_IS_PMEM_FORCE ARGP_HELP_FMT
    damaged=
}

# Whatever a test did to "image", the checker has nothing to say about it...
teardown() {
    [ -n "$damaged" ] || [ ! -e image ] || fsck.cowdax -n image
}

# ...unless the test said this.
may_be_damaged() {
    damaged=yes
}

# make_image [SIZE [OPTION…]]: an empty image whose free space is full of 0xa5,
# so that stale bytes would show in a file.
make_image() {
    local size=${1:-16M}

    dd if=/dev/zero bs="$size" count=1 status=none | tr '\0' '\245' >image
    mkfs.cowdax --quiet -K image "${@:2}"
}

# make_clones COUNT [SIZE]: /a of so many extents of one block, and /b, a clone with another first block.
make_clones() {
    make_image "${2:-16M}"
    for ((i = 0; i < $1; i++)); do
        echo "write /a --offset $((i * 8192)) --pattern 1 --length 4096"
    done | cowdax-batch image
    cowdax-reflink image /a /b
    cowdax-write image /b --pattern=2 --length=4096
}

# complains STATUS TEXT COMMAND…: it exits with STATUS, its message on stderr has
# TEXT in it and, but for usage errors, is one line.
complains() {
    local status=$1 text=$2 got=0 lines
    shift 2

    "$@" >stdout 2>stderr || got=$?
    lines=$(wc -l <stderr)
    if [ "$got" != "$status" ] || ! grep -qF -- "$text" stderr; then
        echo "exit status $got instead of $status, or no '$text' in:" && cat stderr
        return 1
    fi
    if [ "$lines" != 1 ] && [ "$status" != 2 ] && [ "$status" != 16 ]; then
        echo "not one line:" && cat stderr
        return 1
    fi
}

# fails STATUS TEXT COMMAND…: it complains, and the image is as it was, byte for byte.
fails() {
    rm -f before
    [ ! -f image ] || cp --sparse=always image before
    complains "$@" || return
    [ ! -f before ] || cmp image before
}

# What can be seen of the image: every name, attribute, extent and byte.  In one process: there
# are images of thousands of files.
seen() {
    cowdax-ls -lRi image
    cowdax-ls -R --json image |
        jq -r '.entries[] | select(.type == "file") | "map ino:\(.inode)\nread ino:\(.inode)"' |
        cowdax-batch --quiet image | cksum
    [ "${PIPESTATUS[*]}" = "0 0 0 0" ]
}

# fails_midway STATUS TEXT COMMAND…: it complains when it has written to free
# blocks already; nothing of that can be seen, and no block is lost.
fails_midway() {
    local before free

    before=$(seen) free=$(free_blocks)
    complains "$@" || return
    [ "$(seen)" = "$before" ]
    [ "$(free_blocks)" = "$free" ]
}

# Standard output that is full, or whose reader is gone.
to_full() {
    "$@" >/dev/full
}

to_closed_pipe() {
    local reader writer status=0

    rm -f pipe
    mkfifo pipe
    # shellcheck disable=SC2094 # meant: a writer whose reader goes
    exec {reader}<>pipe {writer}>pipe {reader}<&-
    "$@" >&"$writer" || status=$?
    exec {writer}>&-
    return "$status"
}

# Even root is bound by permission bits: without its capability to ignore them.
without_override() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --bounding-set=-dac_override,-dac_read_search "$@"
    else
        "$@"
    fi
}

# bytes COUNT CHARACTER: on stdout.
bytes() {
    head -c "$1" /dev/zero | tr '\0' "$2"
}

# holds PATH [FILE]: the file in the image has the bytes of FILE, or of stdin.
holds() {
    # In the pipeline /dev/stdin would be the pipe: compared with itself.
    { cowdax-read image "$1" | cmp - "${2:-/dev/fd/9}"; } 9<&0
}

# splice FILE OFFSET: put stdin into FILE of the host, in place, there.
splice() {
    dd of="$1" conv=notrunc oflag=seek_bytes seek="$2" status=none
}

# json FILTER COMMAND…: run it with --json and print what jq's FILTER makes of it.
json() {
    "${@:2}" --json | jq -c "$1"
}

# start_batch [OPTION…]: a batch in the background that waits for tell.
start_batch() {
    mkfifo input output
    cowdax-batch "$@" image input >output 3>&- &
    batch=$!
    exec 6<>output 5>input
}

# tell LINE: have the batch run it; it has done so when this returns, for it
# has also answered.
tell() {
    printf '%s\nstat /\n' "$1" >&5
    while read -r answer <&6; do
        [[ $answer != btime:* ]] || break
    done
}

end_batch() {
    exec 5>&-
    wait "$batch"
    exec 6>&-
}

# free_blocks: free or soon free again.
free_blocks() {
    json '.free_blocks + .limbo_blocks' cowdax-info image
}
