"""The version of everything that decides how a record is judged. One function."""

import hashlib
import json
from importlib.metadata import version

from analytics_pipeline.sources.spec import Shop


def contract_version(shop: Shop) -> str:
    """Return a hash of what decides how an order is judged."""
    decides = shop.model_dump(mode="json", include={"orders", "times", "currency", "timezone"})
    text = json.dumps([version("analytics-pipeline"), decides], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
