"""flux: its store made up, edited, and read as rows, by code that knows nothing of mappings."""

import json
import os
from decimal import Decimal

STATUS = ["todo", "in-progress", "done", "blocked"]
ROLES = ["Administrator", "admin", "Member", "MEMBER", "guest"]
WORDS = ["pier", "rope", "anchor", "buoy", "crane", "tide", "ledger", "lamp", "née", "Zoë"]
AT = "to_char({0} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"

TABLES = {
    "users": "select id, email, name, role, " + AT.format("created_at") + ", " + AT.format("last_login") + ", theme, notify::text from users",
    "projects": "select id, name, status, owner_id, budget::text, array_to_string(tags, ','), open_tasks::text from projects",
    "tasks": "select project_id, id, place::text, title, status, priority::text, assignee_id, estimate::text, due::text, array_to_string(labels, ',') from tasks",
    "milestones": "select project_id, id, title, due::text, done::text from milestones",
    "project_members": "select project_id, user_id, role from project_members",
    "activities": "select id::text, user_id, project_id, action, details->>'n' from activities",
    "project_task_stats": "select project_id, tasks::text, done::text, estimate::text, members::text from project_task_stats",
    "user_task_stats": "select user_id, assigned::text, done::text from user_task_stats",
}


def moment(draw):
    return f"2026-{draw.randrange(1, 13):02}-{draw.randrange(1, 29):02}T{draw.randrange(24):02}:{draw.randrange(60):02}:{draw.randrange(60):02}.{draw.randrange(1000):03}Z"


def day(draw):
    return f"2026-{draw.randrange(1, 13):02}-{draw.randrange(1, 29):02}"


def user(draw, number):
    return {
        "id": f"u_{number}", "email": f" User{number}@Example.org", "name": f"{draw.choice(WORDS)} {number}", "role": draw.choice(ROLES),
        "createdAt": moment(draw), "lastLogin": moment(draw) if draw.random() < 0.6 else None,
        "settings": {"theme": draw.choice(["dark", "light"]), "notifications": draw.random() < 0.5},
    }


def task(draw, number, users):
    """`users`: their ids."""
    return {
        "id": f"t_{number}", "title": f"{draw.choice(WORDS)} {number}", "status": draw.choice(STATUS), "priority": draw.randrange(1, 6),
        "assigneeId": draw.choice(users) if draw.random() < 0.7 else None,
        "estimate": draw.randrange(1, 80) / 4 if draw.random() < 0.5 else None, "dueDate": day(draw),
        "labels": draw.sample(WORDS, draw.randrange(3)),
    }


def project(draw, number, users, tasks):
    members = draw.sample(users, min(len(users), draw.randrange(8)))
    return {
        "id": f"p_{number}", "name": f"{draw.choice(WORDS)} project {number}", "status": draw.choice(["active", "paused", "archived"]),
        "ownerId": draw.choice(users), "budget": f"${draw.randrange(1, 90):,},{draw.randrange(1000):03}.{draw.randrange(100):02}",
        "tags": draw.sample(WORDS, draw.randrange(4)), "createdAt": moment(draw),
        "members": [{"userId": at, "role": draw.choice(["editor", "viewer"]), "joinedAt": moment(draw)} for at in members],
        "milestones": [{"id": f"m_{number}_{at}", "title": draw.choice(WORDS), "dueDate": day(draw), "done": draw.random() < 0.3} for at in range(draw.randrange(6))],
        "tasks": [task(draw, at, users) for at in tasks],
    }


def path(folder, name):
    return os.path.join(folder, "data", name)


def load(folder, name):
    with open(path(folder, name), encoding="utf-8") as file:
        return json.load(file)


