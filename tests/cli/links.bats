#!/usr/bin/env bats
# Symbolic links as images, and where they lead.

load helper

# for_each_command FUNCTION: called with each command, its image to be put behind the first word.
for_each_command() {
    local command

    for command in "fallocate /a --offset=0 --length=1" info ls "map /a" "mkdir /d" "read /a" "reflink /a /b" \
        "rm /a" "stat /a" trim "truncate /a 0" "write /a"; do
        # shellcheck disable=SC2086 # meant: words
        "$1" cowdax-$command </dev/null
    done
    echo "ls /" | "$1" cowdax-batch
    "$1" fsck.cowdax -n
    "$1" mkfs.cowdax 16M
    "$1" mkfs.cowdax --force 16M
    "$1" mkfs.cowdax --dry-run 16M
}

status_of() {
    case $1 in
    fsck.cowdax) echo 8 ;;
    *) echo 1 ;;
    esac
}

dangling_is_named() {
    complains "$(status_of "$1")" "link: symbolic link to missing: No such file or directory" "$1" link "${@:2}"
    [ ! -e missing ]
    complains "$(status_of "$1")" "far: symbolic link to no/way: No such file or directory" "$1" far "${@:2}"
}

@test "every command says that an image is a symbolic link to nothing, and to what" {
    ln -s missing link
    ln -s no/way far
    for_each_command dangling_is_named
}

loop_is_named() {
    complains "$(status_of "$1")" "loop: Too many levels of symbolic links" "$1" loop "${@:2}"
}

@test "every command says that an image is a symbolic link that leads round" {
    ln -s pool loop
    ln -s loop pool
    for_each_command loop_is_named
}

directory_is_named() {
    case $1 in
    mkfs.cowdax) complains 1 "link: neither a regular file nor a device" "$1" link "${@:2}" ;;
    *) complains "$(status_of "$1")" "link: Is a directory" "$1" link "${@:2}" ;;
    esac
}

@test "every command refuses a symbolic link to a directory as an image" {
    mkdir directory
    ln -s directory link
    for_each_command directory_is_named
}

@test "a symbolic link to an image is as good as the image" {
    truncate -s 16M image
    ln -s image link
    ln -s link further
    mkfs.cowdax --quiet further
    echo x | cowdax-write link /a
    [ "$(cowdax-read image /a)" = x ]
    [ -L link ] && [ -L further ]
}
