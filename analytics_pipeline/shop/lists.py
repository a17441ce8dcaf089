"""The lists of a shop: orders, customers and products, each asked for at the API or read from files, or from pages."""

from typing import Annotated

from pydantic import Discriminator, Tag

from analytics_pipeline.shop.endpoints import Endpoint
from analytics_pipeline.shop.fields import CustomerFields, ProductFields
from analytics_pipeline.shop.files import FileCustomers, FileList, FileOrders, FileProducts
from analytics_pipeline.shop.orders import Orders
from analytics_pipeline.shop.pages import PageProducts
from analytics_pipeline.shop.protocol import Model


class Customers(Endpoint):
    """The shop's customers.

    Attributes:
        fields: Paths of a customer's fields.
    """

    fields: CustomerFields


class Products(Endpoint):
    """The shop's products.

    Attributes:
        fields: Paths of a product's fields.
    """

    fields: ProductFields


def _choice(of_api: type[Model], of_files: type[Model], of_pages: type[Model] | None = None) -> Discriminator:
    """Return what tells by its keys which kind of a list is described."""

    def choose(described: object) -> str:
        keys = described if isinstance(described, dict) else ()
        if of_pages is not None and (isinstance(described, of_pages) or "pages" in keys):
            return of_pages.__name__
        return (of_files if isinstance(described, FileList) or "files" in keys else of_api).__name__

    return Discriminator(choose)


ShopOrders = Annotated[
    Annotated[Orders, Tag(Orders.__name__)] | Annotated[FileOrders, Tag(FileOrders.__name__)],
    _choice(Orders, FileOrders),
]
ShopCustomers = Annotated[
    Annotated[Customers, Tag(Customers.__name__)] | Annotated[FileCustomers, Tag(FileCustomers.__name__)],
    _choice(Customers, FileCustomers),
]
ShopProducts = Annotated[
    Annotated[Products, Tag(Products.__name__)]
    | Annotated[FileProducts, Tag(FileProducts.__name__)]
    | Annotated[PageProducts, Tag(PageProducts.__name__)],
    _choice(Products, FileProducts, PageProducts),
]
