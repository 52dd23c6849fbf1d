"""What a pipe lets through of a stream, and what its target gets of a record. Plain texts, without the CDK."""

from __future__ import annotations

EVERY_CHANGE = {"eventName": ["INSERT", "MODIFY", "REMOVE"]}
"""The filter. What a pipe filters out is gone without a trace, so it lets through all that a stream has."""

RECORD_TEMPLATE = (
    '{"eventID":"<$.eventID>","eventName":"<$.eventName>","eventSource":"<$.eventSource>",'
    '"eventSourceARN":"<$.eventSourceARN>","dynamodb":<$.dynamodb>,'
    '"userIdentity":{"type":"<$.userIdentity.type>","principalId":"<$.userIdentity.principalId>"}}'
)
"""What a target gets of a record: all that the envelope is made of.

``dynamodb`` is taken as a whole (keys, both images, sequence number, time), since a path that is missing
leaves an unquoted place empty, and the document is no JSON then. Inside quotes it leaves an empty text, so
``userIdentity``, which only an expiry has, is taken by its two texts.
"""
