"""What a client takes from the environment beside secrets: the address of the shop, and the certificates it trusts."""

from collections.abc import Mapping
from pathlib import Path

from analytics_pipeline.errors import DescriptionError, SettingsError
from analytics_pipeline.shop.references import resolve
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.shop.urls import base_url_fault


def resolved_base_url(shop: Shop, environment: Mapping[str, str]) -> str:
    """The base URL of a shop, without a slash at its end.

    Raises:
        MissingSecretError, SettingsError: A variable of it is not set, or makes no URL of it.
        DescriptionError: There is none: the shop is read from files.
    """
    if shop.base_url is None:
        raise DescriptionError(f"shop {shop.name}: it is read from files, and has no base_url to ask")
    url = resolve(shop.base_url, environment, where="base_url").strip()
    fault = base_url_fault(url)
    if fault:
        raise SettingsError(f"base_url {shop.base_url} of shop {shop.name}, as resolved from the environment, {fault}")
    return url.rstrip("/")


def certificates(environment: Mapping[str, str]) -> str | bool:
    """The file of a private certificate authority, else True: those that the library brings.

    Raises:
        SettingsError: There is no such file.
    """
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        bundle = environment.get(name)
        if bundle:
            if not Path(bundle).exists():
                raise SettingsError(f"{name} names {bundle}, which does not exist")
            return bundle
    return True
