#!/usr/bin/env bats
# What happens when the superblock is lost, or an old one is found.

load helper

warning='warning: image: the superblock is lost, its backup is used: run fsck.cowdax'

# lose OFFSET LENGTH: garbage there.
lose() {
    bytes "$2" g | splice image "$1"
}

@test "with its first 4 KiB lost an image is read and written by its backup, with one line of warning" {
    make_image
    seq 1000 | cowdax-write image /a
    may_be_damaged
    lose 0 4096
    cowdax-read image /a >out 2>err
    cmp out <(seq 1000)
    [ "$(cat err)" = "cowdax-read: $warning" ]
    echo more | cowdax-write image /b 2>err
    [ "$(cat err)" = "cowdax-write: $warning" ]
    cowdax-ls image 2>err >out
    [ "$(cat err)" = "cowdax-ls: $warning" ]
    [ "$(cat out)" = "$(printf 'a\nb')" ]
    printf 'mkdir /d\nrm /b\n' | cowdax-batch image 2>err
    [ "$(cat err)" = "cowdax-batch: $warning" ]
    [ -z "$(cowdax-info --quiet image 2>&1 >out)" ]
    status=0
    fsck.cowdax -n image >out 2>&1 || status=$?
    [ $status = 4 ]
    grep -q 'super-primary' <(fsck.cowdax -n --json image || true)
}

@test "what makes another signature of the first 4 KiB is not the end: mkswap" {
    make_image
    echo hello | cowdax-write image /a
    may_be_damaged
    mkswap image >/dev/null 2>&1
    [ "$(cowdax-read image /a 2>err)" = hello ]
    grep -F "$warning" err
}

@test "the backup is found with every block size, at an offset, in a file that is longer or of odd size" {
    may_be_damaged
    for block in 4k 8k 16k 32k 64k; do
        for offset in 0 512 1M; do
            for extra in 0 1000 5M; do
                rm -f image
                mkfs.cowdax -q -b $block --fs-offset=$offset image 6M
                truncate -s +$extra image
                echo hello | cowdax-write --fs-offset=$offset image /a
                lose "$(numfmt --from=iec $offset)" 4096
                [ "$(cowdax-read -q --fs-offset=$offset image /a)" = hello ]
                [ "$(json .size cowdax-info -q --fs-offset=$offset image)" = $((6 << 20)) ]
            done
        done
    done
}

@test "nothing of a larger filesystem comes back after mkfs in the same file, nor of a smaller one" {
    for sizes in '32M 16M' '16M 32M'; do
        # shellcheck disable=SC2086 # meant: two words
        set -- $sizes
        rm -f image
        truncate -s 32M image
        mkfs.cowdax -q -L former image "$1"
        seq 1000 | cowdax-write image /former
        mkfs.cowdax -q -f -L new image "$2"
        echo new | cowdax-write image /new
        fsck.cowdax -qn -b image
        fsck.cowdax -qn image
        [ "$(json .label cowdax-info image)" = '"new"' ]
        may_be_damaged
        lose 0 4096
        [ "$(cowdax-ls -q image)" = new ]
    done
}

@test "a backup that an old life left behind is not used, not even when asked for" {
    truncate -s 32M image
    mkfs.cowdax -q image 32M
    tail -c 12288 image >end
    mkfs.cowdax -q -f image 16M
    echo new | cowdax-write image /new
    splice image $((32 * 1048576 - 12288)) <end
    fsck.cowdax -n -b image
    may_be_damaged
    lose 0 4096
    lose $((16 * 1048576 - 4096)) 4096
    fails 1 'not a cowdax filesystem' cowdax-write image /x --pattern=1 --length=1
    fails 8 'no backup superblock whose commit slots are its own' fsck.cowdax -n -b image
}
