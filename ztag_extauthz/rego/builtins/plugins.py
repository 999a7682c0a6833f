"""Built-in functions of one's own: an installed package names the module that registers them.

    [project.entry-points."ztag.rego.builtins"]
    acme = "acme.rego"

The module is imported with the engine. Its functions are registered by `interface.builtin`; OPA's own cannot be
replaced.
"""

from importlib.metadata import entry_points
from typing import Final

GROUP: Final = "ztag.rego.builtins"


def load() -> None:
    """Import what is installed, in the order of names; raises `ImportError` with the name of what cannot be."""
    for entry in sorted(entry_points(group=GROUP)):
        try:
            entry.load()
        except Exception as error:
            raise ImportError(f"built-in functions of {entry.name} ({entry.value}): {error}") from error
