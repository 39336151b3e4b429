#!/usr/bin/env bash
# A day with the `openstack` command: what somebody does who wants one guest, looks after it, and tidies up.
#
#   OS_CLOUD=... tests/clients/everyday.sh IMAGE_FILE CIDR
#
# Uses names of its own and leaves nothing behind when all goes well. Stops at the first thing that isn't as it should
# be, and says what. FLAVOR: the flavor to use, m1.tiny unless told otherwise.
set -euo pipefail
image_file=${1:?a raw image file} cidr=${2:?a range for a network of its own, such as 10.77.0.0/24}
name=day-$$
flavor=${FLAVOR:-m1.tiny}
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

# becomes STATUS: waits until the server has it.
becomes() {
    local status end=$((SECONDS + wait_s))
    while status=$(value status server show "$name"); [ "$status" != "$1" ]; do
        [ "$status" != ERROR ] && [ $SECONDS -lt $end ] || wrong "$name is $status and should be $1"
    done
}

# --- what there is, and what a guest needs ---
[ -n "$(value id token issue)" ] || wrong "the token is empty"
did "signed in"

value status image create "$name" --disk-format raw --container-format bare --file "$image_file" >/dev/null
listed "$name" image list --status active
listed "$flavor" flavor list
did "uploaded an image, and found it and a flavor"

ssh-keygen -q -t ed25519 -N '' -C "$name" -f "$scratch/key"
mine=$(ssh-keygen -l -E md5 -f "$scratch/key.pub" | cut -d' ' -f2)
holds "the key's fingerprint" "$(value fingerprint keypair create "$name" --public-key "$scratch/key.pub")" "${mine#MD5:}"

value status network create "$name" >/dev/null
holds "the subnet's range" "$(value cidr subnet create "$name" --network "$name" --subnet-range "$cidr")" "$cidr"
value name security group create "$name" >/dev/null
holds "the rule's port" \
    "$(value port_range_min security group rule create "$name" --protocol tcp --dst-port 22:22)" 22
did "made a key pair, a network and a security group"

# --- a guest ---
value status server create "$name" --image "$name" --flavor "$flavor" --network "$name" --key-name "$name" \
    --security-group "$name" --property purpose=everyday --wait >"$scratch/made"
holds "the new server" "$(tr -d '\n' <"$scratch/made")" ACTIVE
listed "$name" server list
openstack server show "$name" -f json >"$scratch/shown" || wrong "the server isn't shown"
prefix=${cidr%.*}.
for part in '"status": "ACTIVE"' "\"key_name\": \"$name\"" '"purpose": "everyday"' "\"name\": \"$name\"" "$prefix"; do
    grep -Fq -- "$part" "$scratch/shown" || wrong "the server shown lacks $part: $(cat "$scratch/shown")"
done
os console log show "$name" >"$scratch/console"
did "made a server, and looked at it"

os server reboot --hard --wait "$name" >/dev/null
os server stop "$name"
becomes SHUTOFF
os server start "$name"
becomes ACTIVE
did "rebooted, stopped and started it"

# --- and nothing is left ---
os server delete --wait "$name"
if openstack server show "$name" >"$scratch/gone" 2>&1; then wrong "a deleted server is still shown"; fi
grep -Fiq "no server found" "$scratch/gone" || wrong "a deleted server isn't missed cleanly: $(cat "$scratch/gone")"
os security group delete "$name"
os network delete "$name"
os keypair delete "$name"
os image delete "$name"
did "deleted it all"
