"""Draws a playbook as SVG: sequences downwards, branches side by side, each step once. No script, nothing fetched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from textwrap import wrap

from perilune.response import cacao
from perilune.response.lint import next_steps
from perilune.response.playbook import responses

WIDTH, GAP, LINE, PAD = 220, 24, 16, 10
MAX_BLOCKS = 2000

_STYLES = {  # fill, border
    "start": ("#e8f5ee", "#2f7d5b"),
    "end": ("#eceff3", "#8a94a6"),
    "action": ("#ffffff", "#33507a"),
    "playbook-action": ("#eef3fb", "#33507a"),
    "parallel": ("#fdf6e3", "#9a7b1c"),
    "if-condition": ("#fdf6e3", "#9a7b1c"),
    "while-condition": ("#fdf6e3", "#9a7b1c"),
    "switch-condition": ("#fdf6e3", "#9a7b1c"),
}


@dataclass(slots=True)
class _Block:
    """A step with its branches beneath it, and what comes after them."""

    kind: str
    lines: Sequence[str]
    label: str = ""
    branches: list[_Block] = field(default_factory=list)
    after: _Block | None = None

    @property
    def box(self) -> int:
        return PAD * 2 + LINE * len(self.lines)

    @property
    def width(self) -> int:
        side = sum(one.width for one in self.branches) + GAP * max(len(self.branches) - 1, 0)
        return max(WIDTH, side, self.after.width if self.after else 0)

    @property
    def inner(self) -> int:
        """The height of the box and its branches."""
        return self.box + (GAP * 2 + max(one.height for one in self.branches) if self.branches else 0)

    @property
    def height(self) -> int:
        return self.inner + (GAP + self.after.height if self.after else 0)


def draw_playbook(playbook: cacao.Playbook) -> str:
    """The whole drawing as one SVG document."""
    root = _Drawing(playbook).block(playbook.workflow_start, "")
    shapes: list[str] = []
    _place(root, GAP, GAP * 2 + LINE, root.width, shapes)
    width, height = root.width + GAP * 2, root.height + GAP * 3 + LINE
    title = escape(playbook.name)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="system-ui, sans-serif" font-size="12" role="img">\n'
        f"<title>{title}</title>\n"
        f'<rect width="{width}" height="{height}" fill="#fff"/>\n'
        f'<text x="{GAP}" y="{GAP + 4}" font-size="15" font-weight="600">{title}</text>\n'
        + "\n".join(shapes)
        + "\n</svg>\n"
    )


class _Drawing:
    def __init__(self, playbook: cacao.Playbook) -> None:
        self._playbook = playbook
        self._said = responses(playbook)
        self._seen: set[str] = set()

    def block(self, key: str, label: str) -> _Block:
        step = self._playbook.workflow[key]
        if key in self._seen or len(self._seen) > MAX_BLOCKS:
            return _Block("end", [f"→ {step.name or key}"[:40]], label)
        self._seen.add(key)
        made = _Block(str(step.__struct_config__.tag), self._lines(key, step), label)
        for name, target in next_steps(step):
            if name in ("on_completion", "on_success"):
                continue
            made.branches.append(self.block(target, _branch(name)))
        after = step.on_completion or step.on_success
        made.after = self.block(after, "") if after else None
        return made

    def _lines(self, key: str, step: cacao.WorkflowStep) -> list[str]:
        lines = wrap(step.name or str(step.__struct_config__.tag), 32)[:3]
        said = self._said.get(key)
        if said is not None and said.action:
            lines.append(f"{said.action} · {said.each}")
        if isinstance(step, cacao.IfCondition | cacao.WhileCondition):
            lines += wrap(step.condition, 34)[:2]
        return lines


def _branch(name: str) -> str:
    return {"on_true": "yes", "on_false": "no", "on_failure": "failed"}.get(name, name.partition("'")[2].rstrip("']"))


def _place(block: _Block, x: int, y: int, width: int, shapes: list[str]) -> None:
    """Puts the block's shapes into a column of this width."""
    middle = x + width // 2
    fill, border = _STYLES[block.kind]
    round_ = 14 if block.kind in ("start", "end") else 4
    bold = ' stroke-width="2.5"' if block.kind == "playbook-action" else ""
    shapes.append(
        f'<rect x="{middle - WIDTH // 2}" y="{y}" width="{WIDTH}" height="{block.box}" rx="{round_}" '
        f'fill="{fill}" stroke="{border}"{bold}/>'
    )
    for number, line in enumerate(block.lines):
        at = y + PAD + LINE * number + 12
        shapes.append(f'<text x="{middle}" y="{at}" text-anchor="middle">{escape(line)}</text>')
    if block.label:
        shapes.append(f'<text x="{middle + 6}" y="{y - 6}" fill="#5b6576">{escape(block.label)}</text>')
    _place_branches(block, x, y, width, shapes)
    if block.after is not None:
        below = y + block.inner
        _line(shapes, middle, below, middle, below + GAP)
        _place(block.after, x, below + GAP, width, shapes)


def _place_branches(block: _Block, x: int, y: int, width: int, shapes: list[str]) -> None:
    total = sum(one.width for one in block.branches) + GAP * max(len(block.branches) - 1, 0)
    left, top = x + (width - total) // 2, y + block.box
    for one in block.branches:
        _line(shapes, x + width // 2, top, left + one.width // 2, top + GAP * 2)
        _place(one, left, top + GAP * 2, one.width, shapes)
        left += one.width + GAP


def _line(shapes: list[str], x1: int, y1: int, x2: int, y2: int) -> None:
    bend = (y1 + y2) // 2
    shapes.append(f'<path d="M{x1} {y1} V{bend} H{x2} V{y2}" fill="none" stroke="#8a94a6"/>')
