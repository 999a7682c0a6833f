"""1. May they ask at all?"""
