"""What to record."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RecordingOptions:
    """What a service records.

    Attributes:
        place: a folder, or `s3://bucket/prefix`.
        images: the share of the pictures' files that is kept, 0..1.
        shadow: the alias of versions that answer beside the champions; None for no such version.
    """

    place: str
    images: float = 0.0
    shadow: str | None = None
