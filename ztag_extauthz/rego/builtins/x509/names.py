"""Distinguished names, as Go's `pkix.Name` shows them."""

import re
from typing import Final

from ztag_extauthz.rego.builtins.x509 import der
from ztag_extauthz.rego.values import Value

_TEXTS: Final = {3: "CommonName", 5: "SerialNumber"}
_LISTS: Final = {
    6: "Country",
    7: "Locality",
    8: "Province",
    9: "StreetAddress",
    10: "Organization",
    11: "OrganizationalUnit",
    17: "PostalCode",
}
_PRINTABLE: Final = re.compile(rb"[A-Za-z0-9 '()+,./:=?*&-]*")


def name(element: der.Element) -> dict[str, Value]:
    shown: dict[str, Value] = dict.fromkeys(_TEXTS.values(), "") | dict.fromkeys(_LISTS.values())
    every: list[Value] = []
    for part in der.elements(element.content):
        if part.tag != der.SET:
            raise der.unsupported("a badly written name")
        for attribute in der.elements(part.content):
            fields = der.Fields(attribute.content)
            kind = der.oid(fields.take(der.OID))
            text = _text(fields.take(0x0C, 0x13, 0x16))
            fields.end()
            every.append({"Type": list(kind), "Value": text})
            if len(kind) == 4 and kind[:3] == (2, 5, 4):
                _put(shown, kind[3], text)
    return shown | {"ExtraNames": None, "Names": every or None}


def _put(shown: dict[str, Value], kind: int, text: str) -> None:
    if kind in _TEXTS:
        shown[_TEXTS[kind]] = text
    elif kind in _LISTS:
        shown[_LISTS[kind]] = [*(shown[_LISTS[kind]] or []), text]


def _text(element: der.Element) -> str:
    content = element.content
    if element.tag == 0x13 and not _PRINTABLE.fullmatch(content):
        raise der.unsupported("a badly written text in a name")
    if element.tag == 0x16:
        return der.text(element)
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise der.unsupported("a badly written text in a name") from None