def save(folder, name, document, atomic=True):
    target = path(folder, name)
    with open(target + ".new" if atomic else target, "w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False)
    if atomic:
        os.rename(target + ".new", target)


def create(folder, records, draw):
    os.makedirs(os.path.join(folder, "data"), exist_ok=True)
    users = max(records // 20, 20)
    projects = max(records // 50, 5)
    each = 30
    save(folder, "users.json", [user(draw, at) for at in range(users)])
    ids = [f"u_{at}" for at in range(users)]
    made = [project(draw, at, ids, range(at * each, (at + 1) * each)) for at in range(projects)]
    save(folder, "projects.json", {"version": 1, "projects": made})
    with open(path(folder, "activity.ndjson"), "w", encoding="utf-8") as file:
        for at in range(records // 7):
            file.write(json.dumps(activity(draw, at, users, projects)) + "\n")


def activity(draw, number, users, projects):
    return {"id": number, "at": moment(draw), "userId": f"u_{draw.randrange(users)}", "projectId": f"p_{draw.randrange(projects)}",
            "action": draw.choice(["created", "moved", "closed"]), "details": {"n": str(number)}}


def edit(folder, draw):
    """A round of everything: nested inserts, moves of tasks between projects, deletes of every entity, a log that grows."""
    users, document = load(folder, "users.json"), load(folder, "projects.json")
    projects = document["projects"]
    fresh = draw.randrange(10**9)
    ids = [one["id"] for one in users]
    for at in range(12):
        one, other = draw.sample(projects, 2)
        one["tasks"].append(task(draw, f"{fresh}_{at}", ids))
        if other["tasks"]:
            moved = other["tasks"].pop(draw.randrange(len(other["tasks"])))
            one["tasks"].insert(draw.randrange(len(one["tasks"]) + 1), moved)
        if one["tasks"]:
            changed = draw.choice(one["tasks"])
            changed["status"], changed["estimate"] = draw.choice(STATUS), draw.choice([None, 1.25, 8])
        for part in ("tasks", "milestones", "members"):
            if other[part]:
                other[part].pop(draw.randrange(len(other[part])))
        draw.shuffle(one["milestones"])
        one["milestones"].append({"id": f"m_{fresh}_{at}", "title": "new", "dueDate": day(draw), "done": False})
    projects.append(project(draw, fresh, ids, []))
    projects.pop(draw.randrange(len(projects) // 2))
    document["version"] += 1
    users.append(user(draw, fresh))
    gone = users.pop(draw.randrange(len(users) // 2))["id"]
    for one in projects:
        one["members"] = [at for at in one["members"] if at["userId"] != gone]
        one["ownerId"] = users[0]["id"] if one["ownerId"] == gone else one["ownerId"]
        for at in one["tasks"]:
            at["assigneeId"] = None if at["assigneeId"] == gone else at["assigneeId"]
    draw.choice(users)["lastLogin"] = moment(draw)
    save(folder, "users.json", users, atomic=draw.random() < 0.5)
    save(folder, "projects.json", document, atomic=draw.random() < 0.5)
    with open(path(folder, "activity.ndjson"), "a", encoding="utf-8") as file:
        for at in range(20):
            file.write(json.dumps(activity(draw, fresh + at, len(users), len(projects))) + "\n")


def text(value):
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def money(amount, places):
    return str(Decimal(str(amount).replace("$", "").replace(",", "")).quantize(Decimal(1).scaleb(-places)))


def expected(folder):
    users, projects = load(folder, "users.json"), load(folder, "projects.json")["projects"]
    rows = {name: [] for name in TABLES}
    tasks = []
    for one in users:
        role = {"administrator": "admin"}.get(one["role"].lower(), one["role"].lower())
        rows["users"].append((one["id"], one["email"].strip().lower(), one["name"], role, one["createdAt"], one["lastLogin"],
                              one["settings"]["theme"], text(one["settings"]["notifications"])))
    for one in projects:
        unfinished = [at for at in one["tasks"] if at["status"] != "done"]
        rows["projects"].append((one["id"], one["name"], one["status"], one["ownerId"], money(one["budget"], 2), ",".join(one["tags"]), text(len(unfinished))))
        for place, at in enumerate(one["tasks"]):
            status = "in_progress" if at["status"] == "in-progress" else at["status"]
            estimate = None if at["estimate"] is None else money(at["estimate"], 2)
            rows["tasks"].append((one["id"], at["id"], text(place), at["title"], status, text(at["priority"]), at["assigneeId"], estimate, at["dueDate"], ",".join(at["labels"])))
            tasks.append(at)
        rows["milestones"] += [(one["id"], at["id"], at["title"], at["dueDate"], text(at["done"])) for at in one["milestones"]]
        rows["project_members"] += [(one["id"], at["userId"], at["role"]) for at in one["members"]]
        done = sum(at["status"] == "done" for at in one["tasks"])
        estimates = [Decimal(str(at["estimate"])) for at in one["tasks"] if at["estimate"] is not None]
        total = str(sum(estimates).quantize(Decimal("0.01"))) if estimates else "0"
        rows["project_task_stats"].append((one["id"], text(len(one["tasks"])), text(done), total, text(len(one["members"]))))
    count = {}
    for at in tasks:
        assigned, done = count.get(at["assigneeId"], (0, 0))
        count[at["assigneeId"]] = (assigned + 1, done + (at["status"] == "done"))
    rows["user_task_stats"] = [(one["id"], *map(text, count.get(one["id"], (0, 0)))) for one in users]
    with open(path(folder, "activity.ndjson"), encoding="utf-8") as file:
        for line in map(json.loads, file):
            rows["activities"].append((text(line["id"]), line["userId"], line["projectId"], line["action"], line["details"]["n"]))
    return rows
