"""Paths: which one a request is for, however it is spelled."""

from posixpath import normpath
from urllib.parse import unquote


def path_of(path: str) -> str:
    """Return a path's one spelling: no query, escapes, empty or dot segments, or `;` parameters; one case.

    Two resources may share it. So it is for what errs on the safe side by taking too many paths for one.
    """
    plain = unquote(path.partition("?")[0].partition("#")[0])
    bare = "/".join(segment.partition(";")[0] for segment in plain.replace("\\", "/").split("/"))
    return normpath(f"/{bare.lstrip('/')}").casefold()
