"""A provider as Terraform starts one: go-plugin's handshake, then gRPC with tfplugin6's messages, on a Unix socket.

What is said here is Terraform's protocol 6 (docs/plugin-protocol in its repository) as far as resources need it; TLS is
left out, which Terraform allows by TF_DISABLE_PLUGIN_TLS. What a provider has and does, it says as `Resource`s.
"""

import json
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import grpc
import msgpack
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

COOKIE = ("TF_PLUGIN_MAGIC_COOKIE", "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2")
"""Not secret: by it a provider knows that Terraform started it."""
MESSAGES = {
    "DynamicValue": "1 bytes msgpack",
    "Step": "1 string attribute_name",
    "AttributePath": "1 Step* steps",
    "Diagnostic": "1 int32 severity, 2 string summary, 3 string detail, 4 AttributePath attribute",
    "RawState": "1 bytes json",
    "Attribute": "1 string name, 2 bytes type, 4 bool required, 5 bool optional, 6 bool computed, 9 bool deprecated",
    "NestedBlock": "1 string type_name, 2 Block block, 3 int32 nesting",
    "Block": "1 int64 version, 2 Attribute* attributes, 3 NestedBlock* block_types",
    "Schema": "1 int64 version, 2 Block block",
    "NamedSchema": "1 string key, 2 Schema value",
    "SchemaResponse": "1 Schema provider, 2 NamedSchema* resource_schemas",
    "Empty": "",
    "Request": "1 string type_name, 2 DynamicValue value",
    "Checked": "1 Diagnostic* diagnostics",
    "Checked2": "2 Diagnostic* diagnostics",
    "UpgradeRequest": "1 string type_name, 2 int64 version, 3 RawState raw_state",
    "StateResponse": "1 DynamicValue state",
    "PlanRequest": "1 string type_name, 2 DynamicValue prior, 3 DynamicValue proposed, 4 DynamicValue config",
    "PlanResponse": "1 DynamicValue planned, 2 AttributePath* requires_replace, 4 Diagnostic* diagnostics, "
    "5 bool legacy",
    "ApplyRequest": "1 string type_name, 2 DynamicValue prior, 3 DynamicValue planned, 4 DynamicValue config",
    "ApplyResponse": "1 DynamicValue state, 3 Diagnostic* diagnostics, 4 bool legacy",
}
"""Their fields: number, type (`*`: many), name of ours. A map is on the wire what many pairs of key and value are."""
SET = 3
"""The nesting of a block that may be there several times, in no order."""
ERROR = 1


def _messages() -> dict[str, type]:
    file = descriptor_pb2.FileDescriptorProto(name="tfplugin6.proto", package="tfplugin6", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, kind, named in (each.split() for each in fields.split(", ") if each):
            field = message.field.add(name=named, number=int(number))
            field.label = kinds.LABEL_REPEATED if kind.endswith("*") else kinds.LABEL_OPTIONAL
            if (plain := kind.rstrip("*")) in MESSAGES:
                field.type, field.type_name = kinds.TYPE_MESSAGE, f".tfplugin6.{plain}"
            else:
                field.type = getattr(kinds, f"TYPE_{plain.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tfplugin6.{name}")) for name in MESSAGES}


M = _messages()
Values = dict[str, Any]


class _Unknown:
    """A value that is known when it is made."""


UNKNOWN = _Unknown()


def decoded(value: Any) -> Any:
    """A value as Terraform sends it; None for none."""
    return msgpack.unpackb(value.msgpack, ext_hook=lambda code, data: UNKNOWN, strict_map_key=False)


def encoded(value: Any) -> Any:
    def unknown(each: Any) -> msgpack.ExtType:
        assert each is UNKNOWN, each
        return msgpack.ExtType(0, b"\0")

    return M["DynamicValue"](msgpack=msgpack.packb(value, default=unknown))


