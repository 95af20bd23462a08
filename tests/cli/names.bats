#!/usr/bin/env bats
# cowdax-mkdir, cowdax-rm, cowdax-ls, cowdax-stat: names and what is behind them.

load helper

@test "mkdir creates directories, any number in one transaction" {
    make_image
    before=$(json .transaction cowdax-info image)
    cowdax-mkdir image /a /b /a/c
    [ "$(cowdax-ls image /)" = $'a\nb' ]
    [ "$(cowdax-ls image a)" = c ]
    [ "$(json .transaction cowdax-info image)" = $((before + 1)) ]
    [ "$(json '[.type, .mode]' cowdax-stat image /a)" = "[\"directory\",$((0755))]" ]
}

@test "when one directory cannot be made, none is" {
    make_image
    fails 1 '/nope/b: No such file or directory' cowdax-mkdir image /a /nope/b
    [ -z "$(cowdax-ls image)" ]
}

@test "mkdir -p makes what is missing and is content with what is there" {
    make_image
    cowdax-mkdir -p image /a/b/c
    cowdax-mkdir -p image /a/b/c /a/b/d
    [ "$(cowdax-ls image /a/b)" = $'c\nd' ]
    fails 1 '/a: File exists' cowdax-mkdir image /a
    fails 1 'File exists' cowdax-mkdir image /
    echo x | cowdax-write image /file
    fails 1 '/file' cowdax-mkdir -p image /file
    fails 1 '/file' cowdax-mkdir -p image /file/below
}

@test "rm removes files and gives their space back" {
    make_image 8M
    for i in {1..20}; do
        cowdax-write image /a --pattern="$i" --length=4M
        cowdax-rm image /a
    done
    [ -z "$(cowdax-ls image)" ]
}

@test "rm of several is all or nothing" {
    make_image
    cowdax-mkdir image /d
    for name in a b; do
        echo x | cowdax-write image /$name
    done
    fails 1 '/nope: No such file or directory' cowdax-rm image /a /nope /b
    fails 1 '/d: Is a directory' cowdax-rm image /a /d
    cowdax-rm image /a /b
    [ "$(cowdax-ls image)" = d ]
}

@test "rm -f ignores what is missing, and removes the rest" {
    make_image
    echo x | cowdax-write image /a
    cowdax-rm -f image /nope /a /nope/nope
    [ -z "$(cowdax-ls image)" ]
    cowdax-rm -f image
    fails 2 'missing operand' cowdax-rm image
}

@test "rm -r removes trees" {
    make_image
    {
        for i in {1..20}; do
            echo "mkdir -p /tree/$i/below"
            echo "write /tree/$i/below/file --pattern $i --length 10000"
        done
    } | cowdax-batch image
    fails 1 '/tree' cowdax-rm image /tree
    cowdax-rm -r image /tree
    [ -z "$(cowdax-ls image)" ]
    [ "$(json .inodes cowdax-info image)" = 1 ]
}

@test "rm refuses the root directory, however it is called, and . and .." {
    make_image
    cowdax-mkdir image /d
    echo x | cowdax-write image /d/file
    for root in / // ino:1; do
        fails 1 'refusing to remove the root directory' cowdax-rm -rf image $root
    done
    for dot in . .. /d/. /d/.. /d/./ /.; do
        fails 1 "refusing to remove '.' or '..'" cowdax-rm -rf image $dot
    done
    [ "$(cowdax-read image /d/file)" = x ]
}

@test "rm removes what only looks like . and .." {
    make_image
    for name in a a. a.. .a ..a ... .... ..a.. a/; do
        cowdax-mkdir image "/$name"
        cowdax-rm -r image "/$name"
    done
    cowdax-mkdir -p image /a./b..
    cowdax-rm -r image /a./b..//
    cowdax-rm -r image a.
    [ "$(cowdax-ls -a image | grep -cvx '\.\.\?')" = 0 ]
}

@test "ls sorts by bytes, one name a line" {
    make_image
    for name in b a C 10 9 é; do
        cowdax-write image "/$name" </dev/null
    done
    [ "$(cowdax-ls image)" = $'10\n9\nC\na\nb\né' ]
}

@test "ls -l shows type, permissions, owner and size, -i inode numbers" {
    make_image
    cowdax-mkdir image /d
    bytes 1234 x | cowdax-write image /f
    cowdax-ls -l image >out
    grep -E '^drwxr-xr-x +[0-9]+ +[0-9]+ +[0-9]+ +0 [0-9-]+ [0-9:]+ d$' out
    grep -E '^-rw-r--r-- +1 +[0-9]+ +[0-9]+ +1234 [0-9-]+ [0-9:]+ f$' out
    [ "$(cowdax-ls -i image /f)" = "$(printf '%10d /f' "$(json .inode cowdax-stat image /f)")" ]
}

@test "ls -R goes through the tree in order" {
    make_image
    cowdax-mkdir -p image /b/x /a/y
    echo | cowdax-write image /a/file
    [ "$(cowdax-ls -R image)" = $'/:\na\nb\n\n/a:\nfile\ny\n\n/a/y:\n\n/b:\nx\n\n/b/x:' ]
    [ "$(json '[.entries[].path]' cowdax-ls -R image)" = '["/a","/b","/a/file","/a/y","/b/x"]' ]
}

