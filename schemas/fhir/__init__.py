"""FHIR R4 (4.0.1): the element model that views, jobs and checks read."""

from schemas.fhir.element_model import Element, ElementModel, TypeInfo, element_model

__all__ = ["Element", "ElementModel", "TypeInfo", "element_model"]
