"""Where a value stands in a YAML text: the line that an author has to look at."""

from collections.abc import Sequence

import yaml

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is much faster


def lines_in(text: str, name: str) -> list[int]:
    """Return the line of each item of the list that the member `name` of the text is."""
    node, _ = _below(yaml.compose(text, Loader=LOADER), name)
    return [item.start_mark.line + 1 for item in node.value] if isinstance(node, yaml.SequenceNode) else []


def line_of(text: str, path: Sequence[str | int]) -> int:
    """Return the line of what is at `path`, or of the nearest thing above it that is there; 0 when nothing is."""
    node, line = yaml.compose(text, Loader=LOADER), 0
    for step in path:
        node, found = _below(node, step)
        if node is None:
            break
        line = found
    return line


def _below(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node | None, int]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return value, key.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step].start_mark.line + 1
    return None, 0
