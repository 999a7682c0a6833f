"""A candidate policy beside the one in force."""
