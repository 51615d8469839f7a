"""Kubernetes' protobuf encoding, both ways: what typed Go clients send, and ask for before JSON."""

from .decode import InvalidMessage, decode_body
from .encode import NotEncodable, bare, encode_body, encode_event, encode_list, enveloped, is_encodable

__all__ = [
    "InvalidMessage",
    "NotEncodable",
    "bare",
    "decode_body",
    "encode_body",
    "encode_event",
    "encode_list",
    "enveloped",
    "is_encodable",
]
