#!/usr/bin/env bats
# cowdax-batch: many commands, one open.

load helper

@test "lines are the words of the command line" {
    make_image
    cowdax-batch image <<'END'
# a comment
mkdir /d    # and another

write /d/a --offset 5000 --pattern 0x55 --length 100
reflink /d/a /b
truncate /b 6000
END
    { bytes 5000 '\0' && bytes 100 U && bytes 900 '\0'; } | holds /b
    [ "$(json .size cowdax-stat image /d/a)" = 5100 ]
}

@test "words are quoted as for a shell" {
    make_image
    cowdax-batch image <<'END'
mkdir '/two words' "/double \"quoted\" \$x" /back\ slash '/it'\''s' /x#y
END
    [ "$(cowdax-ls image)" = $'back slash\ndouble "quoted" $x\nit\'s\ntwo words\nx#y' ]
}

@test "a file can hold the lines, and then write may read stdin" {
    make_image
    printf 'write /a\nread /a\n' >lines
    [ "$(echo hello | cowdax-batch image lines)" = hello ]
}

@test "reads and lists print as their commands do" {
    make_image
    echo data | cowdax-write image /a
    printf 'ls /\nread /a\nls -i /a' | cowdax-batch image >out
    { cowdax-ls image / && cowdax-read image /a && cowdax-ls -i image /a; } | cmp - out
}

@test "each line is its own transaction" {
    make_image
    before=$(json .transaction cowdax-info image)
    printf 'mkdir /a\nmkdir /b\nls /\n' | cowdax-batch image
    [ "$(json .transaction cowdax-info image)" = $((before + 2)) ]
}

@test "--atomic makes them one" {
    make_image
    before=$(json .transaction cowdax-info image)
    printf 'mkdir /a\nwrite /a/f --pattern 1 --length 10000\nreflink /a/f /g\nrm /a/f\n' |
        cowdax-batch --atomic image
    [ "$(json .transaction cowdax-info image)" = $((before + 1)) ]
    bytes 10000 '\1' | holds /g
    [ -z "$(cowdax-ls image /a)" ]
}

@test "the first error ends it and names its line; lines before it stay" {
    make_image
    got=0
    printf 'mkdir /a\n\nmkdir /nope/b\nmkdir /c\n' | cowdax-batch image 2>err || got=$?
    [ $got = 1 ]
    grep -x 'cowdax-batch: line 3: mkdir: /nope/b: No such file or directory' err
    [ "$(cowdax-ls image)" = a ]
}

@test "with --atomic an error in the last line undoes all" {
    make_image
    printf 'mkdir /a\nwrite /b --pattern 1 --length 1M\nmkdir /a\n' >lines
    fails_midway 1 'cowdax-batch: line 3: mkdir: /a: File exists' cowdax-batch --atomic image lines
    [ -z "$(cowdax-ls image)" ]
}

@test "a wrong line is exit 1 and one message" {
    make_image
    echo 'frobnicate /a' >lines
    fails 1 'cowdax-batch: line 1: frobnicate: no such command' cowdax-batch image lines
    echo 'write /a --offset 5x' >lines
    fails 1 "cowdax-batch: line 1: write: --offset: '5x' is not a number" cowdax-batch image lines
    echo 'write /a --zz' >lines
    fails 1 "cowdax-batch: line 1: write: unrecognized option '--zz'" cowdax-batch image lines
    echo 'reflink /a' >lines
    fails 1 'line 1: reflink: missing operand' cowdax-batch image lines
    echo 'write /a --dry-run' >lines
    fails 1 'line 1: write: ' cowdax-batch image lines
    printf "mkdir '/a\n" >lines
    fails 1 'line 1: a quote is not closed' cowdax-batch image lines
    printf 'mkdir /a\0b\n' >lines
    fails 1 'line 1: contains a NUL byte' cowdax-batch image lines
    bytes 2000000 x >lines
    fails 1 'line 1: longer than 1 MiB' cowdax-batch image lines
}

