#!/usr/bin/env bats
# What holds for every command.

load helper

# Each command with operands that would work on an image with /a in it.
commands=(
    'cowdax-batch image /dev/null' 'cowdax-fallocate image /a --offset=0 --length=1'
    'cowdax-info image' 'cowdax-ls image' 'cowdax-map image /a' 'cowdax-mkdir image /new'
    'cowdax-read image /a' 'cowdax-reflink image /a /new' 'cowdax-rm image /a'
    'cowdax-stat image /a' 'cowdax-truncate image /a 5'
    'cowdax-write image /a --pattern=1 --length=1'
)

# every_command STATUS TEXT: each of them fails so.
every_command() {
    local command

    for command in "${commands[@]}"; do
        # shellcheck disable=SC2086 # words
        fails "$1" "$2" $command || { echo "$command" && return 1; }
    done
}

@test "cowdax VERB is cowdax-VERB" {
    cowdax mkfs -q image 16M
    echo hello | cowdax write image /a
    [ "$(cowdax read image /a)" = hello ]
    cowdax fsck -n image
    fails 1 'cowdax-read: /nope: No such file' cowdax read image /nope
    fails 2 'frobnicate: no such command' cowdax frobnicate
    fails 2 'no such command' cowdax ../../bin/sh
    fails 2 'missing operand' cowdax
}

@test "cowdax help tells what there is, cowdax help VERB how it works" {
    cowdax help | cmp - <(cowdax --help)
    cowdax help help | cmp - <(cowdax --help)
    for verb in batch fallocate fsck info ls map mkdir mkfs read reflink rm stat truncate write; do
        cowdax help | grep -E "^  $verb +[a-z]"
        cowdax help $verb | grep -E "^Usage: ([a-z]+.cowdax|cowdax-$verb) "
    done
    fails 2 'frobnicate: no such command' cowdax help frobnicate
    fails 2 "extra operand 'b'" cowdax help read b
    fails 1 'standard output: No space left on device' to_full cowdax help
}

@test "every way to print help or a version fails where it cannot be printed" {
    for program in cowdax mkfs.cowdax cowdax-{batch,fallocate,info,ls,map,mkdir,read,reflink,rm,stat,truncate,write}; do
        for option in --help -? --usage --version -V; do
            fails 1 'standard output: No space left on device' to_full "$program" "$option"
        done
    done
    fails 8 'standard output: No space left on device' to_full fsck.cowdax --version
    fails 1 'standard output: No space left on device' to_full mkfs.cowdax -O list-all image || [ ! -s stderr ]
}

@test "--help, --usage and --version go to stdout, exit 0" {
    for command in cowdax mkfs.cowdax fsck.cowdax "${commands[@]}"; do
        program=${command%% *}
        $program --help | grep -q '^Usage: '
        $program -? | grep -q '^Usage: '
        $program --usage | grep -q '^Usage: '
        $program --version | grep -qE "^$program .*[0-9]+\.[0-9]+"
        $program -V | grep -q "^$program "
    done
}

@test "help that cannot be printed is an error" {
    for command in cowdax "${commands[@]}"; do
        fails 1 'standard output: No space left on device' to_full "${command%% *}" --help
    done
    fails 8 'standard output: No space left on device' to_full fsck.cowdax --help
}

@test "an unknown option is wrong usage" {
    make_image
    for command in "${commands[@]}"; do
        # shellcheck disable=SC2086 # words
        fails 2 "unrecognized option '--frobnicate'" $command --frobnicate
    done
}

@test "a missing IMAGE operand is wrong usage" {
    for command in "${commands[@]}"; do
        fails 2 'missing operand' "${command%% *}"
    done
}

@test "a missing image is named" {
    every_command 1 'image: No such file or directory'
}

@test "no permission is an error" {
    make_image
    echo x | cowdax-write image /a
    may_be_damaged
    chmod 000 image
    for command in "${commands[@]}"; do
        got=0
        # shellcheck disable=SC2086 # words
        without_override $command 2>stderr || got=$?
        [ $got = 1 ]
        grep -Fx "${command%% *}: image: Permission denied" stderr
    done
}

@test "an image that may only be read is not written" {
    make_image
    echo x | cowdax-write image /a
    chmod 444 image
    cp image before
    for command in cowdax-mkdir cowdax-rm 'cowdax-write --pattern=1 --length=1'; do
        # shellcheck disable=SC2086 # words
        without_override $command image /a 2>stderr && false
        grep -F 'image: Permission denied' stderr
    done
    without_override fsck.cowdax -n image
    cmp image before
}

@test "an empty file, a foreign file, a directory and a device are not images" {
    may_be_damaged
    : >image
    every_command 1 'image: '
    bytes 1000000 x >image
    every_command 1 'image: '
    seq 100000 >image
    every_command 1 'image: '
    rm image
    mkdir image
    every_command 1 'image: '
    rmdir image
    ln -s /dev/null image
    every_command 1 'image: '
    rm image
    ln -s /dev/zero image
    every_command 1 'image: '
}

