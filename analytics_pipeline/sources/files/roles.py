"""What a column may be, by its name and what stands in it: the order's id, its day, customer, product, price, quantity.

A guess, for the first lines of a description that a person reads over; nothing that runs depends on it.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

Kind = Literal["text", "number", "date"]
Role = Literal[
    "created_at",
    "order_id",
    "customer_id",
    "email",
    "unit_price",
    "line_total",
    "quantity",
    "product_id",
    "title",
    "line_id",
    "currency",
    "country",
    "discount",
    "tax",
]
_ENDS = ("", "id", "no", "nr", "num", "number", "code", "key", "ref", "nummer", "numero")
"""Ends of the names of ids."""
_NAMES: dict[Role, tuple[Kind | None, str]] = {
    "created_at": (
        "date",
        """date orderdate invoicedate saledate datesold purchasedate transactiondate datum bestelldatum rechnungsdatum
        belegdatum verkaufsdatum created createdat orderedat soldat paidat placedat day tag fecha jour data timestamp
        datetime ordertime invoicetime time zeit""",
    ),
    "order_id": (
        None,
        """order* invoice* receipt* transaction* sale* bestell* bestellung* bestellungs* auftrag* auftrags* rechnung*
        rechnungs* beleg* bon* pedido* commande* number id""",
    ),
    "email": (None, "email emailaddress customeremail mail emailadresse"),
    "customer_id": (
        None,
        "customer* client* cust* user* buyer* member* kunde* kunden* kaeufer* cliente* shopper* account*",
    ),
    "line_id": (None, "line* position* pos* lineitem* orderline* itemid"),
    "product_id": (
        None,
        "sku* stock* product* article* artikel* item* produkt* variant* asin ean gtin produit* producto*",
    ),
    "title": (
        "text",
        """title description desc name productname producttitle productdescription itemname itemdescription bezeichnung
        artikelbezeichnung produktname artikelname beschreibung titel""",
    ),
    "quantity": (
        "number",
        """quantity qty quant orderquantity orderedquantity quantityordered menge anzahl stueck stueckzahl units unit
        count pieces pcs cantidad quantite""",
    ),
    "unit_price": (
        "number",
        """price unitprice priceperunit priceeach itemprice saleprice einzelpreis preis stueckpreis verkaufspreis prix
        precio prezzo""",
    ),
    "line_total": (
        "number",
        """total linetotal amount revenue sales netsales grosssales value turnover ordertotal subtotal sum umsatz betrag
        gesamtpreis gesamtbetrag gesamt summe importe montant""",
    ),
    "currency": ("text", "currency currencycode waehrung moneda devise"),
    "country": ("text", "country countrycode shippingcountry billingcountry land pays pais"),
    "discount": ("number", "discount discountamount linediscount rabatt nachlass remise descuento"),
    "tax": ("number", "tax taxamount linetax vat mwst ust steuer tva iva"),
}
"""The kind and the names that are meant by each role, the likeliest first; `*` stands for an end of an id."""


def plain_name(name: str) -> str:
    """A column's name by its letters and digits alone: `Invoice No.` and `InvoiceNo` are invoiceno."""
    german = name.lower().translate({ord("ä"): "ae", ord("ö"): "oe", ord("ü"): "ue", ord("ß"): "ss"})
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKD", german).encode("ascii", "ignore").decode())


def _meant(names: str) -> Iterator[str]:
    for name in names.split():
        yield from (f"{name[:-1]}{end}" for end in _ENDS) if name.endswith("*") else (name,)


def roles_of(kinds: Mapping[str, Kind]) -> dict[Role, str]:
    """Return which column is what, by the names and kinds of all columns; a column is one thing at most."""
    found: dict[Role, str] = {}
    plain = {plain_name(name): name for name in reversed([*kinds])}
    for role, (kind, names) in _NAMES.items():
        fitting = (plain[meant] for meant in _meant(names) if meant in plain)
        free = (name for name in fitting if name not in found.values() and kind in {None, kinds[name]})
        if name := next(free, None):
            found[role] = name
    _by_kind_alone(found, kinds)
    return found


def _by_kind_alone(found: dict[Role, str], kinds: Mapping[str, Kind]) -> None:
    """Take the only column of dates for the day, whatever it is called."""
    dates = [name for name, kind in kinds.items() if kind == "date" and name not in found.values()]
    if "created_at" not in found and dates:
        found["created_at"] = dates[0]


def rivals(kinds: Mapping[str, Kind], roles: Mapping[Role, str]) -> Sequence[str]:
    """Columns of dates that are not taken for the order's day."""
    return [name for name, kind in kinds.items() if kind == "date" and name != roles.get("created_at")]
