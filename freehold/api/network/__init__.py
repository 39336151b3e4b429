"""Neutron's API, version 2.0: networks, subnets, ports, security groups. Routers and floating addresses are absent."""
