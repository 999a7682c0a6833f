"""OPA's built-in functions, one file a family; `catalogue.py` brings all of them."""
