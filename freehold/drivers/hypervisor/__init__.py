"""What runs guests: `interface` has the promises, `simulated` and `qemu` keep them."""
