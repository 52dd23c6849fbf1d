"""A type of resource that the emulator's CloudFormation does not know, though the emulator has the service.

Without it, a whole template that names one is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Properties = dict[str, Any]
_Made = tuple[str, dict[str, str]]


def _never(_ref: str, _new: Properties) -> bool:
    return False


@dataclass(frozen=True)
class ResourceType:
    """What CloudFormation does with resources of a type.

    Attributes
    ----------
    name : such as `AWS::Glue::Workflow`
    create : makes one of its properties and, where these name none, of the name given; answers its `Ref`
    delete : removes the one of this `Ref`
    update : changes the one of this `Ref` in place, if it can; if not it is replaced
    id_attribute : what `Fn::GetAtt` calls the `Ref`, if anything
    """

    name: str
    create: Callable[[str, Properties], str]
    delete: Callable[[str, Properties], None]
    update: Callable[[str, Properties], bool] = _never
    id_attribute: str = ""

    def register(self) -> None:
        from ministack.services.cloudformation import provisioners

        provisioners._RESOURCE_HANDLERS[self.name] = {
            "create": self._create,
            "update": self._update,
            "update_with_logical_id": True,
            "delete": self.delete,
        }

    def _create(self, logical_id: str, properties: Properties, stack_name: str) -> _Made:
        from ministack.services.cloudformation import provisioners

        return self._made(
            self.create(provisioners._physical_name(stack_name, logical_id, max_len=255), properties)
        )

    def _update(
        self, ref: str, old: Properties, new: Properties, stack_name: str, logical_id: str | None = None
    ) -> _Made:
        if new == old or self.update(ref, new):
            return self._made(ref)
        # Under an unchanged name AWS refuses a replacement, since the old one still holds the name; here the
        # old one makes room.
        if new.get("Name") == ref:
            self.delete(ref, old)
            return self._create(logical_id or ref, new, stack_name)
        made = self._create(logical_id or ref, new, stack_name)
        self.delete(ref, old)
        return made

    def _made(self, ref: str) -> _Made:
        return ref, {self.id_attribute: ref} if self.id_attribute else {}
