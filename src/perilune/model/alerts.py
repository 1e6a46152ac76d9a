"""An alert that another product raised, as far as its export tells."""

from __future__ import annotations

from dataclasses import dataclass

from perilune.model.rules import Level


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert.

    product     `Cortex XDR`, `Microsoft Defender`, or what a generic alert says of itself
    id          the product's own; empty where it has none
    level       by the product's severity; medium where it names none, and `severity` is then empty
    severity    the product's word
    number      its place in the file, from 1; the rows made of it have this record number
    incident    the product's incident that it belongs to
    link        where the product shows it
    """

    product: str
    id: str
    title: str
    level: Level
    severity: str
    number: int
    host: str = ""
    description: str = ""
    techniques: tuple[str, ...] = ()
    incident: str = ""
    link: str = ""
