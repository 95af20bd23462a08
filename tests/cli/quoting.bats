#!/usr/bin/env bats
# Law L7: what a terminal gets is quoted, what JSON gets is whole.  Names, labels,
# paths, options and images' own names are strangers' bytes.

load helper

# ESC, BEL, DEL, a lone CSI byte, C1 as UTF-8 (CSI and NEL), what turns a line
# round, a separator of lines, and two newlines that want to be lines of their own.
evil=$'e\e[31m\a\x7f\x9b\xc2\x9b2J\xc2\x85\xe2\x80\xae\xe2\x80\xa8\xff\nfsck: clean\r\nx'
quoted='e\033[31m\007\177\233\302\2332J\302\205\342\200\256\342\200\250\377\nfsck: clean\r\nx'

# harmless FILE: nothing in it but text and the ends of lines, none of them forged.
harmless() {
    iconv -f UTF-8 -t UTF-8 "$1" >/dev/null || { echo "not UTF-8:" && od -c "$1" && return 1; }
    if LC_ALL=C.UTF-8 grep -nP '[\x00-\x08\x0b-\x1f\x7f-\x9f\x{202a}-\x{202e}\x{2028}\x{2029}]' "$1"; then
        return 1
    fi
    run ! grep -x 'fsck: clean.*' "$1"
}

# is_harmless COMMAND…: in what it prints, whatever its exit status.
is_harmless() {
    "$@" >stdout 2>stderr || true
    if ! harmless stdout || ! harmless stderr; then
        echo "so does: ${*@Q}"
        return 1
    fi
}

# on_a_terminal COMMAND…: what it prints there, without the terminal's own returns.
on_a_terminal() {
    script -qec "${*@Q}" /dev/null </dev/null | sed 's/\r$//'
}

make_evil_image() {
    make_image 16M -L "$evil"
    echo data | cowdax-write image "/$evil"
    cowdax-mkdir image "/d$evil"
    echo data | cowdax-write image "/d$evil/$evil"
}

@test "what does not exist is named in one line without control characters" {
    make_evil_image
    for command in 'cowdax-read image' 'cowdax-stat image' 'cowdax-map image' 'cowdax-rm image' \
        'cowdax-ls image' 'cowdax-reflink image' 'cowdax-fallocate --offset=0 --length=1 --punch image' \
        'cowdax-write --no-create image' 'cowdax-write image /x --input' 'cowdax-batch image'; do
        words=("/nope$evil")
        [[ $command != cowdax-reflink* ]] || words+=(/x)
        # shellcheck disable=SC2086 # words
        complains 1 "$quoted" $command "${words[@]}"
        harmless stderr
    done
    complains 1 "$quoted: File exists" cowdax-mkdir image "/d$evil"
    harmless stderr
}

@test "an image of a strange name is quoted by every command" {
    for command in cowdax-info cowdax-ls cowdax-batch; do
        complains 1 "$quoted: No such file" "$command" "$evil"
        harmless stderr
    done
    complains 8 "$quoted: No such file" fsck.cowdax "$evil"
    harmless stderr
    is_harmless mkfs.cowdax "$evil" 16M
    grep -F "$quoted" stdout
    is_harmless fsck.cowdax -n -C 5 "$evil" 5>progress
    grep -F "$quoted: clean" stdout
    harmless progress
    grep -F "$quoted" progress
    is_harmless cowdax-info --json "$evil"
    bytes 4096 '\377' | splice "$evil" 8192
    is_harmless fsck.cowdax -n "$evil"
    is_harmless fsck.cowdax -n --json "$evil"
}

@test "reports of changes quote what they changed" {
    make_evil_image
    for command in "cowdax-write --pattern=1 --length=5" cowdax-mkdir "cowdax-reflink -v image /x" \
        cowdax-rm "cowdax-truncate" "cowdax-fallocate --offset=0 --length=1" "cowdax-read --dry-run"; do
        rm -f image && make_evil_image
        echo x | cowdax-write image /x
        [[ $command != cowdax-mkdir ]] || cowdax-rm image "/$evil"
        words=("$evil")
        [[ $command != cowdax-truncate ]] || words+=(5)
        read -ra start <<<"$command"
        [[ $command == *image* ]] || start+=(image)
        cp image copy
        is_harmless "${start[@]}" -v "${words[@]}"
        grep -F "$quoted" stdout
        cp copy image
        is_harmless "${start[@]}" -n "${words[@]}"
        grep -F "$quoted" stdout
        is_harmless "${start[@]}" --json "${words[@]}"
    done
}

