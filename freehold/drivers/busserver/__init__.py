"""A server of the bus that runs on this machine: `interface` has the promises; `nats_server` runs a real one."""
