#!/usr/bin/env bash
# What people do with the `openstack` command to share an image with another project.
#
#   OS_CLOUD=... tests/clients/sharing.sh IMAGE_FILE
#
# Stops at the first thing that isn't as it should be, and says what.
set -euo pipefail
image_file=${1:?a raw image file}
name=sharing-$$

# shellcheck source=tests/clients/saying.sh
. "$(dirname "$0")/saying.sh"
theirs() { os --os-project-name "$name" "$@"; }

# lists SHOULD: what the other project has in its list.
lists() { holds "the other project's list" "$(theirs image list --name "$name" -f value -c Name)" "$1"; }

# --- another project, in which the same person is no admin ---
os project create "$name" >/dev/null
os role add --user admin --project "$name" member
image=$(os image create "$name" --shared --disk-format raw --container-format bare --file "$image_file" -f value -c id)
if openstack --os-project-name "$name" image show "$image" 2>/dev/null; then wrong "another project sees the image"; fi
did "made an image that may be shared"

# --- shared, accepted, rejected ---
os image add project "$image" "$name" >/dev/null
holds "the image's name there" "$(theirs image show "$image" -f value -c name)" "$name"
lists ""
theirs image set --accept "$image"
lists "$name"
holds "the member" "$(os image member list "$image" -f value -c Status)" accepted
theirs image set --reject "$image"
lists ""
if openstack --os-project-name "$name" image set --name mine "$image" 2>/dev/null; then wrong "a member renames it"; fi
did "shared it, and it was accepted and rejected"

# --- and no more ---
os image remove project "$image" "$name"
if openstack --os-project-name "$name" image show "$image" 2>/dev/null; then wrong "who is no member sees the image"; fi
os image delete "$image"
os role remove --user admin --project "$name" member
os project delete "$name"
did "deleted it all"
