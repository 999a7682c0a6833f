"""JSON Schema (drafts 4, 6 and 7, and a mixture of them) as OPA's library validates it, to the words of its errors."""
