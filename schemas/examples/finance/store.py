"""finance: its database made up, edited, and read as rows, by code that knows nothing of mappings."""

import datetime
import os

from bson import Decimal128, ObjectId
from pymongo import DeleteOne, InsertOne, MongoClient, UpdateOne

AT = "to_char({0} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"

TABLES = {
    "users": "select id, email, name, " + AT.format("created_at") + ", settings->>'theme' from users",
    "wallets": "select id, user_id, name, currency, balance::text from wallets",
    "categories": "select id, user_id, name, kind from categories",
    "budgets": "select id, user_id, category_id, month, amount::text from budgets",
    "transactions": "select id, wallet_id, category_id, amount::text, " + AT.format("at") + ", note, array_to_string(tags, ',') from transactions",
    "transaction_splits": "select transaction_id, position::text, category_id, amount::text from transaction_splits",
    "wallet_totals": "select wallet_id, transactions::text, total::text from wallet_totals",
}


def database():
    return MongoClient(os.environ["MONGODB_URI"]).finance


def cents(draw, most=900_000):
    amount = draw.randrange(-most, most)
    return Decimal128(f"{'-' if amount < 0 else ''}{abs(amount) // 100}.{abs(amount) % 100:02}")


def moment(draw):
    return datetime.datetime(2025, 1, 1) + datetime.timedelta(milliseconds=draw.randrange(31_536_000_000))


def oid(kind, number):
    return ObjectId(f"{kind:08x}{number:016x}")


def transaction(draw, number, wallets, categories):
    one = {
        "_id": oid(5, number), "walletId": draw.choice(wallets), "categoryId": draw.choice(categories) if draw.random() < 0.8 else None,
        "amount": cents(draw), "at": moment(draw), "status": draw.choice(["posted", "posted", "posted", "void"]),
        "tags": draw.sample(["food", "rent", "née", "fun"], draw.randrange(3)),
    }
    if draw.random() < 0.5:
        one["note"] = f"note {number}"
    if draw.random() < 0.2:
        one["splits"] = [{"categoryId": draw.choice(categories), "amount": cents(draw)} for _ in range(draw.randrange(1, 4))]
    return one


def create(_, records, draw):
    app = database()
    count = max(records // 50, 10)
    users = [oid(1, at) for at in range(count)]
    app.users.insert_many({"_id": one, "email": f"user{at}@example.org", "name": f"Née {at}", "createdAt": moment(draw),
                           "settings": {"theme": draw.choice(["dark", "light"])}} for at, one in enumerate(users))
    wallets = [oid(2, at) for at in range(count * 2)]
    app.wallets.insert_many({"_id": one, "userId": draw.choice(users), "name": "w", "currency": "EUR", "balance": cents(draw)} for one in wallets)
    categories = [oid(3, at) for at in range(count)]
    app.categories.insert_many({"_id": one, "userId": draw.choice(users), "name": "c", "kind": draw.choice(["INCOME", "expense"])} for one in categories)
    app.budgets.insert_many({"_id": oid(4, at), "userId": draw.choice(users), "categoryId": draw.choice(categories), "month": "2026-01",
                             "limit": cents(draw)} for at in range(count))
    made = [transaction(draw, at, wallets, categories) for at in range(records - 5 * count)]
    for at in range(0, len(made), 5_000):
        app.transactions.insert_many(made[at:at + 5_000])


def edit(_, draw):
    """A round of everything: documents of all collections come, change, and go with what refers to them."""
    app = database()
    fresh = draw.randrange(10**12)
    wallets = [one["_id"] for one in app.wallets.find({}, {"_id": 1})]
    categories = [one["_id"] for one in app.categories.find({}, {"_id": 1})]
    ids = [one["_id"] for one in app.transactions.find({}, {"_id": 1}).limit(400)]
    work = [InsertOne(transaction(draw, fresh + at, wallets, categories)) for at in range(40)]
    for one in draw.sample(ids, 60):
        work.append(draw.choice([
            UpdateOne({"_id": one}, {"$set": {"status": draw.choice(["posted", "void"]), "amount": cents(draw)}}),
            UpdateOne({"_id": one}, {"$unset": {"note": 1}, "$push": {"tags": "more"}}),
            UpdateOne({"_id": one}, {"$set": {"splits": [{"categoryId": categories[0], "amount": cents(draw)}]}}),
            DeleteOne({"_id": one}),
        ]))
    app.transactions.bulk_write(work)
    app.wallets.update_one({"_id": draw.choice(wallets)}, {"$set": {"balance": cents(draw)}})
    app.users.insert_one({"_id": oid(1, fresh), "email": f"new{fresh}@example.org", "name": "New", "createdAt": moment(draw), "settings": {}})
    app.budgets.delete_one({})
    gone = draw.choice(wallets)
    app.transactions.delete_many({"walletId": gone})
    app.wallets.delete_one({"_id": gone})
    category = draw.choice(categories)
    app.transactions.update_many({"categoryId": category}, {"$set": {"categoryId": None}})
    app.budgets.delete_many({"categoryId": category})
    app.categories.delete_one({"_id": category})


def text(value):
    return None if value is None else str(value)


def utc(value):
    return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03}Z"


def places(amount):
    return str(amount.to_decimal().quantize(Decimal128("0.01").to_decimal()))


def expected(_):
    app = database()
    rows = {name: [] for name in TABLES}
    rows["users"] = [(text(one["_id"]), one["email"], one["name"], utc(one["createdAt"]), one["settings"].get("theme")) for one in app.users.find()]
    rows["categories"] = [(text(one["_id"]), text(one["userId"]), one["name"], one["kind"].lower()) for one in app.categories.find()]
    rows["budgets"] = [(text(one["_id"]), text(one["userId"]), text(one["categoryId"]), one["month"], places(one["limit"])) for one in app.budgets.find()]
    totals = {}
    for one in app.transactions.find():
        if one["status"] == "void":
            continue
        name = text(one["_id"])
        rows["transactions"].append((name, text(one["walletId"]), text(one["categoryId"]), places(one["amount"]), utc(one["at"]), one.get("note"), ",".join(one["tags"])))
        rows["transaction_splits"] += [(name, text(at), text(part["categoryId"]), places(part["amount"])) for at, part in enumerate(one.get("splits", []))]
        totals.setdefault(one["walletId"], []).append(one["amount"].to_decimal())
    for one in app.wallets.find():
        rows["wallets"].append((text(one["_id"]), text(one["userId"]), one["name"], one["currency"], places(one["balance"])))
        amounts = totals.get(one["_id"], [])
        rows["wallet_totals"].append((text(one["_id"]), text(len(amounts)), str(sum(amounts)) if amounts else "0"))
    return rows
