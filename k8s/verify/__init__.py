"""What checks the manifests of this folder, some of it with Python alone."""