@test "a FIFO as image does not hang" {
    mkfifo image
    may_be_damaged
    for command in "${commands[@]}"; do
        # shellcheck disable=SC2086 # words
        fails 1 'image: ' timeout 10 $command
    done
}

@test "a truncated image is an error, and stays as it is" {
    make_image
    echo x | cowdax-write image /a
    may_be_damaged
    truncate -s 8M image
    every_command 1 'image: '
    truncate -s 5000 image
    every_command 1 'image: '
    truncate -s 100 image
    every_command 1 'image: '
}

@test "an image whose superblocks are gone is an error" {
    make_image
    echo x | cowdax-write image /a
    may_be_damaged
    bytes 65536 '\0' | splice image 0
    bytes 65536 '\0' | splice image $((16777216 - 65536))
    every_command 1 'image: '
}

@test "the wrong --fs-offset is an error" {
    make_image
    echo x | cowdax-write image /a
    for command in "${commands[@]}"; do
        # shellcheck disable=SC2086 # words
        fails 1 'image: ' $command --fs-offset=4096
        # shellcheck disable=SC2086 # words
        fails 1 'image: ' $command --fs-offset=4E
        # shellcheck disable=SC2086 # words
        fails 2 'multiple of 512' $command --fs-offset=100
    done
}

@test "--dry-run changes nothing" {
    make_image
    echo x | cowdax-write image /a
    cp image before
    for command in "${commands[@]}"; do
        # shellcheck disable=SC2086 # words
        $command --dry-run >out
        cmp image before
    done
}

@test "--dry-run says so, and has no transaction to tell of" {
    make_image
    echo x | cowdax-write image /a
    echo 'mkdir /x' >lines
    for command in "${commands[@]}"; do
        # shellcheck disable=SC2086 # words
        $command --json --dry-run >out
        case ${command%% *} in
            cowdax-batch) [ ! -s out ] ;;
            cowdax-info | cowdax-ls | cowdax-map | cowdax-read | cowdax-stat)
                jq -e 'has("dry_run") == false' out ;;
            *) jq -e '.dry_run == true and .transaction == null' out ;;
        esac
    done
    [ "$(cowdax-batch -n --json image lines | jq -c '[.command, .dry_run, .transaction]')" = '["mkdir",true,null]' ]
    [ "$(json .transaction cowdax-read image /a)" = "$(json .transaction cowdax-info image)" ]
    cowdax-mkdir -n image /new | grep 'dry run'
    cowdax-write -n image /a --pattern=1 --length=1 >out
    grep 'dry run' out
    run ! grep transaction out
    [ "$(json .dry_run cowdax-mkdir image /new)" = false ]
}

@test "--dry-run fails where the real run would" {
    make_image
    echo x | cowdax-write image /a
    chmod 444 image
    for command in "${commands[@]}"; do
        case ${command%% *} in
            cowdax-batch | cowdax-info | cowdax-ls | cowdax-map | cowdax-read | cowdax-stat)
                # shellcheck disable=SC2086 # words
                without_override $command -n ;;
            *)
                # shellcheck disable=SC2086 # words
                fails 1 'image: Permission denied' without_override $command -n ;;
        esac
    done
}

@test "--json prints lines of valid JSON that begin with cowdax_json" {
    make_image
    echo x | cowdax-write image /a
    for command in "${commands[@]}"; do
        [[ $command != cowdax-batch* ]] || continue
        # shellcheck disable=SC2086 # words
        $command --json --dry-run >out
        [ "$(wc -l <out)" = 1 ]
        [ "$(jq -r 'keys_unsorted[0]' out)" = cowdax_json ]
        [ "$(jq .cowdax_json out)" = 1 ]
        [ "cowdax-$(jq -r .command out)" = "${command%% *}" ]
    done
}

@test "a report that cannot be printed is an error, and nothing has changed" {
    make_image
    echo x | cowdax-write image /a
    for command in "${commands[@]}"; do
        [[ $command != cowdax-batch* ]] || continue
        # shellcheck disable=SC2086 # words
        fails_midway 1 'standard output: No space left on device' to_full $command --json
        # shellcheck disable=SC2086 # words
        fails_midway 1 'standard output: Broken pipe' to_closed_pipe $command --json
    done
}

@test "a full disk is called that, however much was printed before it filled" {
    make_image
    seq -f 'mkdir /a-long-name-for-a-directory-%g' 1000 | cowdax-batch --atomic image
    for command in 'cowdax-ls image' 'cowdax-ls -lR image' 'cowdax-ls --json image'; do
        # shellcheck disable=SC2086 # words
        fails 1 'standard output: No space left on device' to_full $command
    done
}

