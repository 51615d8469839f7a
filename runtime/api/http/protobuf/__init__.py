"""Reading request bodies in Kubernetes' protobuf encoding, which typed Go clients send since client-go 0.33."""

from .decode import InvalidMessage, decode_body

__all__ = ["InvalidMessage", "decode_body"]