@test "ls hides names that begin with a dot, -a and JSON do not" {
    make_image
    cowdax-mkdir -p image /d/.x/y
    echo | cowdax-write image /d/a
    [ "$(cowdax-ls image /d)" = a ]
    [ "$(cowdax-ls -a image /d)" = $'.\n..\n.x\na' ]
    [ "$(cowdax-ls -R image /d)" = $'/d:\na' ]
    [ "$(cowdax-ls -aR image /d | grep -c '^\.')" = 7 ]
    [ "$(cowdax-ls -ai image /d/.x | awk '{ print $1 }' | head -n 2 | tr '\n' ' ')" = \
        "$(json .inode cowdax-stat image /d/.x) $(json .inode cowdax-stat image /d) " ]
    [ "$(json '[.entries[].name]' cowdax-ls image /d)" = '[".x","a"]' ]
    [ "$(json '[.entries[].name]' cowdax-ls -a image /d)" = '[".x","a"]' ]
    [ "$(cowdax-ls -a image "ino:$(json .inode cowdax-stat image /d)")" = $'.\n.x\na' ]
}

@test "ls -d lists the directory, -0 ends lines with NUL, -1 is the default, -h is for people" {
    make_image
    cowdax-mkdir image /d
    for size in 0 1023 1024 1025 10240 1500000 5g; do
        cowdax-truncate image "/d/$size" $size
    done
    [ "$(cowdax-ls -d image /d)" = /d ]
    [ "$(cowdax-ls -d image)" = / ]
    [ "$(json '[.entries[].path]' cowdax-ls -d image /d)" = '["/d"]' ]
    [ "$(cowdax-ls -1 image /d)" = "$(cowdax-ls image /d)" ]
    cowdax-ls -0 image /d | cmp - <(cowdax-ls image /d | tr '\n' '\0')
    cowdax-ls -0lR image / | cmp - <(cowdax-ls -lR image / | tr '\n' '\0')
    [ "$(cowdax-ls -lh image /d | awk '{ printf "%s=%s ", $8, $5 }')" = \
        '0=0 1023=1023 1024=1.0K 10240=10K 1025=1.1K 1500000=1.5M 5g=5.0G ' ]
    cowdax-mkdir image $'/d/two\nlines'
    [ "$(cowdax-ls -0 image /d | tr -cd '\0' | wc -c)" = 8 ]
}

@test "ls of a file names it, of nothing is an error" {
    make_image
    echo | cowdax-write image /a
    [ "$(cowdax-ls image /a)" = /a ]
    fails 1 '/nope: No such file or directory' cowdax-ls image /nope
    fails 1 '/a/: Not a directory' cowdax-ls image /a/
}

@test "a directory of ten thousand names lists each of them once" {
    make_image 16M
    seq 10000 | sed 's|.*|truncate /d/& 0|' >lines
    { echo 'mkdir /d' && cat lines; } | cowdax-batch --atomic image
    cowdax-ls image /d | cmp - <(seq 10000 | LC_ALL=C sort)
    [ "$(json .size cowdax-stat image /d)" = 10000 ]
}

@test "a path of a thousand directories works" {
    make_image 16M
    deep=$(printf '/d%.0s' {1..1000})
    cowdax-mkdir -p image "$deep"
    echo x | cowdax-write image "$deep/file"
    [ "$(cowdax-read image "$deep/file")" = x ]
    [ "$(cowdax-ls -R image | grep -c ':$')" = 1001 ]
    cowdax-rm -r image /d
}

@test "any byte but NUL and slash can be in a name" {
    make_image
    name=$'/new\nline\ttab\\back"quote\xff\x01'
    echo x | cowdax-write image "$name"
    [ "$(cowdax-read image "$name")" = x ]
    cowdax-ls image | cmp - <(printf '%s\n' "${name:1}")
    cowdax-rm image "$name"
}

@test "JSON is valid whatever a name holds, and has the bytes of what is not UTF-8" {
    make_image
    for name in $'a\xffb' $'\xc3\xa9' $'q"\\\n' $'\xed\xa0\x80' $'\xf4\x90\x80\x80' $'\xc0\xaf'; do
        cowdax-write image "/$name" </dev/null
    done
    cowdax-ls --json image >out
    iconv -f UTF-8 -t UTF-8 out >/dev/null
    jq -e '.entries | map(.name) | index("é") and index("q\"\\\n") and index("a\ufffdb")' out
    jq -e '.entries | map(select(.name == "a\ufffdb").name_hex) == ["61ff62"]' out
    jq -e '.entries | map(select(.name == "é") | has("name_hex")) == [false]' out
    jq -e '[.entries[] | select(.name_hex)] | length == 4' out
}

@test "a message about a strange name stays one line" {
    make_image
    fails 1 'No such file or directory' cowdax-read image $'/two\nlines\e[2J'
    run ! grep $'\e' stderr
}

