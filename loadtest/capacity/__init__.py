"""How much of everything a load takes: from what was measured, and for several regions from a simulation."""
