"""`# METADATA` comments: YAML in the comment lines above a package or a rule."""

import re
from dataclasses import dataclass

import yaml

from ztag_extauthz.rego.documents import from_python
from ztag_extauthz.rego.syntax.lexer import Comment
from ztag_extauthz.rego.values import Value

_AUTHOR = re.compile(r"([^<]*)<([^>]+)>")
_SCOPES = ("rule", "document", "package", "subpackages")


@dataclass(frozen=True, slots=True)
class Annotation:
    value: Value
    line: int
    end: int  # the line of its last comment

    @property
    def scope(self) -> str | None:
        scope = self.value.get("scope")
        return scope if isinstance(scope, str) else None


def read_annotations(comments: list[Comment]) -> tuple[list[Annotation], list[tuple[int, str]]]:
    """Read the annotations of a file; also the lines where one is wrong, and why."""
    found: list[Annotation] = []
    wrong: list[tuple[int, str]] = []
    index = 0
    while index < len(comments):
        block = _block(comments, index)
        if comments[index].text.strip() == "METADATA":
            try:
                value = _read("\n".join(comment.text[1:] for comment in block[1:]))
                found.append(Annotation(value, block[0].line, block[-1].line))
            except (yaml.YAMLError, TypeError, ValueError) as error:
                wrong.append((block[0].line, f"invalid annotation: {error}"))
        index += len(block) if comments[index].text.strip() == "METADATA" else 1
    return found, wrong


def _block(comments: list[Comment], start: int) -> list[Comment]:
    """Give the comments that stand directly below one another, in the same column."""
    block = [comments[start]]
    for comment in comments[start + 1 :]:
        if comment.line != block[-1].line + 1 or comment.column != block[0].column:
            break
        block.append(comment)
    return block


def _read(text: str) -> Value:
    value = from_python(yaml.safe_load(text))
    if not isinstance(value, dict):
        raise TypeError("expected METADATA block, found whitespace" if value is None else "expected an object")
    scope = value.get("scope", "rule")
    if scope not in _SCOPES:
        raise ValueError(f"invalid scope '{scope}'")
    if "authors" in value:
        value = {**value, "authors": [_author(author) for author in value["authors"]]}
    return value


def _author(author: Value) -> Value:
    """Give an author as an object; `Name <address>` is short for one."""
    if not isinstance(author, str):
        return author
    match = _AUTHOR.fullmatch(author.strip())
    if match is None:
        return {"name": author.strip()}
    name = {"name": match[1].strip()} if match[1].strip() else {}
    return {**name, "email": match[2]}