@test ". and .. and double slashes are understood" {
    make_image
    cowdax-mkdir image /d
    echo x | cowdax-write image /d/a
    for path in //d//a /d/./a /d/../d/a /../d/a d/a; do
        [ "$(cowdax-read image "$path")" = x ]
    done
}

@test "stat shows size, blocks, links and times" {
    make_image
    start=$(date +%s)
    bytes 10000 x | cowdax-write image /a
    json '[.type, .mode, .nlink, .size, .blocks, .shared_blocks]' cowdax-stat image /a >got
    [ "$(cat got)" = "[\"file\",$((0644)),1,10000,3,0]" ]
    json "[.atime, .mtime, .ctime, .btime] | map(. >= $start and . <= $(date +%s) + 1) | all" \
        cowdax-stat image /a >got
    [ "$(cat got)" = true ]
    cowdax-stat image /a | grep -E '^size: +10000$'
}

@test "times in JSON are integers and lose no nanosecond" {
    make_image
    echo x | cowdax-write image /a
    cowdax-stat --json image /a >out
    jq -e '[.atime, .mtime, .ctime, .btime, .mtime_nanoseconds] | all(. == floor)' out
    run ! grep -E '"[a-z]+time":[0-9]*\.' out
    for key in atime mtime ctime btime; do
        text=$(TZ=UTC cowdax-stat image /a | sed -n "s/^$key: *//p")
        [ "$(jq -r "\"\(.$key) \(.${key}_nanoseconds)\"" out)" = \
            "$(date -d "$text" +%s) $((10#$(date -d "$text" +%N)))" ]
    done
    jq -e '.mtime == $ls[0].entries[0].mtime and .mtime_nanoseconds == $ls[0].entries[0].mtime_nanoseconds' \
        --slurpfile ls <(cowdax-ls -l --json image) out
}

@test "stat counts shared blocks" {
    make_image
    bytes 10000 x | cowdax-write image /a
    cowdax-reflink image /a /b
    cowdax-write image /b --pattern=1 --length=1
    [ "$(json '[.blocks, .shared_blocks]' cowdax-stat image /b)" = '[3,2]' ]
}

@test "stat of several paths is an object a line" {
    make_image
    echo | cowdax-write image /a
    [ "$(json .path cowdax-stat image / /a)" = $'"/"\n"/a"' ]
    fails 1 '/nope: No such file or directory' cowdax-stat image / /nope
}

@test "stat goes on after a path that is not there, and exits with 1" {
    make_image
    echo | cowdax-write image /a
    complains 1 'cowdax-stat: /nope: No such file or directory' cowdax-stat --json image / /nope /a
    [ "$(jq -r .path stdout)" = $'/\n/a' ]
    got=0
    cowdax-stat image /nope /no /a >stdout 2>stderr || got=$?
    [ $got = 1 ]
    [ "$(wc -l <stderr)" = 2 ]
    grep -x 'path:    /a' stdout
    echo 'stat /nope /a' >lines
    complains 1 'cowdax-batch: line 1: stat: /nope: No such file' cowdax-batch image lines
    fails 1 'standard output: No space left on device' to_full cowdax-stat image / /a
}

@test "map lists extents in order, holes included" {
    make_image
    cowdax-write image /a --pattern=1 --length=4096
    cowdax-write image /a --pattern=1 --length=4096 --offset=12288
    cowdax-fallocate image /a --offset=16384 --length=4096
    json '[.extents[] | [.offset, .length, .type, .address == null, .references]]' \
        cowdax-map image /a >got
    [ "$(cat got)" = '[[0,4096,"mapped",false,1],[4096,8192,"hole",true,0],[12288,4096,"mapped",false,1],[16384,4096,"unwritten",false,1]]' ]
    [ "$(cowdax-map image /a | wc -l)" = 5 ]
    [ "$(cowdax-map -q image /a | wc -l)" = 4 ]
}

@test "map of an empty file lists nothing" {
    make_image
    cowdax-write image /a </dev/null
    [ "$(json .extents cowdax-map image /a)" = '[]' ]
}

@test "adjacent writes show as one extent" {
    make_image
    cowdax-write image /a --pattern=1 --length=64k
    [ "$(json '.extents | length' cowdax-map image /a)" = 1 ]
}

@test "info tells what the image is" {
    mkfs.cowdax -q -L name image 16M
    cowdax-info --json image >out
    jq -e '.cowdax_json == 1 and .label == "name" and .block_size == 4096 and .size == 16777216
        and .blocks == 4096 and .free_blocks > 3500 and .inodes == 1 and .transaction >= 1
        and (.features | type) == "array" and (.uuid | length) == 36 and .limbo_blocks >= 0' out
    cowdax-info image | grep -E '^blocks: +4096$'
}

@test "mkdir -p makes thousands of directories in each other" {
    make_image
    path=$(printf '/d%.0s' $(seq 3000))
    cowdax-mkdir -p image "$path"
    cowdax-mkdir -p image "$path"
    [ "$(json .type cowdax-stat image "$path")" = '"directory"' ] ||
        [ "$(json .type cowdax-stat image "$path")" = directory ]
    cowdax-rm -r image /d
    [ -z "$(cowdax-ls image)" ]
}
