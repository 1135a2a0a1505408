"""The console's texts in one language. Data files beside this module; both have the same keys (a test holds that)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

LANGUAGES = ("en_US", "zh_CN")


class Catalogue:
    """Texts by dotted key. Placeholders are `{name}`; a missing key is a fault of this program and raises KeyError."""

    def __init__(self, language: str, texts: Mapping[str, str]) -> None:
        self.language = language
        self._texts = texts

    def text(self, key: str, /, **values: object) -> str:
        """The text with its placeholders filled in. Values are data: braces in them mean nothing."""
        template = self._texts[key]
        return template.format(**values) if values else template

    def get(self, key: str, default: str) -> str:
        """The text, or `default` for words that come from the node and may be newer than this console."""
        return self._texts.get(key, default)

    def sentence(self, code: str) -> str:
        """The template of one of the node's own sentences; empty in English, which is the node's language, and for
        one that is newer than this console."""
        return self.sentences.get(code, "")

    @cached_property
    def sentences(self) -> Mapping[str, str]:
        """Read when the first is shown, which is after the first paint."""
        return _read(f"node.{self.language}.toml")

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(self._texts)

    def template(self, key: str) -> str:
        """The text with its placeholders as they are."""
        return self._texts[key]


def load(language: str) -> Catalogue:
    """The catalogue of `en_US` or `zh_CN`; KeyError for another language."""
    if language not in LANGUAGES:
        raise KeyError(language)
    return Catalogue(language, _read(f"{language}.toml"))


def _read(name: str) -> dict[str, str]:
    """Empty when there is no such file."""
    path = Path(__file__).with_name(name)
    return dict(_flat("", tomllib.loads(path.read_text("utf-8")))) if path.exists() else {}


def default_language(environ: Mapping[str, str]) -> str:
    """`NODECONSOLE_LANG` (en, zh, en_US, zh_CN), else the locale; English when neither says Chinese."""
    for name in ("NODECONSOLE_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = environ.get(name, "")
        if value:
            return "zh_CN" if value.lower().startswith("zh") else "en_US"
    return "en_US"


def named_language(word: str) -> str | None:
    """The language a person means by `en`, `zh`, `zh_CN` …, or None."""
    return next((language for language in LANGUAGES if word and language.lower().startswith(word.lower())), None)


def _flat(prefix: str, table: Mapping[str, object]) -> list[tuple[str, str]]:
    flat: list[tuple[str, str]] = []
    for name, value in table.items():
        key = f"{prefix}.{name}" if prefix else name
        if isinstance(value, Mapping):
            flat += _flat(key, value)
        elif isinstance(value, str):
            flat.append((key, value))
        else:
            raise TypeError(f"{key} is not a text")
    return flat
