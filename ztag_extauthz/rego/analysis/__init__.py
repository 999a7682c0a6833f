"""What is found out about all rules together: what OPA refuses, in which order steps go, on what a decision depends."""
