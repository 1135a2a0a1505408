"""`EcdhPsiCipherBatch`, the message of the data phase of the open ECDH-PSI protocol (algorithm layer)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from algorithm_components.sdk.environment import ComponentError

ENC = "enc"
DUAL_ENC = "dual.enc"
POINT_BYTES = 32
_PACKAGE = "org.interconnection.v2.algos"
_NAME = "EcdhPsiCipherBatch"


def _message_class() -> Any:
    # Numbers 2 and 5 are not used by the protocol; 8 was added later by the reference and is skipped as unknown.
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="ecdh_psi.proto", package=_PACKAGE, syntax="proto3")
    message = file.message_type.add(name=_NAME)
    for name, number, kind in (
        ("type", 1, kinds.TYPE_STRING),
        ("batch_index", 3, kinds.TYPE_INT32),
        ("is_last_batch", 4, kinds.TYPE_BOOL),
        ("count", 6, kinds.TYPE_INT32),
        ("ciphertext", 7, kinds.TYPE_BYTES),
    ):
        message.field.add(name=name, number=number, type=kind, label=kinds.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{_NAME}"))


_CipherBatch = _message_class()


@dataclass(frozen=True, slots=True)
class CipherBatch:
    """A batch of points, `POINT_BYTES` each, in the order of their owner's items."""

    type: str
    index: int
    last: bool
    ciphertext: bytes

    @property
    def count(self) -> int:
        return len(self.ciphertext) // POINT_BYTES

    def encode(self) -> bytes:
        message = _CipherBatch(
            type=self.type,
            batch_index=self.index,
            is_last_batch=self.last,
            count=self.count,
            ciphertext=self.ciphertext,
        )
        encoded: bytes = message.SerializeToString()
        return encoded


def decode(payload: bytes) -> CipherBatch:
    """Read a batch; `ComponentError` when it is none, or its length is not that of `count` points."""
    message = _CipherBatch()
    try:
        message.ParseFromString(payload)
    except DecodeError:
        raise ComponentError("the other party sent something that is not a batch of the protocol") from None
    if message.count < 0 or len(message.ciphertext) != message.count * POINT_BYTES:
        raise ComponentError(
            f"the other party sent a batch of {len(message.ciphertext)} bytes for {message.count} points "
            f"(expected {POINT_BYTES} bytes each): both parties need the same curve and no truncation"
        )
    return CipherBatch(message.type, message.batch_index, message.is_last_batch, message.ciphertext)


class BatchReader:
    """Checks that batches come in order, of one type, and are as many points as were announced in all."""

    def __init__(self, kind: str, points: int) -> None:
        self._kind = kind
        self._points = points

    def blocks(self, payloads: Iterator[bytes]) -> Iterator[bytes]:
        """The points of each non-empty batch; ends at the batch that is flagged last, or empty."""
        seen = 0
        for index, payload in enumerate(payloads):
            batch = decode(payload)
            if batch.type != self._kind or batch.index != index:
                raise ComponentError(
                    f"the other party sent batch {batch.index} of {batch.type!r} for batch {index} of {self._kind!r}"
                )
            seen += batch.count
            if seen > self._points:
                raise ComponentError(f"the other party sent more {self._kind!r} points than the {self._points} it must")
            if batch.ciphertext:
                yield batch.ciphertext
            if batch.last or not batch.ciphertext:
                break
        if seen != self._points:
            raise ComponentError(f"the other party sent {seen} {self._kind!r} points, but it must be {self._points}")


def batches(kind: str, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Encoded batches for blocks of points, with the empty one that ends the stream."""
    index = 0
    for block in blocks:
        yield CipherBatch(kind, index, last=False, ciphertext=block).encode()
        index += 1
    yield CipherBatch(kind, index, last=True, ciphertext=b"").encode()
