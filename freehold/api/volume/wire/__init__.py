"""Bodies, by the nouns that they are about."""
