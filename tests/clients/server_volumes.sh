#!/usr/bin/env bash
# Servers and their volumes with the `openstack` command: given, taken, grown in use, booted from, and gone with them.
#
#   OS_CLOUD=... tests/clients/server_volumes.sh IMAGE_FILE CIDR
#
# Uses names of its own and leaves nothing behind when all goes well. Stops at the first thing that isn't as it should
# be, and says what. FLAVOR: the flavor to use, m1.tiny unless told otherwise.
set -euo pipefail
image_file=${1:?a raw image file} cidr=${2:?a range for a network of its own, such as 10.77.0.0/24}
name=disks-$$
flavor=${FLAVOR:-m1.tiny}
wait_s=60
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# shellcheck source=tests/clients/saying.sh
. "$(dirname "$0")/saying.sh"

# becomes STATUS NOUN NAME: waits until a thing has it.
becomes() {
    local status end=$((SECONDS + wait_s))
    while status=$(value status "$2" show "$3"); [ "$status" != "$1" ]; do
        case $status in error | ERROR) wrong "$2 $3 is $status and should be $1" ;; esac
        [ $SECONDS -lt $end ] || wrong "$2 $3 is $status and should be $1"
    done
}

# vanishes NOUN NAME: waits until a thing is gone.
vanishes() {
    local end=$((SECONDS + wait_s))
    while openstack "$1" show "$2" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || wrong "$1 $2 is still there"
    done
}

# has SERVER VOLUME: fails unless both APIs show that the server has the volume.
has() {
    os server volume list "$1" -f value -c "Volume ID" >"$scratch/volumes"
    grep -Fxq -- "$(value id volume show "$2")" "$scratch/volumes" || wrong "server $1 lacks volume $2"
    os volume show "$2" -f json -c attachments >"$scratch/attachments"
    grep -Fq -- "$(value id server show "$1")" "$scratch/attachments" || wrong "volume $2 lacks server $1"
}

# --- what servers need ---
value status image create "$name" --disk-format raw --container-format bare --file "$image_file" >/dev/null
value status network create "$name" >/dev/null
value cidr subnet create "$name" --network "$name" --subnet-range "$cidr" >/dev/null
for number in 1 2; do
    os server create "$name-$number" --image "$name" --flavor "$flavor" --network "$name" --wait >/dev/null
done
os volume create "$name" --size 1 >/dev/null
becomes available volume "$name"
did "made two servers and a volume"

# --- given, grown, kept, taken, given to another ---
os server add volume "$name-1" "$name" >/dev/null
becomes in-use volume "$name"
has "$name-1" "$name"
if openstack server add volume "$name-2" "$name" >/dev/null 2>&1; then wrong "two servers have one volume"; fi
if openstack volume delete "$name" >/dev/null 2>&1; then wrong "a volume in use was deleted"; fi
os --os-volume-api-version 3.42 volume set "$name" --size 2
becomes in-use volume "$name"
end=$((SECONDS + wait_s))
while [ "$(value size volume show "$name")" != 2 ]; do [ $SECONDS -lt $end ] || wrong "the volume hasn't grown"; done
os volume snapshot create "$name" --volume "$name" --force >/dev/null
end=$((SECONDS + wait_s))
while [ "$(value status volume snapshot show "$name")" != available ]; do
    [ $SECONDS -lt $end ] || wrong "no snapshot of a volume in use"
done
os server stop "$name-1"
becomes SHUTOFF server "$name-1"
has "$name-1" "$name"
os server start "$name-1"
becomes ACTIVE server "$name-1"
os server reboot --hard --wait "$name-1" >/dev/null
has "$name-1" "$name"
os server remove volume "$name-1" "$name"
becomes available volume "$name"
os server add volume "$name-2" "$name" >/dev/null
becomes in-use volume "$name"
has "$name-2" "$name"
os --os-volume-api-version 3.27 volume attachment list -f value -c "Volume ID" >"$scratch/attached"
grep -Fxq -- "$(value id volume show "$name")" "$scratch/attached" || wrong "the attachment isn't listed"
os server remove volume "$name-2" "$name"
becomes available volume "$name"
did "gave a volume, extended it and took a snapshot of it in use, and gave it to another server"

# --- booted from ---
os server create "$name-boot" --image "$name" --boot-from-volume 2 --flavor "$flavor" --network "$name" --wait >/dev/null
boot=$(openstack server volume list "$name-boot" -f value -c "Volume ID")
holds "the size of the volume that was made" "$(value size volume show "$boot")" 2
os volume create "$name-root" --size 2 --image "$name" >/dev/null
becomes available volume "$name-root"
os server create "$name-root" --volume "$name-root" --flavor "$flavor" --network "$name" \
    --block-device "source_type=blank,destination_type=volume,volume_size=1,delete_on_termination=true" --wait >/dev/null
has "$name-root" "$name-root"
blank=$(openstack server volume list "$name-root" -f value -c "Volume ID" | grep -Fxv "$(value id volume show "$name-root")")
holds "the blank volume's size" "$(value size volume show "$blank")" 1
did "booted servers from volumes, one of which was made of an image"

# --- and nothing is left ---
os server delete --wait "$name-1" "$name-2" "$name-boot" "$name-root"
vanishes volume "$blank"
becomes available volume "$name-root"
becomes available volume "$boot"
os volume snapshot delete "$name"
end=$((SECONDS + wait_s))
while openstack volume snapshot show "$name" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || wrong "the snapshot is still there"; done
for volume in "$name" "$name-root" "$boot"; do
    os volume delete "$volume"
    vanishes volume "$volume"
done
os network delete "$name"
os image delete "$name"
did "deleted it all"
