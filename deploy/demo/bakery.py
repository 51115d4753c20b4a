"""The bakery's programs: fill its MongoDB database, and change it.

Usage: bakery.py fill|insert|update|replace|delete|transaction|recreate, with MONGODB_URI set. Everything is made up; the draw is seeded.
"""

import datetime
import os
import random
import sys
import uuid

from bson import Binary, Decimal128, Int64, ObjectId
from pymongo import MongoClient

CUSTOMERS = 400
ORDERS = 3000
TOWNS = ["Emden", "Norden", "Leer", "Aurich", "Jever"]
NAMES = ["Antje", "Bente", "Claas", "Dörte", "Enno", "Frauke", "Gesche", "Hauke"]
BREADS = [("rye", "4.20"), ("spelt", "5.10"), ("sourdough", "4.80"), ("roll", "0.45"), ("braid", "3.95")]
OPENED = datetime.datetime(2021, 3, 1, 6, 0, tzinfo=datetime.timezone.utc)


def customer(draw, number):
    record = {
        "_id": ObjectId(f"60{number:022x}"),
        "name": f"{draw.choice(NAMES)} {number}",
        "address": {"town": draw.choice(TOWNS), "street": f"Deich {draw.randrange(1, 90)}"},
        "since": OPENED + datetime.timedelta(days=draw.randrange(900), milliseconds=draw.randrange(86_400_000)),
    }
    if draw.random() < 0.3:
        record["allergies"] = draw.sample(["nuts", "milk", "sesame"], draw.randrange(1, 3))
    return record


def order(draw, number):
    lines = [{"bread": bread, "price": Decimal128(price), "count": draw.randrange(1, 7)} for bread, price in draw.sample(BREADS, 2)]
    return {"_id": Int64(number), "customer": ObjectId(f"60{draw.randrange(CUSTOMERS):022x}"), "lines": lines, "paid": draw.random() < 0.9}


def recipes():
    """One of many kinds of `_id`: 7 and "7" are two recipes."""
    ids = [
        7, "7", 2.5, Int64(2**40), Decimal128("0.10"), "sourdough", "Brötchen", ObjectId("6" * 24), OPENED, True, None,
        Binary(uuid.UUID(int=11).bytes, 4), Binary(b"\x00\x01", 0), {"bread": "rye", "year": 1890}, {"year": 1890, "bread": "rye"},
    ]
    return [{"_id": name, "flour_g": 500 + at, "steps": ["mix", "rest", "bake"], "hot": at % 2 == 0} for at, name in enumerate(ids)]


def fill(shop):
    draw = random.Random(1)
    shop.customers.insert_many([customer(draw, number) for number in range(CUSTOMERS)])
    shop.orders.insert_many([order(draw, number) for number in range(ORDERS)])
    shop.recipes.insert_many(recipes())
    shop.counter.insert_many([{"_id": f"till-{number}", "cents": 100 * number} for number in range(40)])


def insert(shop):
    draw = random.Random(2)
    shop.customers.insert_one({"_id": "walk-in", "name": "Somebody", "address": {"town": "Emden"}, "since": OPENED})
    shop.orders.insert_many([order(draw, number) for number in range(ORDERS, ORDERS + 25)])


def update(shop):
    shop.customers.update_many({"address.town": "Leer"}, {"$set": {"address.zip": "26789"}, "$unset": {"allergies": ""}})
    shop.orders.update_one({"_id": 5}, {"$push": {"lines": {"bread": "cake", "price": Decimal128("12.00"), "count": 1}}})


def replace(shop):
    shop.recipes.replace_one({"_id": {"bread": "rye", "year": 1890}}, {"flour_g": float("nan"), "note": "lost in the flood"})


def delete(shop):
    shop.orders.delete_many({"_id": {"$lt": 100}})
    shop.recipes.delete_one({"_id": "7"})


def transaction(shop):
    with shop.client.start_session() as session, session.start_transaction():
        shop.orders.insert_one({"_id": "advance order", "customer": "walk-in", "paid": True}, session=session)
        shop.customers.update_one({"_id": "walk-in"}, {"$inc": {"orders": 1}}, session=session)


def recreate(shop):
    shop.counter.drop()
    shop.counter.insert_many([{"_id": f"till-{number}", "cents": 0, "day": 2} for number in range(3)])


if __name__ == "__main__":
    verbs = [fill, insert, update, replace, delete, transaction, recreate]
    {verb.__name__: verb for verb in verbs}[sys.argv[1]](MongoClient(os.environ["MONGODB_URI"]).bakery)
