# What the scripts of this folder say and ask by. Sourced by each.

did() { printf 'did: %s\n' "$*"; }
wrong() { printf 'WRONG: %s\n' "$*" >&2; exit 1; }
os() { openstack "$@" || wrong "openstack $* ended with $?"; }

# value COLUMN COMMAND...: one field of what a command shows.
value() {
    local column=$1
    shift
    os "$@" -f value -c "$column"
}

# holds WHAT IS SHOULD: fails unless they are the same.
holds() { [ "$2" = "$3" ] || wrong "$1 is '$2' and should be '$3'"; }
