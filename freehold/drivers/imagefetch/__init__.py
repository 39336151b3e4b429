"""How a host gets the bytes of an image: `interface` has the promises; `http` streams them, `simulated` makes none."""
