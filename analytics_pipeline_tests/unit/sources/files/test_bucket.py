"""A bucket as a folder: what can be said without a server; a real one is in trials/trial_files_in_s3.py."""

from pathlib import Path

import pytest

from analytics_pipeline.errors import SettingsError
from analytics_pipeline.sources.files.bucket import Bucket
from analytics_pipeline.sources.files.folders import open_folder


def test_a_url_names_a_bucket_and_one_without_is_refused(tmp_path: Path) -> None:
    folder = open_folder("s3://shop-files/in/coming/", tmp_path, {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
    assert isinstance(folder, Bucket)
    assert (str(folder), folder.is_local) == ("s3://shop-files/in/coming", False)
    with pytest.raises(SettingsError, match="has to be like s3://bucket/prefix"):
        open_folder("s3://", tmp_path, {})
