import datetime

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Decision(_message.Message):
    __slots__ = ("id", "time", "request", "identity", "outcome", "reason", "detail", "stage", "decided_by", "rule", "shadowed", "timings", "policy_revision", "facts", "answer")
    ID_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    DECIDED_BY_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    SHADOWED_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    POLICY_REVISION_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    id: str
    time: _timestamp_pb2.Timestamp
    request: Request
    identity: Identity
    outcome: str
    reason: str
    detail: str
    stage: str
    decided_by: str
    rule: str
    shadowed: Refusal
    timings: Timings
    policy_revision: str
    facts: _struct_pb2.Struct
    answer: Answer
    def __init__(self, id: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., request: _Optional[_Union[Request, _Mapping]] = ..., identity: _Optional[_Union[Identity, _Mapping]] = ..., outcome: _Optional[str] = ..., reason: _Optional[str] = ..., detail: _Optional[str] = ..., stage: _Optional[str] = ..., decided_by: _Optional[str] = ..., rule: _Optional[str] = ..., shadowed: _Optional[_Union[Refusal, _Mapping]] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ..., policy_revision: _Optional[str] = ..., facts: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., answer: _Optional[_Union[Answer, _Mapping]] = ...) -> None: ...

class Request(_message.Message):
    __slots__ = ("id", "method", "scheme", "host", "path", "protocol", "headers", "source_address", "source_principal", "destination_address", "destination_principal", "context_extensions", "body_size", "body_partial")
    class HeadersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class ContextExtensionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    SCHEME_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_EXTENSIONS_FIELD_NUMBER: _ClassVar[int]
    BODY_SIZE_FIELD_NUMBER: _ClassVar[int]
    BODY_PARTIAL_FIELD_NUMBER: _ClassVar[int]
    id: str
    method: str
    scheme: str
    host: str
    path: str
    protocol: str
    headers: _containers.ScalarMap[str, str]
    source_address: str
    source_principal: str
    destination_address: str
    destination_principal: str
    context_extensions: _containers.ScalarMap[str, str]
    body_size: int
    body_partial: bool
    def __init__(self, id: _Optional[str] = ..., method: _Optional[str] = ..., scheme: _Optional[str] = ..., host: _Optional[str] = ..., path: _Optional[str] = ..., protocol: _Optional[str] = ..., headers: _Optional[_Mapping[str, str]] = ..., source_address: _Optional[str] = ..., source_principal: _Optional[str] = ..., destination_address: _Optional[str] = ..., destination_principal: _Optional[str] = ..., context_extensions: _Optional[_Mapping[str, str]] = ..., body_size: _Optional[int] = ..., body_partial: _Optional[bool] = ...) -> None: ...

class Identity(_message.Message):
    __slots__ = ("subject", "issuer", "kind", "expires_at", "claims")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    CLAIMS_FIELD_NUMBER: _ClassVar[int]
    subject: str
    issuer: str
    kind: str
    expires_at: _timestamp_pb2.Timestamp
    claims: _struct_pb2.Struct
    def __init__(self, subject: _Optional[str] = ..., issuer: _Optional[str] = ..., kind: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., claims: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("reason", "detail")
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    reason: str
    detail: str
    def __init__(self, reason: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class Timings(_message.Message):
    __slots__ = ("admission_us", "authentication_us", "authorization_us")
    ADMISSION_US_FIELD_NUMBER: _ClassVar[int]
    AUTHENTICATION_US_FIELD_NUMBER: _ClassVar[int]
    AUTHORIZATION_US_FIELD_NUMBER: _ClassVar[int]
    admission_us: float
    authentication_us: float
    authorization_us: float
    def __init__(self, admission_us: _Optional[float] = ..., authentication_us: _Optional[float] = ..., authorization_us: _Optional[float] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("status", "request_headers", "request_headers_to_remove", "response_headers", "query_parameters", "query_parameters_to_remove", "body_size", "metadata")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_HEADERS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_HEADERS_TO_REMOVE_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_HEADERS_FIELD_NUMBER: _ClassVar[int]
    QUERY_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    QUERY_PARAMETERS_TO_REMOVE_FIELD_NUMBER: _ClassVar[int]
    BODY_SIZE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    status: int
    request_headers: _containers.RepeatedCompositeFieldContainer[Field]
    request_headers_to_remove: _containers.RepeatedScalarFieldContainer[str]
    response_headers: _containers.RepeatedCompositeFieldContainer[Field]
    query_parameters: _containers.RepeatedCompositeFieldContainer[Field]
    query_parameters_to_remove: _containers.RepeatedScalarFieldContainer[str]
    body_size: int
    metadata: _struct_pb2.Struct
    def __init__(self, status: _Optional[int] = ..., request_headers: _Optional[_Iterable[_Union[Field, _Mapping]]] = ..., request_headers_to_remove: _Optional[_Iterable[str]] = ..., response_headers: _Optional[_Iterable[_Union[Field, _Mapping]]] = ..., query_parameters: _Optional[_Iterable[_Union[Field, _Mapping]]] = ..., query_parameters_to_remove: _Optional[_Iterable[str]] = ..., body_size: _Optional[int] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class Field(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
