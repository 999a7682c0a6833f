"""Syntax to what the compiler works on: names resolved, calls taken apart, bodies as flat lists of steps."""
