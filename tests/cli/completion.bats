#!/usr/bin/env bats
# What the shell offers after a TAB: the completion function is called as bash calls it.

load helper

# complete_line WORD…: what is offered for the last word, a line each.
complete_line() {
    (
        # shellcheck source=completions/cowdax
        . "${abs_top_srcdir:?}/completions/cowdax"
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        _cowdax
        printf '%s\n' "${COMPREPLY[@]}"
    )
}

make_tree() {
    make_image
    printf '%s\n' 'mkdir /dir' 'mkdir "/dir/two words"' 'truncate /file 1' 'truncate /dir/inner 1' \
        'truncate /dir/.hidden 0' | cowdax-batch image
    : >hostfile
}

@test "paths are those in the image, directories with a slash" {
    make_tree
    [ "$(complete_line cowdax-read image '')" = $'dir/\nfile' ]
    [ "$(complete_line cowdax-read image /)" = $'/dir/\n/file' ]
    [ "$(complete_line cowdax-rm -r image /f)" = /file ]
    [ "$(complete_line cowdax-stat image /file /dir/)" = $'/dir/.hidden\n/dir/inner\n/dir/two words/' ]
    [ "$(complete_line cowdax-stat image '/dir/two\ w')" = '/dir/two words/' ]
    [ "$(complete_line cowdax-reflink image /file di)" = dir/ ]
    [ "$(complete_line cowdax-write --offset = 5 image /fi)" = /file ]
    [ "$(complete_line cowdax-write --offset 5 image /fi)" = /file ]
    [ "$(complete_line cowdax read image /di)" = /dir/ ]
    [ -z "$(complete_line cowdax-read image /nope/)" ]
}

@test "IMAGE, and the value of an option, are names of the host" {
    make_tree
    [ "$(complete_line cowdax-read hostf)" = hostfile ]
    [ "$(complete_line cowdax-write image /file --input = hostf)" = hostfile ]
    [ "$(complete_line cowdax-batch image hostf)" = hostfile ]
    [ "$(complete_line fsck.cowdax imag)" = image ]
}

@test "an image at an offset is looked into there, and what is none is no error" {
    mkfs.cowdax -q --fs-offset=2m image 8M
    cowdax-mkdir --fs-offset=2m image /there
    [ "$(complete_line cowdax-ls --fs-offset = 2m image /)" = /there/ ]
    [ -z "$(complete_line cowdax-ls image / 2>&1)" ]
    [ -z "$(complete_line cowdax-ls nope / 2>&1)" ]
    may_be_damaged
}

@test "options are offered up to --, and not after it" {
    make_tree
    complete_line cowdax-ls image - | grep -x -- --zero
    cowdax-truncate image -- -file 1
    [ "$(complete_line cowdax-ls image -- -)" = -file ]
    complete_line mkfs.cowdax -U c | grep -x clear
    [ -z "$(complete_line mkfs.cowdax -- -U)" ]
}

@test "after cowdax, and cowdax help, come its verbs" {
    [ "$(complete_line cowdax re)" = $'read\nreflink' ]
    [ "$(complete_line cowdax help re)" = $'read\nreflink' ]
}
