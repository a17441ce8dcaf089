"""Which kind of folder a description names."""

import os
from collections.abc import Mapping
from pathlib import Path

from analytics_pipeline.sources.files.bucket import SCHEME, Bucket
from analytics_pipeline.sources.files.finding import Folder, LocalFolder


def open_folder(place: str, base: Path, environment: Mapping[str, str] | None = None) -> Folder:
    """Return the folder that a description names; nothing is looked for yet.

    Args:
        place: A path, or a URL such as s3://bucket/prefix.
        base: What a path that is not absolute begins at.
        environment: The variables that name a server of S3, usually `os.environ`.

    Raises:
        SettingsError: The URL names no bucket.
    """
    if place.startswith(SCHEME):
        return Bucket(place, os.environ if environment is None else environment)
    return LocalFolder(base / Path(place).expanduser())
