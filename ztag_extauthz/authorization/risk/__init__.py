"""How risky is it? Many weak signals, one calibrated probability, and the reasons for it."""
