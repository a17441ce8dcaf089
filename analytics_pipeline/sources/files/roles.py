"""What a column may be, by its name and what stands in it: the order's id, its day, customer, product, price, quantity.

A guess, for the first lines of a description that a person reads over; nothing that runs depends on it.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    "shipping_country",
    "discount",
    "tax",
    "order_discount",
    "shipping",
    "taxes",
    "total",
    "discount_codes",
    "payment_method",
    "cancelled_at",
    "refunded",
]
_ENDS = ("", "id", "no", "nr", "num", "number", "code", "key", "ref", "nummer", "numero")
"""Ends of the names of ids."""
_NAMES: dict[Role, tuple[Kind | None, str]] = {
    "created_at": (
        "date",
        """date orderdate invoicedate saledate salesdate dateofsale datesold purchasedate purchasedat transactiondate
        datum bestelldatum auftragsdatum rechnungsdatum belegdatum verkaufsdatum kaufdatum transaktionsdatum
        created createdat createdon createddate datecreated orderedat ordered orderplaced soldat processedat placedat
        day tag fecha jour data timestamp datetime ordertime orderdatetime invoicetime time zeit datumbestellung paidat
        paidondate datepaid""",
    ),
    "order_id": (
        None,
        """order* amazonorder* invoice* receipt* transaction* sale* salesrecord* bestell* bestellung* bestellungs*
        auftrag* auftrags* rechnung* rechnungs* beleg* bon* pedido* commande* number id""",
    ),
    "email": (
        None,
        """email emailaddress customeremail buyeremail billingemail emailbilling contactemail mail emailadresse
        kundenemail""",
    ),
    "customer_id": (
        None,
        """customer* client* cust* user* buyer* buyeruser* member* kunde* kunden* kaeufer* cliente* shopper* account*
        customeruser* buyerusername username""",
    ),
    "line_id": (None, "line* position* pos* lineitem* orderline* orderitem* transactionid itemid"),
    "product_id": (
        None,
        """lineitemsku sku* itemsku productsku sellersku stock* product* article* artikel* customlabel item* produkt*
        variant* listing* asin ean gtin produit* producto*""",
    ),
    "title": (
        "text",
        """lineitemname title description desc productname producttitle productdescription itemname itemtitle
        itemdescription listingtitle bezeichnung artikelbezeichnung produktbezeichnung produktname artikelname
        beschreibung titel name""",
    ),
    "quantity": (
        "number",
        """lineitemquantity quantity qty quant itemquantity productquantity quantitypurchased quantitysold
        quantityshipped orderquantity orderedquantity quantityordered qtyordered quantityrefund menge bestellmenge
        anzahl stueck stueckzahl stk units unit count pieces pcs cantidad quantite""",
    ),
    "unit_price": (
        "number",
        """lineitemprice price unitprice priceperunit priceperitem priceeach itemprice itemcost productprice saleprice
        sellingprice soldfor einzelpreis einzelpreisbrutto preis preisprostueck stueckpreis verkaufspreis artikelpreis
        prix precio prezzo""",
    ),
    "line_total": (
        "number",
        """linetotal itemtotal lineamount amount revenue sales netsales grosssales value turnover total ordertotal
        subtotal itemsubtotal sum umsatz positionssumme betrag gesamtpreis gesamtbetrag gesamt summe importe montant""",
    ),
    "currency": ("text", "currency currencycode ordercurrency waehrung moneda devise"),
    "country": ("text", "country countrycode billingcountry countrycodebilling land pays pais rechnungsland"),
    "shipping_country": (
        "text",
        "shippingcountry countrycodeshipping shipcountry shiptocountry deliverycountry lieferland",
    ),
    "discount": ("number", "lineitemdiscount discount itemdiscount linediscount discountamount rabatt nachlass remise"),
    "tax": ("number", "itemtax linetax tax taxamount vat mwst ust steuer tva iva"),
    "order_discount": ("number", "discountamount orderdiscount orderdiscountamount cartdiscountamount discounttotal"),
    "shipping": (
        "number",
        """shipping shippingprice ordershipping shippingcost shippingamount shippingtotal ordershippingamount
        shippingandhandling delivery postage versand versandkosten""",
    ),
    "taxes": ("number", "taxes ordertax ordersalestax salestax totaltax taxtotal ordertotaltaxamount steuern"),
    "total": ("number", "total ordertotal ordertotalamount ordervalue totalprice gesamt gesamtbetrag gesamtsumme"),
    "discount_codes": ("text", "discountcode discountcodes couponcode coupon couponcodes gutscheincode gutschein"),
    "payment_method": ("text", "paymentmethod paymentmethodtitle paymenttype zahlungsart zahlart zahlungsmethode"),
    "cancelled_at": (None, "cancelledat canceledat cancelledon stornodatum storniertam"),
    "refunded": ("number", "refundedamount refundamount amountrefunded orderrefundamount erstattung erstattet"),
}
"""The kind and the names that are meant by each role, the likeliest first; `*` stands for an end of an id."""
OF_ORDERS_ALONE: frozenset[Role] = frozenset({"order_discount", "shipping", "taxes", "total", "refunded"})
"""Amounts of a whole order."""
_STATUSES = frozenset(
    {"status", "orderstatus", "financialstatus", "paymentstatus", "itemstatus", "bestellstatus", "zahlungsstatus"}
)
_WHOLE_LINES = ({"orderitemid", "quantitypurchased", "itemprice"}, {"amazonorderid", "itemprice"})
"""Columns of exports in which item-price is what all units of a line cost."""
_NAMED_ORDERS = ({"name", "lineitemname"}, {"name", "financialstatus"})
"""Columns of exports in which the name is that of the order."""


def plain_name(name: str) -> str:
    """A column's name by its letters and digits alone: `Invoice No.` and `InvoiceNo` are invoiceno."""
    german = name.lower().translate({ord("ä"): "ae", ord("ö"): "oe", ord("ü"): "ue", ord("ß"): "ss"})
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKD", german).encode("ascii", "ignore").decode())


