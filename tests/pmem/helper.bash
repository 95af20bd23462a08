# What the tests in the guest share, on top of what those of the commands do.
load ../cli/helper

# What each DIMM is for (see devices.t).
export XFS_DIMM=0 DAX_DIMM=1 BLOCK_DIMM=2 LARGE_DIMM=3 PROTECTED_DIMM=4

# Each test has a folder of its own...
setup() {
    cd "$BATS_TEST_TMPDIR" || exit
    # shellcheck disable=SC2034 # for the other helper's teardown
    damaged=
    [ -z "${device-}" ] || uses "$device"
}

# ...where "image" is a link to the device, so that the helpers work on that.
uses() {
    ln -sfn "$1" image
}

# mount_xfs DEVICE OPTIONS: make an XFS with reflink there, and mount it.
mount_xfs() {
    # A test that failed may have left it there.
    ! mountpoint -q /mnt/xfs || umount /mnt/xfs
    mkfs.xfs -q -f -m reflink=1 "$1"
    mkdir -p /mnt/xfs
    mount -o "$2" "$1" /mnt/xfs
}

# old_namespace DIMM MODE: a namespace that is full of 0xa5.
old_namespace() {
    local disk

    disk=$(namespace "$1" raw)
    tr '\0' '\245' </dev/zero 2>/dev/null | dd of="$disk" bs=1M status=none 2>/dev/null || :
    [ "$(tail -c 1 "$disk")" = $'\245' ]
    namespace "$1" "$2"
}

# no_stale_byte: what an old namespace was full of is in no test's data.
no_stale_byte() {
    local path

    cowdax-ls -R --json image | jq -r '.entries[] | select(.type == "file").path' >paths
    [ -s paths ]
    while IFS= read -r path; do
        [ "$(cowdax-read image "$path" | tr -dc '\245' | wc -c)" = 0 ]
    done <paths
}

# The process that start_batch has started, and what proc(5)'s smaps says of its
# mapping of "image".
batch_process() {
    # shellcheck disable=SC2154 # the other helper's
    echo "$batch"
}

batch_mapping() {
    sed -n "\\|^[0-9a-f-]* .* $(readlink -f image)\$|,/^VmFlags/p" "/proc/$(batch_process)/smaps"
}

# same PATH FILE: the file in the image has the bytes of FILE; says which it has not,
# and whether it has them when asked again.
same() {
    cowdax-read image "$1" >got
    cmp got "$2" && return
    echo "differing bytes (decimal: place; octal: in the image, expected):"
    cmp -l got "$2" | sed -n '1,8p;$p'
    cowdax-map image "$1"
    cowdax-read image "$1" | cmp - "$2" && echo "read again, it is right"
    return 1
}

# exercise: write, read, clone, write into the clone, map, batch and check "image",
# against the same done with ordinary files.
exercise() {
    seq 300000 >original
    cp original clone
    seq 5000 | splice clone 1000001

    cowdax-write image /original <original
    cowdax-reflink image /original /clone
    seq 5000 | cowdax-write image /clone --offset=1000001
    same /original original
    same /clone clone
    [ "$(json '[.extents[] | select(.flags == ["shared"])] | length' cowdax-map image /clone)" = 2 ]
    [ "$(json '[.extents[] | select(.flags == [])] | length' cowdax-map image /clone)" = 1 ]

    # A part of a block next to a hole, and unwritten space: zeros around it.
    printf middle | cowdax-write image /sparse --offset=70000
    cowdax-fallocate image /sparse --offset=131072 --length=131072
    printf end | cowdax-write image /sparse --offset=140000
    cowdax-truncate image /sparse 400000
    truncate -s 400000 sparse
    printf middle | splice sparse 70000
    printf end | splice sparse 140000
    same /sparse sparse

    cowdax-batch --atomic image <<-'END'
	mkdir /folder
	reflink /original /folder/copy
	truncate /folder/copy 1000
	write /folder/copy --offset 100 --pattern 0x55 --length 10
	fallocate /clone --punch --offset 0 --length 8192
	END
    { head -c 100 original && bytes 10 U && head -c 1000 original | tail -c 890; } |
        holds /folder/copy
    bytes 8192 '\0' | splice clone 0
    same /clone clone
    same /original original
    cowdax-rm image /original
    same /clone clone
    fsck.cowdax -n image
}
