"""Who buys: customer accounts and guests, each known by formula from the day of the first order.

Nobody's history is scanned: how many accounts and guests a day brings follows from the day alone, so any earlier buyer
can be named from the numbers of that day.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from random import Random

from analytics_pipeline.demo_shop import days
from analytics_pipeline.demo_shop.chance import happens
from analytics_pipeline.demo_shop.settings import DemoShopSettings

_FIRST_NAMES = (
    "Ada",
    "Ben",
    "Cleo",
    "Dana",
    "Emil",
    "Finja",
    "Georg",
    "Hanna",
    "Ivo",
    "Jule",
    "Kemal",
    "Lina",
    "Mia",
    "Noah",
)
_LAST_NAMES = (
    "Albrecht",
    "Böhm",
    "Çelik",
    "Dietz",
    "Engel",
    "Fuchs",
    "Groß",
    "Huber",
    "Ibsen",
    "Jansen",
    "Kowalski",
    "Lopez",
)
_COUNTRIES = ("DE", "DE", "DE", "DE", "DE", "DE", "AT", "AT", "NL", "FR")
_LATIN = str.maketrans({"ö": "oe", "ç": "c", "ß": "ss"})
_SHARE_OF_NEW = 0.25
_DRAWS = 20


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who placed one order. `is_new` says that the account is opened with this order."""

    customer_id: str | None
    email: str | None
    country: str
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """A customer account by its number; a few customers move to another country some time after they registered."""

    name: str
    email: str
    country: str
    moves_after: timedelta | None
    moves_to: str


@cache
def account(seed: int, customer_id: str) -> Account:
    """The person behind a customer id (or behind a guest's number)."""
    rng = Random(f"{seed}:person:{customer_id}")
    first, last = rng.choice(_FIRST_NAMES), rng.choice(_LAST_NAMES)
    mail = f"{first}.{last}.{customer_id}@example.com".lower().translate(_LATIN)
    moves_after = timedelta(seconds=rng.randint(86_400, 200 * 86_400)) if happens(rng, 0.03) else None
    return Account(f"{first} {last}", mail, rng.choice(_COUNTRIES), moves_after, rng.choice(_COUNTRIES))


def guest_count(settings: DemoShopSettings, day: date) -> int:
    """How many orders of a business day come from guests."""
    return round(settings.guest_share * days.order_count(settings, day))


def new_count(settings: DemoShopSettings, day: date) -> int:
    """How many accounts are opened on a business day; on the first open day everybody with an account is new."""
    others = days.order_count(settings, day) - guest_count(settings, day)
    return others if day <= _first_open_day(settings) else round(_SHARE_OF_NEW * others)


@cache
def _first_open_day(settings: DemoShopSettings) -> date:
    day = settings.opened
    while day in settings.closed_days:
        day += days.ONE_DAY
    return day


def buyers(settings: DemoShopSettings, day: date, rng: Random) -> list[Buyer]:
    """The buyers of a day's orders, in the orders' sequence."""
    total, guests, new = days.order_count(settings, day), guest_count(settings, day), new_count(settings, day)
    who = [_customer(settings, day, number, is_new=True) for number in range(new)]
    who += [_guest(settings, day, number, rng) for number in range(guests)]
    who += [earlier_customer(settings, day, rng) for _ in range(total - guests - new)]
    rng.shuffle(who)
    return who


def _customer(settings: DemoShopSettings, born: date, number: int, *, is_new: bool = False) -> Buyer:
    customer_id = f"C{(born - settings.opened).days * 10_000 + number:08d}"
    person = account(settings.seed, customer_id)
    return Buyer(customer_id, person.email, person.country, is_new=is_new)


def earlier_customer(settings: DemoShopSettings, day: date, rng: Random) -> Buyer:
    """A customer whose account was opened before, recently more likely than long ago."""
    for _ in range(_DRAWS):
        born = max(day - timedelta(days=1 + int(rng.expovariate(1 / 60))), _first_open_day(settings))
        if count := new_count(settings, born):
            return _customer(settings, born, rng.randrange(count))
    born = _first_open_day(settings)
    return _customer(settings, born, rng.randrange(new_count(settings, born)))


def _guest(settings: DemoShopSettings, day: date, number: int, rng: Random) -> Buyer:
    """A guest: without e-mail, back with the e-mail written another way, a customer not logged in, or a new one."""
    if happens(rng, 0.25):
        return Buyer(None, None, rng.choice(_COUNTRIES))
    if happens(rng, 0.25):
        seen = max(day - timedelta(days=rng.randrange(40)), _first_open_day(settings))
        person = _guest_person(settings, seen, rng.randrange(max(1, guest_count(settings, seen))))
        return Buyer(None, _written_another_way(person.email, rng), person.country)
    if happens(rng, 0.05) and day > _first_open_day(settings):
        customer = earlier_customer(settings, day, rng)
        return Buyer(None, customer.email, customer.country)
    person = _guest_person(settings, day, number)
    return Buyer(None, person.email, person.country)


def _guest_person(settings: DemoShopSettings, day: date, number: int) -> Account:
    return account(settings.seed, f"G{(day - settings.opened).days}-{number}")


def _written_another_way(email: str, rng: Random) -> str:
    return rng.choice((email.upper(), email.title(), f" {email}", f"{email.capitalize()}  "))
