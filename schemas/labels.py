"""Words for people: one text in Chinese and in English, kept side by side so that neither can be forgotten."""

from __future__ import annotations

from typing import Literal, NamedTuple

Language = Literal["zh", "en"]


class Label(NamedTuple):
    """One text in both languages; `{names}` in it are filled from facts."""

    zh: str
    en: str

    def text(self, language: Language = "zh") -> str:
        return self.zh if language == "zh" else self.en

    def fill(self, **facts: object) -> Label:
        """The same label with its `{names}` replaced; raises KeyError when a fact is missing."""
        return Label(self.zh.format(**facts), self.en.format(**facts))
