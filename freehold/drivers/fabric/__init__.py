"""The guest network of one machine: `interface` has the promises, `simulated` and `linux` keep them."""
