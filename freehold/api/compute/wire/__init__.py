"""The bodies that the compute door takes, strictly: a field that isn't declared is refused by name."""
