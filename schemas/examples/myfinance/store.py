"""myfinance: its SQLite file made up, edited, and read as rows, by code that knows nothing of mappings."""

import json
import os
import sqlite3
from decimal import Decimal

TABLES = {
    "accounts": "select id::text, name, kind, opened::text, closed::text from accounts",
    "categories": "select id::text, name, parent_id::text from categories",
    "transactions": "select id::text, account_id::text, category_id::text, amount::text, booked::text, memo, encode(receipt, 'hex') from transactions",
    "budgets": "select category_id::text, month, amount::text from budgets",
    "settings": "select name, value::text from settings",
    "account_balances": "select account_id::text, transactions::text, balance::text from account_balances",
}

SCHEMA = """
PRAGMA journal_mode = wal;
CREATE TABLE accounts (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT, opened_on TEXT, closed INTEGER NOT NULL DEFAULT 0);
CREATE TABLE categories (id INTEGER PRIMARY KEY, name TEXT, parent_id INTEGER);
CREATE TABLE transactions (id INTEGER PRIMARY KEY, account_id INTEGER NOT NULL, category_id INTEGER, amount_cents INTEGER NOT NULL,
                           booked_on TEXT NOT NULL, memo TEXT, receipt BLOB);
CREATE TABLE budgets (category_id INTEGER NOT NULL, month TEXT NOT NULL, limit_cents INTEGER NOT NULL, PRIMARY KEY (category_id, month)) WITHOUT ROWID;
CREATE TABLE settings (name TEXT PRIMARY KEY, value);
"""


def connect(folder):
    os.makedirs(os.path.join(folder, "data"), exist_ok=True)
    return sqlite3.connect(os.path.join(folder, "data", "myfinance.db"), timeout=30)


def transaction(draw, accounts, categories):
    return (draw.choice(accounts), draw.choice(categories + [None]), draw.randrange(-900_000, 900_000), f"2026-{draw.randrange(1, 13):02}-{draw.randrange(1, 29):02}",
            draw.choice([None, "née", f"memo {draw.randrange(99)}"]), draw.choice([None, None, bytes([draw.randrange(256), 0, 255])]))


def create(folder, records, draw):
    with connect(folder) as store:
        store.executescript(SCHEMA)
        accounts, categories = list(range(1, 41)), list(range(1, 61))
        store.executemany("insert into accounts values (?, ?, ?, ?, ?)",
                          [(at, f"Account {at}", draw.choice(["cash", "bank"]), f"20{draw.randrange(10, 26)}-01-02", draw.randrange(2)) for at in accounts])
        store.executemany("insert into categories values (?, ?, ?)", [(at, f"c{at}", draw.choice([None, 1 + at // 2])) for at in categories])
        store.executemany("insert into budgets values (?, ?, ?)", [(at, f"2026-{month:02}", draw.randrange(90_000)) for at in categories for month in range(1, 5)])
        store.executemany("insert into settings values (?, ?)", [("currency", "EUR"), ("page", 25), ("ratio", 0.5), ("empty", None)])
        insert = "insert into transactions (account_id, category_id, amount_cents, booked_on, memo, receipt) values (?, ?, ?, ?, ?, ?)"
        store.executemany(insert, [transaction(draw, accounts, categories) for _ in range(records)])


def edit(folder, draw):
    """A round of everything, in transactions; one of them is rolled back."""
    store = connect(folder)
    accounts = [row[0] for row in store.execute("select id from accounts")]
    categories = [row[0] for row in store.execute("select id from categories")]
    insert = "insert into transactions (account_id, category_id, amount_cents, booked_on, memo, receipt) values (?, ?, ?, ?, ?, ?)"
    with store:
        store.executemany(insert, [transaction(draw, accounts, categories) for _ in range(60)])
        store.execute("update transactions set amount_cents = amount_cents + 1, memo = 'changed' where id % 97 = ?", [draw.randrange(97)])
        store.execute("delete from transactions where id % 101 = ?", [draw.randrange(101)])
        store.execute("update budgets set limit_cents = ? where category_id = ?", [draw.randrange(90_000), draw.choice(categories)])
        store.execute("update settings set value = ? where name = 'page'", [draw.choice([10, "ten", 2.5])])
    with store:
        gone = draw.choice(accounts)
        store.execute("delete from transactions where account_id = ?", [gone])
        store.execute("delete from accounts where id = ?", [gone])
        fresh = draw.randrange(10**9)
        store.execute("insert into accounts values (?, ?, 'bank', '2026-11-26', 0)", [fresh, f"Account {fresh}"])
        category = draw.choice(categories)
        store.execute("update transactions set category_id = null where category_id = ?", [category])
        store.execute("update categories set parent_id = null where parent_id = ?", [category])
        store.execute("delete from budgets where category_id = ?", [category])
        store.execute("delete from categories where id = ?", [category])
    store.execute("delete from transactions")
    store.rollback()
    store.close()


def text(value):
    return None if value is None else str(value)


def amount(cents):
    return str((Decimal(cents) / 100).quantize(Decimal("0.01")))


def expected(folder):
    store = connect(folder)
    rows = {name: [] for name in TABLES}
    rows["accounts"] = [(text(at), name, kind, opened, "true" if closed else "false") for at, name, kind, opened, closed in store.execute("select * from accounts")]
    rows["categories"] = [tuple(map(text, row)) for row in store.execute("select id, name, parent_id from categories")]
    rows["budgets"] = [(text(at), month, amount(cents)) for at, month, cents in store.execute("select * from budgets")]
    rows["settings"] = [(name, None if value is None else json.dumps(value)) for name, value in store.execute("select * from settings")]
    totals = {}
    for at, account, category, cents, booked, memo, receipt in store.execute("select * from transactions"):
        rows["transactions"].append((text(at), text(account), text(category), amount(cents), booked, memo, None if receipt is None else receipt.hex()))
        count, total = totals.get(account, (0, 0))
        totals[account] = (count + 1, total + cents)
    for (account, *_) in rows["accounts"]:
        count, total = totals.get(int(account), (0, None))
        rows["account_balances"].append((account, text(count), "0" if total is None else amount(total)))
    store.close()
    return rows
