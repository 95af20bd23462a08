#!/usr/bin/env bats
# fsck.cowdax: exit codes and output.  What it finds is tested in tests/check.

load helper

# An image with a flipped byte in a node: somewhere the checker must look.
make_damaged_image() {
    local block got

    make_image 4M
    for i in {1..50}; do
        echo "mkdir /folder$i"
    done | cowdax-batch image --atomic
    may_be_damaged
    cp image good
    # Of what lies between the regions at both ends.
    for block in {1020..3}; do
        cp good image
        bytes 200 '\377' | splice image $((block * 4096 + 100))
        got=0
        fsck.cowdax -n image >/dev/null 2>&1 || got=$?
        [ $got != 4 ] || return 0
    done
    return 1
}

@test "a new image is clean, exit 0" {
    make_image
    fsck.cowdax image >out
    grep -E '^image: clean: transaction [0-9]+, 4096 blocks' out
}

@test "--json ends with a summary object" {
    make_image
    bytes 8192 x | cowdax-write image /a
    cowdax-reflink image /a /b
    fsck.cowdax -n --json image | tail -n 1 >summary
    jq -e '.cowdax_json == 1 and .image == "image" and .clean == true and .problems == 0' summary
    jq -e '.fixed == 0 and .blocks == 4096 and .inodes == 3 and .extents >= 1' summary
    jq -e 'has("transaction") and has("shared_extents") and has("nodes")' summary
}

@test "damage is reported with its code, exit 4" {
    make_damaged_image
    run -4 fsck.cowdax -n image
    [[ "$output" == *"image: "*": "* ]]
    run -4 fsck.cowdax -n --json image
    jq -es 'length > 1 and (.[-1].clean == false) and .[-1].problems == length - 1' <<<"$output"
    jq -es '.[0] | has("code") and has("severity") and has("inode") and has("path") and has("block")
        and has("count") and has("found") and has("expected") and has("action")' <<<"$output"
}

@test "asked to repair what it cannot, it says that problems are left, exit 4, and stores nothing" {
    make_damaged_image
    cp image before
    for mode in -p -a -y; do
        got=0
        fsck.cowdax $mode image >out 2>err || got=$?
        [ $got = 4 ]
        grep -Fx 'fsck.cowdax: problems are left uncorrected' err
        cmp image before
    done
}

# What is lost of two copies: a superblock, its backup, a record's primary.
lose() {
    case $1 in
    super) bytes 8 '\377' | splice image 64 ;;
    backup) bytes 8 '\377' | splice image $((4 * 1048576 - 4096 + 64)) ;;
    record) bytes 8 '\377' | splice image $((4096 + 4096 * $(json .transaction cowdax-info image) % 8192 + 4)) ;;
    esac
}

