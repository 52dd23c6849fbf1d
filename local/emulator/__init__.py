"""AWS on this machine: a launcher for the embedded emulator, with a patch for each gap that matters here."""

from local.emulator.process import Emulator, EmulatorError

__all__ = ["Emulator", "EmulatorError"]
