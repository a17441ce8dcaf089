"""A shop to try everything on: deterministic orders of any day up to now, served over HTTP on loopback.

It knows the truth about its own days (`DemoShop.truth`), so that figures can be compared to the cent, and it can be
told to misbehave as shops do. It imports nothing of the rest of the project: neither side can inherit the other's
mistakes.
"""

from analytics_pipeline.demo_shop.happenings import Happening, HappeningKind
from analytics_pipeline.demo_shop.misbehaviour import Fault
from analytics_pipeline.demo_shop.server import RunningShop, run_forever, serve
from analytics_pipeline.demo_shop.settings import DemoShopSettings
from analytics_pipeline.demo_shop.shop import DemoShop
from analytics_pipeline.demo_shop.truth import ProductTruth, RevenueTruth, Truth

__all__ = [
    "DemoShop",
    "DemoShopSettings",
    "Fault",
    "Happening",
    "HappeningKind",
    "ProductTruth",
    "RevenueTruth",
    "RunningShop",
    "Truth",
    "run_forever",
    "serve",
]