def named_as(kind: Kind, names: Iterable[str]) -> set[str]:
    """Columns of which the name says that they hold dates, or numbers, whatever stands in them."""
    meant = {one for of_kind, listed in _NAMES.values() if of_kind == kind for one in listed.split()}
    return {name for name in names if plain_name(name) in meant}


def _meant(names: str) -> Iterator[str]:
    for name in names.split():
        yield from (f"{name[:-1]}{end}" for end in _ENDS) if name.endswith("*") else (name,)


def roles_of(kinds: Mapping[str, Kind], empty: Mapping[str, int]) -> dict[Role, str]:
    """Return which column is what, by the names and kinds of all columns; a column is one thing at most.

    Args:
        kinds: The kind of each column.
        empty: In how many rows each is empty: the id of an order is in each of its rows.
    """
    found: dict[Role, str] = {}
    plain = {plain_name(name): name for name in reversed([*kinds])}
    if any(columns <= plain.keys() for columns in _NAMED_ORDERS):
        found["order_id"] = plain["name"]
    if any(columns <= plain.keys() for columns in _WHOLE_LINES) and kinds[plain["itemprice"]] == "number":
        found["line_total"] = plain["itemprice"]
    for role, (kind, names) in _NAMES.items():
        if role in found:
            continue
        fitting = (plain[meant] for meant in _meant(names) if meant in plain)
        free = [name for name in fitting if name not in found.values() and kind in {None, kinds[name]}]
        if free:
            found[role] = min(free, key=lambda name: empty[name] > 0) if role == "order_id" else free[0]
    if "product_id" not in found and plain_name(found.get("line_id", "")) == "itemid":
        found["product_id"] = found.pop("line_id")
    _of_whole_orders(found)
    _by_kind_alone(found, kinds)
    return found


def _of_whole_orders(found: dict[Role, str]) -> None:
    """Beside the price of a unit a total is the order's, where rows have its id; without it amounts are the row's."""
    if "order_id" not in found:
        for role in OF_ORDERS_ALONE - {"refunded"}:
            found.pop(role, None)
        return
    total = found.get("line_total")
    if "unit_price" in found and total is not None and "total" not in found and _is_of_orders(total):
        found["total"] = found.pop("line_total")
    discount = found.get("discount")
    if discount is not None and "order_discount" not in found and plain_name(discount) == "discountamount":
        found["order_discount"] = found.pop("discount")


def _is_of_orders(name: str) -> bool:
    return plain_name(name) in _NAMES["total"][1].split()


def statuses(kinds: Mapping[str, Kind]) -> Sequence[str]:
    """Columns that say what became of an order."""
    return [name for name, kind in kinds.items() if kind == "text" and plain_name(name) in _STATUSES]


def is_settlement(kinds: Mapping[str, Kind]) -> bool:
    """Whether rows are amounts that were paid out, such as a price or a fee, and no lines of orders."""
    return {plain_name(name) for name in kinds} >= {"settlementid", "amount"}


def _by_kind_alone(found: dict[Role, str], kinds: Mapping[str, Kind]) -> None:
    """Take the only column of dates for the day, whatever it is called."""
    dates = [name for name, kind in kinds.items() if kind == "date" and name not in found.values()]
    if "created_at" not in found and dates:
        found["created_at"] = dates[0]


def rivals(kinds: Mapping[str, Kind], roles: Mapping[Role, str]) -> Sequence[str]:
    """Columns of dates that are not taken for the order's day."""
    taken = {roles.get("created_at"), roles.get("cancelled_at")}
    return [name for name, kind in kinds.items() if kind == "date" and name not in taken]