class RefusedError(Exception):
    """What a provider does not do, and at which attribute, if at one."""

    def __init__(self, why: str, attribute: str = "") -> None:
        super().__init__(why)
        self.attribute = attribute


@dataclass(frozen=True)
class Attribute:
    """An attribute of a resource: its type as Terraform's JSON has it, and what is to be said of it.

    Attributes:
        default: what it is where it is not said.
        forces: another value makes the resource anew.
    """

    type: Any = "string"
    required: bool = False
    computed: bool = False
    optional: bool = False
    deprecated: bool = False
    default: Any = None
    forces: bool = False


@dataclass(frozen=True)
class Resource:
    """A kind of resource; its blocks are sets.

    Attributes:
        check: raises RefusedError for a configuration that is wrong by itself.
        hashed: what is kept in the state, of attributes that are not kept as they are.
        legacy: made by the older of the two kits for providers, in which a plan may differ from the configuration.
    """

    attributes: Mapping[str, Attribute]
    blocks: Mapping[str, Mapping[str, Attribute]]
    check: Callable[[Values], None] = lambda config: None
    hashed: Mapping[str, Callable[[str], str]] = field(default_factory=dict)
    legacy: bool = True


class Cloud(Protocol):
    """Where resources are made."""

    def configure(self) -> None: ...
    def read(self, kind: str, state: Values) -> Values | None: ...
    def create(self, kind: str, planned: Values, config: Values) -> Values: ...
    def update(self, kind: str, planned: Values) -> Values: ...
    def delete(self, kind: str, state: Values) -> None: ...


def planned(resource: Resource, prior: Values | None, proposed: Values) -> Values:
    """What a resource will be: defaults filled in, and unknown what only making it tells."""
    values = dict(proposed)
    for name, attribute in resource.attributes.items():
        if values[name] is None:
            values[name] = UNKNOWN if attribute.computed and prior is None else attribute.default
    for name, hash_of in resource.hashed.items():
        if isinstance(values[name], str):
            values[name] = hash_of(values[name])
    for name, block in resource.blocks.items():
        before = prior[name] if prior else []
        values[name] = [each if each in before else _new(block, each) for each in values[name]]
    return values


def _new(block: Mapping[str, Attribute], values: Values) -> Values:
    return {
        name: UNKNOWN if value is None and block[name].computed else value if value is not None else block[name].default
        for name, value in values.items()
    }


def _schema(attributes: Mapping[str, Attribute], blocks: Mapping[str, Mapping[str, Attribute]]) -> Any:
    made = M["Schema"]()
    for name, each in attributes.items():
        made.block.attributes.add(
            name=name,
            type=json.dumps(each.type).encode(),
            required=each.required,
            optional=each.optional,
            computed=each.computed,
            deprecated=each.deprecated,
        )
    for name, block in blocks.items():
        nested = made.block.block_types.add(type_name=name, nesting=SET)
        nested.block.CopyFrom(_schema(block, {}).block)
    return made


def _diagnostics(refused: RefusedError) -> list[Any]:
    steps = [M["Step"](attribute_name=refused.attribute)] if refused.attribute else []
    return [M["Diagnostic"](severity=ERROR, summary=str(refused), attribute=M["AttributePath"](steps=steps))]


