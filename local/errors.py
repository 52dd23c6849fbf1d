"""What can go wrong with the local stack, said with what to do about it."""

from __future__ import annotations


class LocalError(RuntimeError):
    """Raised when a step cannot go on.

    Attributes
    ----------
    remedy : what the user can do, in one or two sentences
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem}\n{remedy}" if remedy else problem)


class NotUp(LocalError):
    """Raised when a command needs the emulator and it is not up."""

    def __init__(self) -> None:
        super().__init__("The local stack is not up.", "Start it with: watershed up")


class NotDeployed(LocalError):
    """Raised when a command needs the stacks and they are not deployed."""

    def __init__(self) -> None:
        super().__init__("Nothing is deployed on the local stack.", "Deploy with: watershed deploy")
