"""Colours of lines: the eight of Okabe and Ito, which colour-blind eyes tell apart, without black and yellow."""

from __future__ import annotations

SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
