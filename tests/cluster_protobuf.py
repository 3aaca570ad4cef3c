"""What `kubectl create` sends: Kubernetes' protobuf of a Secret, a ConfigMap or a Namespace, read into what JSON says.

The envelope: https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding. Fields' numbers are in
`generated.proto` of k8s.io/api/core/v1 and of k8s.io/apimachinery; what is not listed here is left out.
"""

import base64
from collections.abc import Iterator
from typing import Any

TYPE = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\0"
META = {1: "name", 3: "namespace"}
VARINT, BYTES = 0, 2


def read_protobuf(body: bytes) -> dict[str, Any]:
    """Raises ValueError if it is of a kind that is not known here."""
    if not body.startswith(MAGIC):
        raise ValueError("this does not begin as Kubernetes' protobuf does")
    envelope = dict(fields(body.removeprefix(MAGIC)))
    kind = dict(fields(envelope[1]))[2].decode()
    found: dict[str, Any] = {"metadata": {}}
    for number, value in fields(envelope[2]):
        if number == 1:
            told = dict(fields(value))
            found["metadata"] = {name: told[each].decode() for each, name in META.items() if told.get(each)}
        elif (kind, number) in {("Secret", 2), ("ConfigMap", 2)}:
            name, held = (told.get(each, b"") for told in [dict(fields(value))] for each in (1, 2))
            text = base64.b64encode(held).decode() if kind == "Secret" else held.decode()
            found.setdefault("data", {})[name.decode()] = text
        elif (kind, number) == ("Secret", 3):
            found["type"] = value.decode()
        elif kind not in {"Secret", "ConfigMap", "Namespace"}:
            raise ValueError(f"{kind} is not known in protobuf")
    return found


def fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Number and value of each field: numbers, and the rest as bytes."""
    at = 0
    while at < len(message):
        tag, at = _number(message, at)
        value, at = _number(message, at)
        if tag & 7 == BYTES:
            length, value = value, message[at : at + value]
            at += length
        elif tag & 7 != VARINT:
            raise ValueError(f"a field of the wire's type {tag & 7}")
        yield tag >> 3, value


def _number(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while message[at] & 0x80:
        value |= (message[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return value | message[at] << shift, at + 1
