#!/usr/bin/env bash
# What people do with the `openstack` command to have volumes, snapshots of them, types and quotas.
#
#   OS_CLOUD=... tests/clients/volumes.sh
#
# Needs a cloud with a pool of volumes, in which OS_CLOUD is an admin. Uses names of its own and leaves nothing behind
# when all goes well. Stops at the first thing that isn't as it should be, and says what.
set -euo pipefail
name=volumes-$$
wait_s=60
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# shellcheck source=tests/clients/saying.sh
. "$(dirname "$0")/saying.sh"

# listed NAME COMMAND...: fails unless a list has it.
listed() {
    local wanted=$1 names
    shift
    names=$(value Name "$@")
    grep -Fxq -- "$wanted" <<<"$names" || wrong "openstack $* doesn't list $wanted"
}

# becomes STATUS NOUN...: waits until a thing has it.
becomes() {
    local wanted=$1 status end=$((SECONDS + wait_s))
    shift
    while status=$(value status "$@" show "$name"); [ "$status" != "$wanted" ]; do
        [ "$status" != error ] && [ $SECONDS -lt $end ] || wrong "$* $name is $status and should be $wanted"
    done
}

# vanishes NOUN...: waits until a thing is gone.
vanishes() {
    local end=$((SECONDS + wait_s))
    while openstack "$@" show "$name" >"$scratch/gone" 2>&1; do
        [ $SECONDS -lt $end ] || wrong "$* $name is still there"
    done
    grep -Fiq "no " "$scratch/gone" || wrong "a deleted $* isn't missed cleanly: $(cat "$scratch/gone")"
}

# shows COMMAND... -- PART...: fails unless what is shown, as JSON, has each part.
shows() {
    local command=()
    while [ "$1" != -- ]; do command+=("$1"); shift; done
    shift
    os "${command[@]}" -f json >"$scratch/shown"
    for part in "$@"; do
        grep -Fq -- "$part" "$scratch/shown" || wrong "${command[*]} lacks $part: $(cat "$scratch/shown")"
    done
}

# --- types ---
os volume type create "$name" --description "for tests" --property tier=test >/dev/null
listed "$name" volume type list
os volume type set "$name" --description "still for tests" --property tier=two --property other=one
os volume type unset "$name" --property other
shows volume type show "$name" -- '"description": "still for tests"' '"tier": "two"' '"is_public": true'
os volume type create "$name-private" --private >/dev/null
project=$(value project_id token issue)
os volume type set "$name-private" --project "$project"
shows volume type show "$name-private" -- "$project"
os volume type unset "$name-private" --project "$project"
os volume type delete "$name-private"
did "made types, changed them, and gave a project access to one"

# --- a volume ---
holds "the new volume's size" \
    "$(value size volume create "$name" --size 1 --type "$name" --description first --property a=b)" 1
becomes available volume
listed "$name" volume list --status available
shows volume show "$name" -- "\"type\": \"$name\"" '"description": "first"' '"a": "b"' '"bootable": false'
os volume set "$name" --description second --property c=d --bootable --image-property hw_disk_bus=scsi
os volume unset "$name" --property a
shows volume show "$name" -- '"description": "second"' '"c": "d"' '"bootable": true' '"hw_disk_bus": "scsi"'
os volume set "$name" --no-property --non-bootable
os volume set "$name" --size 2
becomes available volume
holds "the larger volume's size" "$(value size volume show "$name")" 2
if openstack volume set "$name" --size 1 2>/dev/null; then wrong "a volume was made smaller"; fi
os volume set "$name" --state error
holds "the state that an operator said" "$(value status volume show "$name")" error
os volume set "$name" --state available
os volume summary >/dev/null
did "made a volume, changed it, and extended it"

# --- its snapshots, and copies ---
holds "the new snapshot's size" \
    "$(value size volume snapshot create "$name" --volume "$name" --description first --property a=b)" 2
becomes available volume snapshot
listed "$name" volume snapshot list --volume "$name"
os volume snapshot set "$name" --description second --property c=d
os volume snapshot unset "$name" --property a
shows volume snapshot show "$name" -- '"description": "second"' '"c": "d"'
if openstack volume delete "$name" 2>"$scratch/refused"; then wrong "a volume with snapshots was deleted"; fi
os volume create "$name-copy" --snapshot "$name" >/dev/null
os volume create "$name-clone" --source "$name" >/dev/null
for copy in "$name-copy" "$name-clone"; do
    end=$((SECONDS + wait_s))
    while [ "$(value status volume show "$copy")" != available ]; do
        [ $SECONDS -lt $end ] || wrong "$copy isn't available"
    done
    holds "the copy's size" "$(value size volume show "$copy")" 2
    os volume delete "$copy"
done
did "took a snapshot, and copied it and the volume"

# --- quotas, and what an operator looks at ---
shows quota show "$project" --volume -- '"volumes"' '"gigabytes"'
os quota set "$project" --volumes 77 --gigabytes 777 --snapshots 7
shows quota show "$project" --volume -- 77 777
os quota delete "$project" --volume
if grep -Fq 777 <<<"$(os quota show "$project" --volume -f json)"; then wrong "the quota isn't what it was"; fi
shows limits show --absolute -- total_volumes_used total_gigabytes_used
os volume service list -f value -c Binary -c State | grep -Fxq "cinder-volume up" || wrong "no volume worker is up"
os volume backend pool list >/dev/null
os availability zone list --volume >/dev/null
holds "backups" "$(os volume backup list -f value)" ""
holds "transfers" "$(os volume transfer request list -f value)" ""
did "set quotas, and looked at workers and pools"

# --- and nothing is left ---
os volume snapshot delete "$name"
vanishes volume snapshot
os volume delete "$name"
vanishes volume
for copy in "$name-copy" "$name-clone"; do
    end=$((SECONDS + wait_s))
    while openstack volume show "$copy" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || wrong "$copy is still there"; done
done
os volume type delete "$name"
did "deleted it all"
