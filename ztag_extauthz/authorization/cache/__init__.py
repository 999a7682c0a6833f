"""Answers of a policy that are given again, under a key that is derived from what the policy reads.

    question ─▶ this worker's memory ─▶ the node's table ─▶ what all replicas share ─▶ the engine
                `nearby`               `node`              `FarAnswers`

Rule 1: two questions with one key have one answer: the key holds all that the engine is given, and its revision.
Rule 2: an answer ends with its life, with the credential that it was made for, and when it is said to be forgotten.
Rule 3: what failed is not remembered, nor what may differ the next time.
"""
