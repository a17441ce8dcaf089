"""Orders by Shopify's bulk operations are the orders that its pages give, to the cent; a failed one gives nothing."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from analytics_pipeline.errors import ShopRefusedError
from analytics_pipeline_tests.dialects import shopify
from analytics_pipeline_tests.dialects.cleaning import cleaned, differences, figures_by_day
from analytics_pipeline_tests.dialects.playing import DAYS, serving
from analytics_pipeline_tests.dialects.shopify_graphql import PATH, ShopifyGraphQL

PACKAGED = Path(__file__).parents[2] / "analytics_pipeline" / "shop" / "packaged" / "shopify.yaml"
SECRETS = {"SHOPIFY_CLIENT_ID": shopify.CLIENT_ID, "SHOPIFY_CLIENT_SECRET": shopify.CLIENT_SECRET}
START = "mutation ($q: String!) { bulkOperationRunQuery(query: $q) { bulkOperation { id } userErrors { message } } }"
POLL = "query ($id: ID!) { node(id: $id) { ... on BulkOperation { status objectCount url } } }"
MONEY = "{ shopMoney { amount } }"
ORDERS = f"""
{{ orders(query: "created_at:>='{{{{from}}}}' AND created_at:<'{{{{to}}}}'") {{ edges {{ node {{
  id createdAt updatedAt cancelledAt test currencyCode taxesIncluded email customer {{ id }}
  shippingAddress {{ countryCodeV2 }} totalPriceSet {MONEY} totalTaxSet {MONEY} totalTipReceivedSet {MONEY}
  originalTotalDutiesSet {MONEY} totalShippingPriceSet {MONEY}
  shippingLine {{ discountedPriceSet {MONEY} taxLines {{ priceSet {MONEY} }} }}
  refunds(first: 1) {{ id }}
  lineItems {{ edges {{ node {{
    id title quantity isGiftCard product {{ id }} originalUnitPriceSet {MONEY}
    discountAllocations {{ allocatedAmountSet {MONEY} }} taxLines {{ priceSet {MONEY} }}
  }} }} }}
}} }} }} }}
"""


@pytest.fixture
def described(tmp_path: Path) -> Path:
    """The packaged description with `bulk`."""
    shop: dict[str, Any] = yaml.safe_load(PACKAGED.read_text(encoding="utf-8"))
    post = {"path": PATH, "method": "POST"}
    job: dict[str, Any] = {"state": "data.node.status", "count": "data.node.objectCount", "url": "data.node.url"}
    job |= {"done": ["COMPLETED"], "failed": ["FAILED", "CANCELED", "EXPIRED"]}
    started = "data.bulkOperationRunQuery"
    shop["orders"]["bulk"] = {
        "start": {
            **post,
            "body": {"query": START, "variables": {"q": ORDERS}},
            "id": f"{started}.bulkOperation.id",
            "busy_when": f"contains({started}.userErrors[0].message || '', 'already in progress')",
        },
        "poll": {**post, "body": {"query": POLL, "variables": {"id": "{{id}}"}}, **job},
        "parent": "__parentId",
        "children": [{"into": "lineItems.nodes"}],
        "min_days": 2,
    }
    path = tmp_path / "shop.yaml"
    path.write_text(yaml.safe_dump(shop), encoding="utf-8")
    return path


def test_a_bulk_operation_gives_the_right_figures_of_every_day(described: Path) -> None:
    with serving(ShopifyGraphQL, with_charges=True) as running:
        clean = cleaned(str(described), {"SHOPIFY_URL": running.url, **SECRETS}, DAYS[0], DAYS[-1])
        assert len(running.dialect.bulks) == 1
        assert clean.quarantine.to_dict("records") == []
        figures = figures_by_day(clean)
        wrong = {day: differences(figures.get(day, {}), running.dialect.truth(day)) for day in DAYS}
        assert {day: found for day, found in wrong.items() if found} == {}


def test_a_failed_bulk_operation_is_refused_though_it_left_half_a_file(described: Path) -> None:
    with serving(ShopifyGraphQL) as running:
        running.dialect.bulk_fails = True
        with pytest.raises(ShopRefusedError, match="the job failed"):
            cleaned(str(described), {"SHOPIFY_URL": running.url, **SECRETS}, DAYS[0], DAYS[-1])
