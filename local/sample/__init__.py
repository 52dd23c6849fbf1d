"""Sample data: a coherent FHIR population, the items beside it, and random changes at both sources."""
