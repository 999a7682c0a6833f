"""Text to the syntax of a module: tokens, terms, bodies, rules."""
