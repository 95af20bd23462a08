#!/usr/bin/env bats
# What is behind the mapping of an image, and so what "durable" means: always told,
# and never called persistent memory for want of knowing better.

load helper

# Asks the mount table, not cowdax.
not_on_dax() {
    ! findmnt -no OPTIONS -T . | grep -qwE 'dax(=always)?' || skip "the folder is on a DAX filesystem"
}

# says_page_cache COMMAND…: with --json and without.
says_page_cache() {
    "$@" >plain
    grep -xE 'mapping: +page cache \(not persistent memory\)' plain
    "$@" --json | jq -e '.mapping == "page cache" and .persistent_memory == false'
}

@test "an ordinary file is page cache and not persistent memory: mkfs, its dry run and info say so" {
    not_on_dax
    says_page_cache mkfs.cowdax -n image 16M
    says_page_cache mkfs.cowdax -f image 16M
    says_page_cache mkfs.cowdax -f -n image
    says_page_cache cowdax-info image
    chmod 400 image
    says_page_cache without_override cowdax-info image
}

@test "persistent memory that is only claimed is called forced, as long as it is claimed" {
    not_on_dax
    PMEM_IS_PMEM_FORCE=1 mkfs.cowdax image 16M | grep -E '^mapping: +forced PM '
    [ "$(PMEM_IS_PMEM_FORCE=1 json .mapping cowdax-info image)" = '"forced PM"' ]
    says_page_cache cowdax-info image
    for value in '' 0 2 yes; do
        PMEM_IS_PMEM_FORCE=$value says_page_cache cowdax-info image
    done
}
