"""What the risk scorer finds, and what it costs."""