@test "write cannot read from the stdin that the batch comes from" {
    make_image
    echo 'write /a' | fails 1 'standard input: is the batch itself' cowdax-batch image
}

@test "--json prints an object a line" {
    make_image
    printf 'mkdir /d\nwrite /a --pattern 1 --length 5\nstat /a\n' | cowdax-batch --json image >out
    [ "$(jq -c .command out | tr '\n' ' ')" = '"mkdir" "write" "stat" ' ]
    [ "$(wc -l <out)" = 3 ]
}

@test "--dry-run shows what all lines would do, each after the other, and changes nothing" {
    make_image
    printf 'mkdir /d\nwrite /d/a --pattern 1 --length 5\nreflink /d/a /b\n' >lines
    cp image before
    cowdax-batch -n image lines >out
    grep '^/d/a: .* 5 bytes written' out
    cmp image before
}

@test "an atomic batch whose report cannot be printed changes nothing" {
    make_image
    printf 'mkdir /d\nls /\n' >lines
    fails 1 'standard output: No space left on device' to_full cowdax-batch --atomic image lines
}

@test "a batch that only looks works on an image that may not be written" {
    make_image
    echo data | cowdax-write image /a
    chmod 444 image
    printf 'ls /\nread /a\nstat /a\nmap /a\ninfo\n' >lines
    for options in '' --atomic -n; do
        # shellcheck disable=SC2086 # perhaps none
        without_override cowdax-batch $options image lines >out
        grep -E '^(data$|/a: .* 4096 copied)' out
    done
    without_override cowdax-batch image <lines | grep -x data
    printf 'read /a\nmkdir /d\n' >lines
    for options in '' --atomic -n; do
        # shellcheck disable=SC2086 # perhaps none
        fails 1 'cowdax-batch: line 2: mkdir: image: Permission denied' \
            without_override cowdax-batch $options image lines
        grep -E '^(data$|/a: .* 4096 copied)' stdout
    done
}

@test "lines may end as in files from elsewhere, with CR LF" {
    make_image
    printf 'mkdir /d\r\n\r\n# a comment\r\nwrite /d/a --pattern 65 --length 3\r\ntruncate /d/b 0\r' |
        cowdax-batch image
    [ "$(cowdax-ls image /d)" = $'a\nb' ]
    [ "$(cowdax-read image /d/a)" = AAA ]
}

@test "an atomic batch tells its transaction when all is done, and none for what is undone" {
    make_image
    printf 'mkdir /d\nwrite /d/a --pattern 10 --length 5\ninfo\nread /d/a\n' >lines
    cowdax-batch --atomic --json image lines >out
    jq -es 'map(.transaction) | .[:4] == [null, null, null, null]' out
    jq -es --argjson now "$(json .transaction cowdax-info image)" '.[4] == {cowdax_json: 1,
        command: "batch", lines: 4, transaction: $now, dry_run: false}' out
    cowdax-rm -r image /d
    cowdax-batch --atomic -v image lines >out
    [ "$(grep -c transaction out)" = 1 ]
    grep -x "batch: 4 lines, transaction $(json .transaction cowdax-info image)" out
    cowdax-rm -r image /d
    echo 'mkdir /d' >>lines
    complains 1 'line 5: mkdir: /d: File exists' cowdax-batch --atomic --json image lines
    [ "$(jq -s 'map(.transaction) | unique' -c stdout)" = '[null]' ]
    cowdax-batch --atomic -v image lines >out 2>/dev/null && false
    run ! grep transaction out
}

@test "--chunk contradicts --atomic" {
    make_image
    echo 'write /a --pattern 1 --length 5 --chunk 1' >lines
    fails 1 'line 1: write: --chunk' cowdax-batch --atomic image lines
}

@test "a missing script, and an empty one" {
    make_image
    fails 1 'nope: No such file or directory' cowdax-batch image nope
    cowdax-batch image /dev/null
}
