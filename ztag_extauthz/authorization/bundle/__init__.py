"""Policies and data: files, folders and bundles, fetched or not, signed or not."""
