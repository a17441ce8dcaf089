"""The code location's name, and the tags by which Dagster counts a run among its own.

Imports next to nothing: each process that opens Dagster's instance reads it.
"""

import dagster as dg

LOCATION = "analytics_pipeline.definitions"
"""Name of the code location: the module's, as Dagster itself would name it."""
CODE_LOCATION, REPOSITORY = "dagster/code_location", ".dagster/repository"


def location_tags(definitions: dg.Definitions) -> dict[str, str]:
    """Return the tags that name the code location of a run; `instance_storage` makes the run's origin of them."""
    return {CODE_LOCATION: LOCATION, REPOSITORY: f"{definitions.get_repository_def().name}@{LOCATION}"}
