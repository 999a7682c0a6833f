"""A request that a policy cannot be asked about."""


class ParseError(ValueError):
    """The path, the query or the body cannot be parsed; the message is for the caller, and holds nothing of them."""
