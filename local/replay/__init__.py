"""Driving item changes again: what the failure bucket and the quarantine hold, and what the jobs have read.

Everything here is safe to repeat. Landing objects are named for the records in them and never replaced, and
the tables merge a change that they know already into itself.
"""

from local.replay.failures import replay_failures
from local.replay.landing import reread_landing
from local.replay.outcome import Place, Replayed, ReplayError
from local.replay.quarantine import replay_quarantine

__all__ = ["Place", "ReplayError", "Replayed", "replay_failures", "replay_quarantine", "reread_landing"]
