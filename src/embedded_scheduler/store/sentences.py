"""What the node's sentences were made of, beside their English wherever that is stored: one row for each text.

Texts of jobs, events and messages stay as long as those do, and so do these rows. What has none (it is older than this
table, or somebody else's words) is shown as it is.
"""

from __future__ import annotations

import json
from typing import Any

from embedded_scheduler.sentences import Sentence, Words, document
from embedded_scheduler.store.database import Reader, Tx


def keep(tx: Tx, words: Words) -> str:
    """The English that is stored; what it was made of is kept beside it."""
    text = str(words)
    if isinstance(words, Sentence):
        said = document(words, lambda fact: find(tx, fact))
        tx.run("sentences.keep", text=text, said=json.dumps(said, ensure_ascii=False))
    return text


def find(reader: Reader, text: str) -> dict[str, Any] | None:
    """Code and facts of a stored text (`sentences.document`); None if it is not one of the node's sentences."""
    row = reader.one("sentences.find", text=text) if may_be(text) else None
    return None if row is None else json.loads(row["said"])


def may_be(text: str) -> bool:
    """False for a name, a number, an id, which most facts are: they need not be looked for."""
    return " " in text
