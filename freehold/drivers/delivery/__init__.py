"""How a notification gets to whoever wants it: `interface` has the promises; `http` sends it, `simulated` keeps it."""
