"""How a host reads volumes: who it is to their pools, and how it makes sure that it is served what it was promised."""
