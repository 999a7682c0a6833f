"""Who must not be let in any more, though the credential is still valid."""
