"""Messages carried by hand when the link to a partner is dead: one signed file there, one signed answer back.

A file holds a whole request of the management layer and is handled as if it had come over HTTP, once: the same file
again gets the stored answer. What is signed begins with a line of its own, so that neither file nor answer passes for an
HTTP request or answer, nor the other way round.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pydantic import Field

from embedded_scheduler.api.authentication import Caller, Inbound, Partners
from embedded_scheduler.api.family import Answers, Endpoint, Family, OpenGate, Service
from embedded_scheduler.engine import messages, permits, receipts
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.ports import Delivery, Outgoing, Reply
from embedded_scheduler.errors import Conflict, InvalidRequest, NotFound, Refused, Unauthenticated
from embedded_scheduler.security.keys import PublicKey
from embedded_scheduler.store import outbox as outbox_store
from embedded_scheduler.store import receipts as receipt_store
from embedded_scheduler.store.database import Reader
from embedded_scheduler.store.outbox import OutboxRow
from embedded_scheduler.wire.bfia.envelope import read_answer
from embedded_scheduler.wire.bfia.headers import PartnerHeaders, read_timestamp
from embedded_scheduler.wire.bfia.message import Message, validate
from embedded_scheduler.wire.bfia.signature import SignedAnswer, SignedRequest, Signer, is_signed
