"""Hostile inputs, millions of them: no crash, no answer that the rules forbid, no input that takes for ever."""
