"""`python -m infra.workflow_graph` draws the declared workflow into docs/workflow.md."""

from __future__ import annotations

from pathlib import Path

from infra.workflow import JOBS, STEPS, Node, Step

PAGE = Path(__file__).parents[1] / "docs" / "workflow.md"
_BEGIN, _END = "<!-- drawn by: python -m infra.workflow_graph -->\n", "<!-- end -->\n"


def _box(node: Node) -> str:
    return f"  {_id(node)}[{node.name}]" if node.kind == "job" else f"  {_id(node)}([{node.name}])"


def _id(node: Node) -> str:
    return f"{node.kind}_{node.name.replace('-', '_')}"


def mermaid(steps: tuple[Step, ...]) -> str:
    """The graph as a Mermaid flowchart: crawlers round, jobs square, triggers as rhombs."""
    lines = ["```mermaid", "flowchart LR"]
    for step in steps:
        lines.append(f"  {step.name}{{{{{step.name}}}}}")
        lines += [_box(node) for node in step.starts]
        lines += [f"  {_id(node)} -- succeeded --> {step.name}" for node in step.after]
        lines += [f"  {step.name} --> {_id(node)}" for node in step.starts]
    return "\n".join([*lines, "```", ""])


def table(steps: tuple[Step, ...], jobs: tuple[str, ...]) -> str:
    """Each trigger with what it waits for and starts, and the jobs that no trigger of the workflow starts."""
    lines = ["| trigger | fires | starts |", "| --- | --- | --- |"]
    for step in steps:
        after = " and ".join(f"{node.kind} `{node.name}`" for node in step.after)
        fires = f"once {after} succeeded" if after else "on demand, and when an export has landed"
        starts = ", ".join(f"{node.kind} `{node.name}`" for node in step.starts)
        lines.append(f"| `{step.name}` | {fires} | {starts} |")
    started = {node.name for step in steps for node in step.starts}
    others = ", ".join(f"`{name}`" for name in jobs if name not in started)
    return "\n".join([*lines, "", f"Outside the workflow: {others}.", ""])


def page(text: str) -> str:
    """The page with its drawn part as the declaration has it now."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}{mermaid(STEPS)}\n{table(STEPS, JOBS)}{_END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
