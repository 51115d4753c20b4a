"""pend: its store made up, edited, and read as rows, by code that knows nothing of mappings."""

import datetime
import glob
import json
import os
import shutil
from decimal import Decimal

SYMBOLS = ["BTC", "ETH", "SOL", "ADA", "DOT"]
AT = "to_char({0} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"

TABLES = {
    "users": "select id, email, balance::text, frozen::text, " + AT.format("created_at") + " from users",
    "user_profiles": "select user_id, full_name, country, phone from user_profiles",
    "assets": "select user_id, symbol, amount::text, chain from assets",
    "investments": "select user_id, id, plan, amount::text, opened::text, active::text from investments",
    "admin_logs": "select file, position::text, admin, action, target_id from admin_logs",
    "blockchain_events": "select hash, block::text, kind, " + AT.format("at") + ", payload->>'gas' from blockchain_events",
    "kyc_applications": "select id, user_id, status, array_to_string(documents, ','), reviewer from kyc_applications",
    "portfolio": "select user_id, assets::text, invested::text from portfolio",
}


def path(folder, *names):
    return os.path.join(folder, "data", *names)


def load(name):
    with open(name, encoding="utf-8") as file:
        return json.load(file)


def save(name, document):
    """Beside, then renamed: the way this product writes."""
    os.makedirs(os.path.dirname(name), exist_ok=True)
    with open(name + ".tmp", "w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False)
    os.rename(name + ".tmp", name)


def wallet(draw, number):
    investments = [
        {"id": f"i{number}_{at}", "plan": draw.choice(["gold", "green"]), "amount": draw.randrange(1, 9000) / 4,
         "opened": f"{draw.randrange(1, 29):02}/{draw.randrange(1, 13):02}/2025", "active": draw.random() < 0.6}
        for at in range(draw.randrange(3))
    ]
    return {
        "email": f"user{number}@example.org", "balance": draw.choice([f"{draw.randrange(10**6)}.{draw.randrange(10**8):08}", draw.randrange(1000)]),
        "frozen": draw.choice(["yes", "no", 0, 1, False]), "createdAt": 1_600_000_000_000 + draw.randrange(10**11),
        "profile": {"fullName": f"Nn {number}", "country": draw.choice(["NL", "DE", "FR"]), "phone": None if draw.random() < 0.5 else f"+31{number}"},
        "assets": {symbol: asset(draw) for symbol in draw.sample(SYMBOLS, draw.randrange(4))},
        "investments": investments,
    }


def asset(draw):
    return {"amount": draw.choice([f"0.{draw.randrange(1, 10**8):08}", draw.randrange(50)]), "chain": draw.choice(["main", "side"])}


def event(draw, number):
    return {"hash": f"0x{number:064x}", "block": 10**6 + draw.randrange(10**6), "kind": draw.choice(["transfer", "mint"]),
            "timestamp": 1_700_000_000 + draw.randrange(10**7), "payload": {"gas": draw.randrange(21_000, 90_000), "to": [1, {"a": None}]}}


def application(draw, number, user):
    return {"applicationId": f"k{number}", "userId": user, "status": draw.choice(["new", "approved", "rejected"]),
            "submittedAt": "2026-02-03T04:05:06.789Z", "documents": draw.sample(["id.png", "bill.pdf", "face.jpg"], draw.randrange(4)),
            "reviewer": draw.choice([None, "ann", "bob"])}


def create(folder, records, draw):
    users = max(records // 5, 20)
    save(path(folder, "wallet-db.json"), {f"0x{at:040x}": wallet(draw, at) for at in range(users)})
    for month in range(1, 7):
        entries = [entry(draw) for _ in range(records // 60)]
        save(path(folder, f"admin-2026-{month:02}.json"), {"month": f"2026-{month:02}", "entries": entries})
    for at in range(records // 10):
        save(path(folder, "explorer-data", f"{at}.json"), event(draw, at))
    for at in range(records // 20):
        save(path(folder, "uploads", "kyc", f"k{at}", "application.json"), application(draw, at, f"0x{draw.randrange(users):040x}"))


def entry(draw):
    return {"at": f"2026-03-{draw.randrange(1, 29):02}T00:00:00Z", "admin": draw.choice(["root", "ops"]),
            "action": draw.choice(["freeze", "unfreeze", "pay"]), "target": f"0x{draw.randrange(10**6):040x}"}


def edit(folder, draw):
    """A round of everything: users come, change and go with all that is theirs; months are appended to; files come, change and go."""
    wallets = load(path(folder, "wallet-db.json"))
    applications = glob.glob(path(folder, "uploads", "kyc", "*", "application.json"))
    needed = {load(name)["userId"] for name in applications}
    fresh = draw.randrange(10**9)
    for at in range(10):
        wallets[f"0xn{fresh}{at}"] = wallet(draw, fresh + at)
        one = wallets[draw.choice(list(wallets))]
        one["balance"] = f"{draw.randrange(100)}.5"
        one["assets"] = {symbol: asset(draw) for symbol in draw.sample(SYMBOLS, draw.randrange(5))}
        one["investments"] = one["investments"][1:] + [{"id": f"i{fresh}_{at}", "plan": "new", "amount": 12.5, "opened": "01/02/2026", "active": True}]
        one["profile"]["phone"] = None
    for name in [name for name in wallets if name not in needed][:5]:
        del wallets[name]
    save(path(folder, "wallet-db.json"), wallets)
    month = path(folder, f"admin-2026-{draw.randrange(1, 7):02}.json")
    document = load(month)
    document["entries"] = document["entries"][2:] + [entry(draw) for _ in range(5)]
    save(month, document)
    events = glob.glob(path(folder, "explorer-data", "*.json"))
    for at in range(5):
        save(path(folder, "explorer-data", f"n{fresh}{at}.json"), event(draw, 10**12 + fresh + at))
        os.remove(events[at])
        one = load(applications[-1 - at])
        one["status"] = "changed"
        save(applications[-1 - at], one)
        save(path(folder, "uploads", "kyc", f"kn{fresh}{at}", "application.json"), application(draw, f"n{fresh}{at}", draw.choice(list(wallets))))
    shutil.rmtree(os.path.dirname(applications[0]))


def text(value):
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def places(amount, count):
    return format(Decimal(str(amount)).quantize(Decimal(1).scaleb(-count)), "f")


def utc(seconds):
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=round(seconds * 1000))
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def expected(folder):
    rows = {name: [] for name in TABLES}
    for name, one in load(path(folder, "wallet-db.json")).items():
        frozen = one["frozen"] in ("yes", 1)
        rows["users"].append((name, one["email"], places(one["balance"], 8), text(frozen), utc(one["createdAt"] / 1000)))
        rows["user_profiles"].append((name, one["profile"]["fullName"], one["profile"]["country"], one["profile"]["phone"]))
        rows["assets"] += [(name, symbol, places(at["amount"], 8), at["chain"]) for symbol, at in one["assets"].items()]
        for at in one["investments"]:
            day, month, year = at["opened"].split("/")
            rows["investments"].append((name, at["id"], at["plan"], places(at["amount"], 2), f"{year}-{month}-{day}", text(at["active"])))
        active = [Decimal(str(at["amount"])) for at in one["investments"] if at["active"]]
        invested = str(sum(active).quantize(Decimal("0.01"))) if active else "0"
        rows["portfolio"].append((name, text(len(one["assets"])), invested))
    for name in glob.glob(path(folder, "admin-*.json")):
        file = os.path.splitext(os.path.basename(name))[0]
        for at, one in enumerate(load(name)["entries"]):
            rows["admin_logs"].append((file, text(at), one["admin"], one["action"], one["target"]))
    for name in glob.glob(path(folder, "explorer-data", "*.json")):
        one = load(name)
        rows["blockchain_events"].append((one["hash"], text(one["block"]), one["kind"], utc(one["timestamp"]), text(one["payload"]["gas"])))
    for name in glob.glob(path(folder, "uploads", "kyc", "*", "application.json")):
        one = load(name)
        rows["kyc_applications"].append((one["applicationId"], one["userId"], one["status"], ",".join(one["documents"]), one["reviewer"]))
    return rows
