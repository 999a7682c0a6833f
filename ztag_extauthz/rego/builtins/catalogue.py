"""All families of built-in functions: importing this file registers them."""

from ztag_extauthz.rego.builtins import (  # noqa: F401 (each registers what it holds)
    aggregates,
    arrays,
    certificates,
    comparison,
    crypto,
    encoding,
    globbing,
    graphs,
    http,
    json_paths,
    json_schema,
    jwt,
    jwt_constraints,
    net,
    net_merge,
    numbers,
    objects,
    plugins,
    regex,
    semver,
    sets,
    sprintf,
    strings,
    templates,
    times,
    trace,
    types,
    units,
    urls,
    uuids,
    yaml_text,
)
from ztag_extauthz.rego.builtins.interface import REGISTRY

plugins.load()

__all__ = ["REGISTRY"]