@dataclass(frozen=True)
class Provider:
    """What Terraform asks of a provider; each method is one of the protocol's."""

    attributes: Mapping[str, Attribute]
    resources: Mapping[str, Resource]
    cloud: Cloud

    def schema(self, request: Any) -> Any:
        answer = M["SchemaResponse"](provider=_schema(self.attributes, {}))
        for name, each in self.resources.items():
            answer.resource_schemas.add(key=name, value=_schema(each.attributes, each.blocks))
        return answer

    def configure(self, request: Any) -> Any:
        self.cloud.configure()
        return M["Checked"]()

    def check(self, request: Any) -> Any:
        self.resources[request.type_name].check(decoded(request.value))
        return M["Checked"]()

    def upgrade(self, request: Any) -> Any:
        return M["StateResponse"](state=encoded(json.loads(request.raw_state.json)))

    def read(self, request: Any) -> Any:
        return M["StateResponse"](state=encoded(self.cloud.read(request.type_name, decoded(request.value))))

    def plan(self, request: Any) -> Any:
        resource, prior = self.resources[request.type_name], decoded(request.prior)
        values = planned(resource, prior, decoded(request.proposed))
        anew = [
            name for name, each in resource.attributes.items() if prior and each.forces and prior[name] != values[name]
        ]
        paths = [M["AttributePath"](steps=[M["Step"](attribute_name=name)]) for name in anew]
        return M["PlanResponse"](planned=encoded(values), requires_replace=paths, legacy=resource.legacy)

    def apply(self, request: Any) -> Any:
        kind, prior, values = request.type_name, decoded(request.prior), decoded(request.planned)
        legacy = self.resources[kind].legacy
        try:
            if values is None:
                self.cloud.delete(kind, prior)
                state = None
            elif prior is None:
                state = self.cloud.create(kind, values, decoded(request.config))
            else:
                state = self.cloud.update(kind, values)
        except RefusedError as refused:
            return M["ApplyResponse"](state=encoded(prior), diagnostics=_diagnostics(refused), legacy=legacy)
        return M["ApplyResponse"](state=encoded(state), legacy=legacy)


def _methods(provider: Provider, stop: threading.Event) -> dict[str, dict[str, tuple[Callable[[Any], Any], str, str]]]:
    """By service and method: what does it, the request's message and the answer's."""

    def nothing(answer: str, request: Any) -> Any:
        return M[answer]()

    def stopped(request: Any) -> Any:
        stop.set()
        return M["Empty"]()

    return {
        "tfplugin6.Provider": {
            "GetProviderSchema": (provider.schema, "Empty", "SchemaResponse"),
            "ValidateProviderConfig": (partial(nothing, "Checked2"), "Empty", "Checked2"),
            "ConfigureProvider": (provider.configure, "Request", "Checked"),
            "ValidateResourceConfig": (provider.check, "Request", "Checked"),
            "UpgradeResourceState": (provider.upgrade, "UpgradeRequest", "StateResponse"),
            "ReadResource": (provider.read, "Request", "StateResponse"),
            "PlanResourceChange": (provider.plan, "PlanRequest", "PlanResponse"),
            "ApplyResourceChange": (provider.apply, "ApplyRequest", "ApplyResponse"),
            "StopProvider": (partial(nothing, "Empty"), "Empty", "Empty"),
        },
        "plugin.GRPCController": {"Shutdown": (stopped, "Empty", "Empty")},
    }


def _handler(method: Callable[[Any], Any], request: str, answer: str) -> grpc.RpcMethodHandler:
    def answered(asked: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(asked)
        except RefusedError as refused:
            return M[answer](diagnostics=_diagnostics(refused))

    return grpc.unary_unary_rpc_method_handler(answered, M[request].FromString, M[answer].SerializeToString)


def serve(provider: Provider) -> None:
    """Tells Terraform where it is, and answers until Terraform is done with it."""
    if os.environ.get(COOKIE[0]) != COOKIE[1]:
        raise SystemExit("This is a provider: Terraform starts it.")
    stop = threading.Event()
    server = grpc.server(ThreadPoolExecutor(16))
    for service, methods in _methods(provider, stop).items():
        handlers = {name: _handler(*told) for name, told in methods.items()}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    with tempfile.TemporaryDirectory(prefix="tf-") as place:
        socket = Path(place) / "socket"
        server.add_insecure_port(f"unix:{socket}")
        server.start()
        sys.stdout.write(f"1|6|unix|{socket}|grpc\n")
        sys.stdout.flush()
        stop.wait()
        server.stop(1).wait()
