#!/usr/bin/env bash
# What an operator does with the `openstack` command to say where guests go, over two simulated hosts of which the first
# shows the trait HW_CPU_X86_AVX2, and both CUSTOM_RACK_7.
#
#   OS_CLOUD=... tests/clients/placing.sh IMAGE_FILE
#
# Stops at the first thing that isn't as it should be, and says what.
set -euo pipefail
image_file=${1:?a raw image file}
name=placing-$$
first=sim-0 second=sim-1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# shellcheck source=tests/clients/saying.sh
. "$(dirname "$0")/saying.sh"

# goes FLAVOR HOST: a server of the flavor comes to that host.
goes() {
    os server create "$name" --image "$name" --flavor "$1" --network default --wait >"$scratch/made"
    holds "the host of a server of $1" "$(value OS-EXT-SRV-ATTR:host server show "$name")" "$2"
    os server delete --wait "$name"
}

# --- what there is ---
os image create "$name" --disk-format raw --container-format bare --file "$image_file" >/dev/null
for flavor in plain avx2 no-avx2 aggregate nowhere; do
    os flavor create "$name-$flavor" --vcpus 1 --ram 64 --disk 1 >/dev/null
done
os flavor set "$name-avx2" --property trait:HW_CPU_X86_AVX2=required --property trait:CUSTOM_RACK_7=required
os flavor set "$name-no-avx2" --property trait:HW_CPU_X86_AVX2=forbidden
os flavor set "$name-aggregate" --property aggregate_instance_extra_specs:tier=gold
os flavor set "$name-nowhere" --property trait:CUSTOM_GPU=required
if openstack flavor set "$name-plain" --property trait:CUSTOM_GPU=perhaps >"$scratch/said" 2>&1; then
    wrong "a trait can be perhaps"
fi
grep -Fq "can be required or forbidden" "$scratch/said" || wrong "it isn't said what a trait can be"
did "made flavors that ask for hosts"

# --- traits ---
goes "$name-avx2" "$first"
goes "$name-no-avx2" "$second"
if openstack server create "$name" --image "$name" --flavor "$name-nowhere" --network default --wait \
    >"$scratch/made" 2>&1; then
    wrong "a server runs on a host without the trait that it requires"
fi
value fault server show "$name" | grep -Fq "(2 without trait CUSTOM_GPU)" || wrong "the fault doesn't name the trait"
os server delete --wait "$name"
did "placed servers by traits"

# --- aggregates ---
holds "the zone" "$(value availability_zone aggregate create "$name" --property tier=silver)" None
if openstack aggregate create "$name-zone" --zone nova >"$scratch/said" 2>&1; then wrong "an aggregate makes a zone"; fi
grep -Fq "a zone is a cluster" "$scratch/said" || wrong "it isn't said why not"
os aggregate add host "$name" "$first" >/dev/null
os aggregate add host "$name" "$second" >/dev/null
holds "the hosts" "$(value hosts aggregate show "$name")" "['$first', '$second']"
os aggregate remove host "$name" "$first" >/dev/null
os aggregate set "$name" --property tier=gold --property note=new
os aggregate unset "$name" --property note
holds "the properties" "$(value properties aggregate show "$name")" "{'tier': 'gold'}"
holds "the list" "$(value Name aggregate list)" "$name"
value Properties aggregate list --long | grep -Fq gold || wrong "the long list has no properties"
value aggregates hypervisor show "$second" | grep -Fq "$name" || wrong "the hypervisor isn't in the aggregate"
goes "$name-aggregate" "$second"
os aggregate set "$name" --name "$name-kept" --no-property --property filter_tenant_id=nobody
goes "$name-plain" "$first"
os aggregate remove host "$name-kept" "$second" >/dev/null
os aggregate delete "$name-kept"
holds "the list" "$(value Name aggregate list)" ""
did "placed servers by aggregates"

# --- and nothing is left ---
for flavor in plain avx2 no-avx2 aggregate nowhere; do os flavor delete "$name-$flavor"; done
os image delete "$name"
did "deleted it all"