@test "a wrong option, operand or command is quoted too, whoever complains" {
    make_image
    for program in cowdax-{batch,fallocate,info,ls,map,mkdir,read,reflink,rm,stat,truncate,write} \
        mkfs.cowdax fsck.cowdax cowdax; do
        is_harmless "$program" "--$evil"
        grep -F "$quoted" stderr
        is_harmless "$program" -$'\e'
        is_harmless "$program" "--verbose=$evil" image
        is_harmless "$program" "--fs-offset=$evil" image
        is_harmless "$program" image "$evil" "$evil" "$evil" "$evil"
    done
    is_harmless cowdax "$evil"
    grep -F "$quoted: no such command" stderr
    is_harmless mkfs.cowdax -U "$evil" image
    is_harmless mkfs.cowdax -O "$evil" -f image
    is_harmless mkfs.cowdax -b "$evil" image
    is_harmless fsck.cowdax -C "$evil" image
}

@test "lines of a batch are quoted in messages" {
    make_image
    for line in "$evil" "read / $evil" "write --$evil" "write /a --pattern=$evil --length=1" "stat '/$evil'"; do
        printf '%s\n' "${line//$'\n'/}" >lines
        is_harmless cowdax-batch image lines
        grep -q '\\033' stderr
    done
}

@test "a label is quoted, and forges no line" {
    make_evil_image
    is_harmless cowdax-info image
    grep -Fx "label:        $quoted" stdout
    is_harmless mkfs.cowdax -f -L "$evil" image
    grep -Fx "label:        $quoted" stdout
}

@test "JSON holds every byte of a label, and nothing that a terminal obeys" {
    make_image 16M -L $'a\xffb\n\xc2\x9b'
    cowdax-info --json image >out
    harmless out
    jq -e '.label == "a\ufffdb\n\u009b" and .label_hex == "61ff620ac29b"' out
    make_image 16M -L plain
    [ "$(json '[.label, has("label_hex")]' cowdax-info image)" = '["plain",false]' ]
    make_image 16M
    [ "$(json '[.label, has("label_hex")]' cowdax-info image)" = '[null,false]' ]
}

@test "JSON holds every byte of every name in a list" {
    make_image
    cowdax-mkdir --json image /good $'/b\xff' >out
    jq -e '.paths == ["/good", "/b\ufffd"] and .paths_hex == ["2f676f6f64", "2f62ff"]' out
    [ "$(json 'has("paths_hex")' cowdax-rm -r image /good)" = false ]
}

@test "ls and stat print names whole into a pipe or in JSON, and quoted on a terminal" {
    make_evil_image
    cowdax-ls image | cmp - <(printf '%s\n' "d$evil" "$evil")
    for command in 'cowdax-ls' 'cowdax-ls -lRi' 'cowdax-ls -l --json' 'cowdax-stat' 'cowdax-stat --json'; do
        # shellcheck disable=SC2086 # words
        on_a_terminal $command image "/$evil" >seen
        harmless seen
    done
    on_a_terminal cowdax-ls -R image >seen
    harmless seen
    grep -Fx "$quoted" seen
    grep -Fx "/d$quoted:" seen
    is_harmless cowdax-stat image "/$evil"
    grep -Fx "path:    /$quoted" stdout
    [ "$(json .path cowdax-stat image "/$evil" | jq -r .)" = "/${evil//[$'\x9b\xff']/$'\ufffd'}" ] ||
        cowdax-stat --json image "/$evil" | jq -e --arg hex "$(printf '/%s' "$evil" | od -An -tx1 -v | tr -d ' \n')" '.path_hex == $hex'
}

@test "every command on a terminal: no byte of a name gets through" {
    make_evil_image
    for command in "cowdax-info image" "cowdax-map image /$evil" "cowdax-write -v --pattern=1 --length=1 image /$evil" \
        "fsck.cowdax -n image"; do
        words=("${command%% *}")
        # The name has blanks of its own: only what stands before it is words.
        read -ra words <<<"${command%%/*}"
        [[ $command != */* ]] || words+=("/${command#*/}")
        on_a_terminal "${words[@]}" >seen
        [ -s seen ]
        harmless seen
    done
}

@test "text in other scripts is not touched" {
    make_image 16M -L 'Größe 日本 🙂'
    cowdax-info image | grep -Fx 'label:        Größe 日本 🙂'
    fails 1 '/Ünïcode\name: No such file' cowdax-read image '/Ünïcode\name'
    cowdax-mkdir image /é
    on_a_terminal cowdax-ls image | grep -Fx é
}