@test "-p makes superblocks and records again from their copies, exit 1, and says so" {
    for mode in -p -a -y; do
        for what in super backup record; do
            make_image 4M
            bytes 10000 x | cowdax-write image /a
            may_be_damaged
            lose $what
            cp image before
            run -4 fsck.cowdax -n image
            cmp image before
            run -1 fsck.cowdax $mode image
            [[ "${lines[0]}" == "image: "*": fixed" ]]
            [[ "${lines[1]}" == 'image: 1 problems, 1 of them fixed' ]]
            [[ "${lines[2]}" == 'image: clean: '* ]]
            [ ${#lines[@]} = 3 ]
            fsck.cowdax -n image
            [ "$(cowdax-read image /a | md5sum)" = "$(bytes 10000 x | md5sum)" ]
            cp image before
            fsck.cowdax $mode image
            cmp image before
        done
    done
    lose super
    run -1 fsck.cowdax -p --json image
    jq -es '.[0].action == "fixed" and .[0].code == "super-primary" and .[1].fixed == 1 and .[1].problems == 1 and
        .[1].clean and length == 2' <<<"$output"
}

@test "-y, not -p, gives up the one of two superblocks that is not believed; -b says which that is" {
    local make='mkfs.cowdax -q -U 11111111-2222-3333-4444-555555555555'
    export SOURCE_DATE_EPOCH=1000000000
    may_be_damaged
    for believed in one two; do
        rm -f image other
        $make -L one image 4M
        $make -L two other 4M
        tail -c 4096 other | splice image $((4 * 1048576 - 4096))
        cp image before
        run -4 fsck.cowdax -p image
        cmp image before
        if [ $believed = one ]; then
            run -1 fsck.cowdax -y image
        else
            run -1 fsck.cowdax -y -b image
        fi
        fsck.cowdax -n image
        fsck.cowdax -n -b image
        [ "$(json .label cowdax-info image)" = "\"$believed\"" ]
    done
}

@test "-p makes the space tree anew, and leaves the files as they are" {
    make_clones 100
    before=$(cowdax-read image /a | md5sum) clone=$(cowdax-read image /b | md5sum)
    may_be_damaged
    # The root of the space tree: the record names it at byte 80.
    record=$((4096 + 4096 * $(json .transaction cowdax-info image) % 8192))
    root=$(od -An -tu8 -j $((record + 80)) -N 8 image | tr -d ' ')
    bytes 100 '\377' | splice image $((root * 1024 + 8))
    run -4 fsck.cowdax -n image
    run -1 fsck.cowdax -p image
    [[ "$output" == *'node-checksum: '*': fixed'* ]]
    fsck.cowdax -n image
    [ "$(cowdax-read image /a | md5sum)" = "$before" ]
    [ "$(cowdax-read image /b | md5sum)" = "$clone" ]
    cowdax-rm image /a /b
    fsck.cowdax -n image
}

@test "while anybody has the image open it mends nothing, exit 8" {
    make_image 4M
    may_be_damaged
    start_batch
    tell 'mkdir /a'
    lose backup
    cp image before
    got=0
    fsck.cowdax -p image >out 2>err || got=$?
    [ $got = 8 ]
    grep -q '^fsck.cowdax: image: .*in use' err || { cat err; false; }
    cmp image before
    end_batch
    run -1 fsck.cowdax -p image
    fsck.cowdax -n image
}

@test "-p, -a and -y give back what clones keep for nothing; -n, and no mode, leave it" {
    for mode in -p -a -y; do
        make_clones 10 64M
        cowdax-rm image /a
        cp image before
        fsck.cowdax -n image
        fsck.cowdax image
        cmp image before
        [ "$(cowdax-info --json --hidden image | jq .hidden_blocks)" = 1 ]
        fsck.cowdax $mode --json image >out
        jq -es '.[-1] | .clean and .hidden_blocks == 0 and .problems == 0 and .fixed == 0' out
        [ "$(cowdax-info --json --hidden image | jq .hidden_blocks)" = 0 ]
        [ "$(cowdax-read image /b | tr -d '\0\1' | wc -c)" = 4096 ]
        # Nothing is left to do: not a store.
        cp image before
        fsck.cowdax $mode image
        cmp image before
    done
}

@test "checking changes nothing, not even of a damaged image" {
    make_damaged_image
    cp image before
    for mode in -n -p -y ''; do
        run -4 fsck.cowdax $mode image
    done
    cmp image before
}

@test "the options that fsck and systemd hand over are accepted" {
    make_image
    fsck.cowdax -a -T -l -M -C0 image
    fsck.cowdax -f -r -s -t -v -j2 image
    fsck.cowdax --threads=4 -b image
}

@test "-C FD writes lines of pass, current, maximum and device" {
    make_image
    fsck.cowdax -C 5 image 5>progress
    grep -E '^1 [0-9]+ [0-9]+ image$' progress
    grep -E '^5 [0-9]+ [0-9]+ image$' progress
    run ! grep -vE '^[1-5] [0-9]+ [0-9]+ image$' progress
    awk '$2 > $3 { exit 1 }' progress
}

@test "-C 0 draws no bar where stderr is no terminal" {
    make_image
    fsck.cowdax -C 0 image 2>err
    [ ! -s err ]
}

@test "cancelled by a signal it exits with 32" {
    make_image
    ln -s . "$(bytes 250 d)"
    long=$(for _ in {1..15}; do bytes 250 d && printf /; done)image
    mkfifo progress
    for signal in INT TERM; do
        exec 5<>progress
        # Lines as long as the pipe: who reads only one of them has fsck wait.
        perl -e 'fcntl(STDIN, 1031, 4096) or die' <&5 # F_SETPIPE_SZ
        fsck.cowdax -C 7 "$long" >out 2>err 7>progress 5>&- 3>&- &
        checker=$!
        read -r -u 5 _
        kill -$signal $checker
        exec 5>&- # one that went on would end by itself now
        got=0
        wait $checker || got=$?
        [ $got = 32 ]
        grep -x 'fsck.cowdax: cancelled' err
        [ ! -s out ]
    done
}

@test "fsck -t cowdax comes here" {
    make_image
    fsck -t cowdax "$PWD/image"
    fsck -t cowdax "$PWD/image" -- --json | tail -n 1 | jq -e .clean
}

@test "what is no image, or not there, is exit 8" {
    fails 8 'nope: No such file or directory' fsck.cowdax -n nope
    may_be_damaged
    : >image
    fails 8 image fsck.cowdax -n image
    bytes 100000 x >image
    fails 8 image fsck.cowdax -n image
    mkdir folder
    fails 8 folder fsck.cowdax -n folder
}

@test "no permission is exit 8" {
    make_image
    chmod 000 image
    got=0
    without_override fsck.cowdax -n image 2>err || got=$?
    chmod 600 image
    [ $got = 8 ]
    grep -Fx 'fsck.cowdax: image: Permission denied' err
}

@test "wrong usage is exit 16" {
    make_image
    fails 16 'missing operand' fsck.cowdax
    fails 16 'exclude each other' fsck.cowdax -n -y image
    fails 16 'extra operand' fsck.cowdax image image
    fails 16 'not a file descriptor' fsck.cowdax -C x image
    fails 16 'not a number of threads' fsck.cowdax -j 0 image
    fails 16 'unrecognized option' fsck.cowdax --frobnicate image
}

@test "output that cannot be written is exit 8" {
    make_image
    fails 8 'standard output: No space left on device' to_full fsck.cowdax -n image
    fails 8 'standard output: Broken pipe' to_closed_pipe fsck.cowdax -n --json image
}

@test "a damaged primary superblock is found, and -b checks with the backup" {
    make_image
    echo x | cowdax-write image /a
    may_be_damaged
    printf 'XXXX' | splice image 16
    got=0
    fsck.cowdax -n image >out 2>&1 || got=$?
    [ $((got & 12)) != 0 ]
    got=0
    fsck.cowdax -n -b image >out 2>&1 || got=$?
    [ $((got & 8)) = 0 ]
}

@test "progress to a descriptor that is not open is wrong usage" {
    make_image
    fails 16 'descriptor 77 is not open' fsck.cowdax -C 77 -n image
}

# /a and its clone /b, /dir/c with one of their blocks, and /d with none.  That
# block lies on a bad page for the program in $poisoned, and is number $block.
make_bad_page() {
    poisoned=${abs_top_builddir:?}/tests/cli/fsck.cowdax-poisoned
    make_image
    bytes 65536 a | cowdax-write image /a
    cowdax-reflink image /a /b
    cowdax-mkdir image /dir
    cowdax-reflink --src-offset=20480 --length=4096 image /a /dir/c
    bytes 65536 d | cowdax-write image /d
    POISON=$(cowdax-map --json image /a | jq '.extents[0].address + 5 * 4096')
    export POISON
    block=$((POISON / 4096))
}

@test "--check-data finds nothing in a good image, and has nothing else to say" {
    make_bad_page
    fsck.cowdax --check-data image >out 2>err
    fsck.cowdax image | cmp - out
    [ ! -s err ]
}

@test "--check-data names every file that owns a bad block, exit 4" {
    make_bad_page
    run -4 "$poisoned" --check-data image
    for path in /a /b /dir/c; do
        grep -E "^image: media-error: the media cannot be read, inode [0-9]+, path $path, block $block, count 1\$" \
            <<<"$output"
    done
    [ "$(grep -c media-error <<<"$output")" = 3 ]
    run -4 "$poisoned" --check-data --json image
    jq -es --argjson block "$block" 'length == 4 and .[3].problems == 3 and .[3].clean == false
        and ([.[:3][] | .path] | sort) == ["/a", "/b", "/dir/c"]
        and all(.[:3][]; .code == "media-error" and .severity == "error" and .block == $block
            and .count == 1)' <<<"$output"
}

@test "data on a bad page goes unseen without --check-data" {
    make_bad_page
    "$poisoned" image
}

@test "--check-data reads all data: pass 5 counts its bytes, shared ones once" {
    make_bad_page
    fsck.cowdax --check-data -C 5 image 5>progress
    [ "$(grep -c '^5 ' progress)" -ge 2 ]
    run ! grep -vE '^([1-4] [0-9]+ [0-9]+|5 [0-9]+ 131072) image$' progress
    tail -n 1 progress | grep -Fx '5 131072 131072 image'
}