# The JSON of fsck, mkfs and a batch is of the same kind, line by line.
@test "every object of JSON names its command, after cowdax_json" {
    make_image
    printf 'mkdir /d\nwrite /a --pattern 1 --length 5\nls\n' >lines
    {
        mkfs.cowdax --json -f image
        cowdax-batch --json image lines
        for command in "${commands[@]}"; do
            # shellcheck disable=SC2086 # words
            $command --json -n
        done
        cowdax-stat --json image / /a
        fsck.cowdax --json image
        cp image damaged
        bytes 4096 '\377' | splice damaged $((16777216 - 4096))
        fsck.cowdax --json damaged || [ $? = 4 ]
    } 2>/dev/null >out
    jq -es 'all(keys_unsorted[:2] == ["cowdax_json", "command"] and .cowdax_json == 1)' out
    jq -es 'map(.command) | unique == ["fallocate", "fsck", "info", "ls", "map", "mkdir", "mkfs", "read",
        "reflink", "rm", "stat", "truncate", "write"]' out
    jq -es 'map(select(.command == "fsck" and .code)) | length > 0' out
}

# make_reproducibly FILE: an image by many commands, some of which stage, clone and remove.
make_reproducibly() {
    rm -f "$1"
    mkfs.cowdax -q -U 01234567-89ab-cdef-0123-456789abcdef "$1" 64M
    printf '%s\n' 'mkdir -p /d/e' 'write /d/a --pattern 1 --length 10M' 'reflink /d/a /b' \
        'write /b --pattern 2 --length 100 --offset 5000' 'rm -r /d' | cowdax-batch "$1"
    seq 100000 | cowdax-write "$1" /c
    seq 100000 | cowdax-write "$1" /c --append
    seq -f 'truncate /file%g 5000' 300 | cowdax-batch --atomic "$1"
    cowdax-fallocate "$1" /b --punch --offset=8192 --length=1M
    cowdax-truncate "$1" /c 1000
    cowdax-rm "$1" /file7 /file8
}

@test "with the same UUID and SOURCE_DATE_EPOCH the same commands give the same bytes" {
    export SOURCE_DATE_EPOCH=1000000000
    make_reproducibly image
    make_reproducibly again
    cmp image again
    for path in / /b /c /file1; do
        [ "$(json '[.atime, .mtime, .ctime, .btime, .mtime_nanoseconds] | unique' cowdax-stat image $path)" = \
            '[0,1000000000]' ]
    done
    SOURCE_DATE_EPOCH=1000000001 make_reproducibly again
    cmp -s image again && false
    SOURCE_DATE_EPOCH=x fails 1 "SOURCE_DATE_EPOCH: 'x' is not a number" cowdax-mkdir image /new
    SOURCE_DATE_EPOCH=x cowdax-ls image
}

@test "with stdin, stdout and stderr closed nothing goes into the image" {
    make_image
    echo x | cowdax-write image /a
    cp image before
    cowdax-read image /nope <&- >&- 2>&- && false
    cowdax-write image /b <&- >&- 2>&- && false
    cowdax-ls image <&- >&- 2>&- && false
    cmp image before
}

@test "a command waits for a lock, or fails at once with --no-wait" {
    make_image
    start_batch --atomic
    tell 'mkdir /a'
    fails 1 'cowdax-mkdir: image: another process is writing' cowdax-mkdir --no-wait image /b
    cowdax-mkdir image /c 3>&- 5>&- 6>&- &
    waiting=$!
    end_batch
    wait $waiting
    [ "$(cowdax-ls image)" = $'a\nc' ]
}

@test "readers see the old state while a batch is at work, and are not held up" {
    make_image
    echo old | cowdax-write image /a
    start_batch --atomic
    tell 'rm /a'
    [ "$(cowdax-read image /a)" = old ]
    cowdax-ls --no-wait image | grep -x a
    end_batch
    fails 1 '/a: No such file or directory' cowdax-read image /a
}

@test "a slow stream holds up no other writer, not even when it reports" {
    make_image 64M
    mkfifo input
    cowdax-write image /slow --input=input --json >report 3>&- &
    slow=$!
    exec 5>input
    # More than fits into the FIFO: when it is through, the write is under way.
    bytes 10000000 s >&5
    seq 10 | cowdax-write --no-wait image /fast -v 5>&-
    cowdax-truncate --no-wait image /fast 3 5>&-
    cowdax-mkdir --no-wait image /d 5>&-
    cowdax-rm --no-wait image /fast 5>&-
    [ ! -s report ]
    exec 5>&-
    wait $slow
    jq -e '.offset == 0 and .length == 10000000 and .bytes_written == 10000000' report
    [ "$(jq .transaction report)" = "$(json .transaction cowdax-info image)" ]
    bytes 10000000 s | holds /slow
}
