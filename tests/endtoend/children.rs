//! Nested arrays, maps and objects as rows of tables below: loaded in bulk, live, under kills, from files and from MongoDB.
//!
//! What is expected is computed here from the store's own JSON, by code that knows nothing of mappings.

use bson::{Document, doc};
use landfall_tests::config::Config;
use landfall_tests::kill_point::KillPoint;
use landfall_tests::mongo_server::MongoServer;
use landfall_tests::seed::Seed;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

/// Tables below `projects`, each with the query that shows it.
const TABLES: [(&str, &str); 7] = [
    ("projects", "select id, name, coalesce(rest::text, '') from projects order by 1"),
    ("budgets", "select project_id, currency, amount::text from budgets order by 1"),
    ("tasks", "select project_id, id, place::text, title, coalesce(rest::text, '') from tasks order by 1, 2"),
    (
        "subtasks",
        "select project_id, task_id, position::text, title, coalesce(done::text, '') from subtasks order by 1, 2, 3::int",
    ),
    ("tags", "select project_id, position::text, value from projects_tags order by 1, 2::int"),
    ("members", "select project_id, user_id, role from members order by 1, 2"),
    ("profile", "select project_id, colour, coalesce(icon, '') from profiles order by 1"),
];

fn children() -> Value {
    json!({
        "budgets": { "shape": "object", "from": "/", "table": "budgets", "parent": "project_id",
                     "columns": { "currency": "text", "amount": "numeric(12,2)" } },
        "tasks": { "key": { "from": "id", "type": "text" }, "table": "tasks", "parent": "project_id", "order": "place",
                   "columns": { "title": { "type": "text", "required": true } },
                   "children": { "subtasks": { "table": "subtasks", "parent": "task_id", "rest": false,
                                               "columns": { "title": "text", "done": "boolean" } } } },
        "tags": { "value": "text", "parent": "project_id" },
        "members": { "shape": "map", "key": { "name": "user_id" }, "table": "members", "parent": "project_id",
                     "columns": { "role": "text" } },
        "profile": { "shape": "object", "table": "profiles", "parent": "project_id",
                     "columns": { "colour": "text", "icon": "text" } },
    })
}

type Rows = Vec<Vec<String>>;

fn word(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// What the tables hold for a store: `{ id: project }`.
fn expected(store: &BTreeMap<String, Value>) -> BTreeMap<&'static str, Rows> {
    let mut out: BTreeMap<&str, Rows> = TABLES.iter().map(|(table, _)| (*table, Rows::new())).collect();
    let mut add = |table: &str, row: Vec<String>| out.get_mut(table).unwrap().push(row);
    for (id, project) in store {
        // Empty and missing values make no row and stay where they were.
        let mut rest = Map::new();
        for name in ["tags", "members", "tasks"] {
            let empty = |v: &Value| v.as_array().is_some_and(Vec::is_empty) || v.as_object().is_some_and(Map::is_empty);
            if let Some(value) = project.get(name).filter(|value| value.is_null() || empty(value)) {
                rest.insert(name.to_owned(), value.clone());
            }
        }
        let rest = if rest.is_empty() { String::new() } else { Value::Object(rest).to_string() };
        add("projects", vec![id.clone(), word(project.get("name")), rest]);
        let cents = project["amount"].as_i64().unwrap();
        add("budgets", vec![id.clone(), word(project.get("currency")), format!("{cents}.00")]);
        for (place, tag) in project["tags"].as_array().into_iter().flatten().enumerate() {
            add("tags", vec![id.clone(), place.to_string(), word(Some(tag))]);
        }
        for (user, member) in project["members"].as_object().into_iter().flatten() {
            add("members", vec![id.clone(), user.clone(), word(member.get("role"))]);
        }
        if let Some(profile) = project["profile"].as_object() {
            add("profile", vec![id.clone(), word(profile.get("colour")), word(profile.get("icon"))]);
        }
        for (place, task) in project["tasks"].as_array().into_iter().flatten().enumerate() {
            let task_id = word(task.get("id"));
            let rest =
                task.get("estimate").map_or_else(String::new, |estimate| json!({ "estimate": estimate }).to_string());
            let row = [id.clone(), task_id.clone(), place.to_string(), word(task.get("title")), rest];
            add("tasks", row.to_vec());
            for (place, sub) in task["subtasks"].as_array().into_iter().flatten().enumerate() {
                let row =
                    [id.clone(), task_id.clone(), place.to_string(), word(sub.get("title")), word(sub.get("done"))];
                add("subtasks", row.to_vec());
            }
        }
    }
    out.values_mut().for_each(|rows| rows.sort());
    out
}

fn found(site: &Site) -> BTreeMap<&'static str, Rows> {
    let tables = TABLES.iter().map(|(table, sql)| {
        let rows = site.database().rows(sql).into_iter();
        let mut rows: Rows = rows.map(|row| row.into_iter().map(Option::unwrap_or_default).collect()).collect();
        // `jsonb` shows a space behind each colon and comma.
        for cell in rows.iter_mut().flatten().filter(|cell| cell.starts_with('{')) {
            *cell = serde_json::from_str::<Value>(cell).unwrap().to_string();
        }
        rows.sort();
        (*table, rows)
    });
    tables.collect()
}

fn expect_soon(site: &Site, store: &BTreeMap<String, Value>, moment: &str) {
    let wanted = expected(store);
    let deadline = std::time::Instant::now() + SOON;
    loop {
        let stands = found(site);
        if stands == wanted {
            return;
        }
        if std::time::Instant::now() > deadline {
            for (table, rows) in &wanted {
                let missing: Vec<_> = rows.iter().filter(|row| !stands[table].contains(row)).take(3).collect();
                let extra: Vec<_> = stands[table].iter().filter(|row| !rows.contains(row)).take(3).collect();
                assert!(
                    missing.is_empty() && extra.is_empty(),
                    "{table} {moment}: missing {missing:?}, extra {extra:?}"
                );
            }
            panic!("rows stand twice {moment}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn task(seed: &mut Seed, number: u64) -> Value {
    let subtasks: Vec<Value> = (0..seed.below(3))
        .map(|n| json!({ "title": format!("step {n} of {}", seed.below(9)), "done": seed.one_in(2) }))
        .collect();
    let mut task =
        json!({ "id": format!("t{number}"), "title": format!("task {}", seed.below(50)), "subtasks": subtasks });
    if seed.one_in(3) {
        task["estimate"] = json!(seed.below(40));
    }
    // An empty list leaves itself in the rest of its task; this store does not write any.
    if task["subtasks"].as_array().is_some_and(Vec::is_empty) {
        task.as_object_mut().unwrap().remove("subtasks");
    }
    task
}

fn project(seed: &mut Seed, next: &mut u64) -> Value {
    let tasks: Vec<Value> = (0..seed.below(5))
        .map(|_| {
            *next += 1;
            task(seed, *next)
        })
        .collect();
    let tags: Vec<Value> = (0..seed.below(4)).map(|_| json!(format!("tag \"{}\" 'é", seed.below(6)))).collect();
    let mut members = Map::new();
    for _ in 0..seed.below(3) {
        members.insert(format!("user/{}~", seed.below(8)), json!({ "role": *seed.pick(&["owner", "guest"]) }));
    }
    let mut project = json!({ "name": format!("project {}", seed.below(100)), "currency": "EUR", "amount": seed.below(1_000),
                              "tasks": tasks, "tags": tags, "members": members });
    match seed.below(4) {
        0 => project["profile"] = json!({ "colour": "red", "icon": "star" }),
        1 => project["profile"] = json!({ "colour": format!("#{}", seed.below(99)) }),
        2 => project["tags"] = Value::Null,
        _ => drop(project.as_object_mut().unwrap().remove("members")),
    }
    project
}

/// One edit of any kind; a task may move from one project to another.
fn edit(store: &mut BTreeMap<String, Value>, seed: &mut Seed, next: &mut u64) {
    let ids: Vec<String> = store.keys().cloned().collect();
    let (id, other) = (seed.pick(&ids).clone(), seed.pick(&ids).clone());
    match seed.below(8) {
        0 => {
            *next += 1;
            let (name, new) = (format!("p{next:05}"), project(seed, next));
            drop(store.insert(name, new));
        }
        1 if ids.len() > 20 => drop(store.remove(&id)),
        2 => {
            let moved = store.get_mut(&id).and_then(|p| p["tasks"].as_array_mut()).and_then(Vec::pop);
            if let (Some(moved), Some(tasks)) = (moved, store.get_mut(&other).and_then(|p| p["tasks"].as_array_mut())) {
                tasks.insert(0, moved);
            }
        }
        3 => {
            if let Some(tasks) = store.get_mut(&id).and_then(|p| p["tasks"].as_array_mut()) {
                tasks.reverse();
            }
        }
        4 => {
            *next += 1;
            let new = task(seed, *next);
            if let Some(tasks) = store.get_mut(&id).and_then(|p| p["tasks"].as_array_mut()) {
                tasks.push(new);
            }
        }
        5 => drop(store.insert(id, project(seed, next))),
        6 => store.get_mut(&id).unwrap()["members"] = json!({ "one": { "role": "owner" } }),
        _ => store.get_mut(&id).unwrap()["name"] = json!(format!("renamed {}", seed.below(1_000))),
    }
}

fn write(site: &Site, store: &BTreeMap<String, Value>) {
    let next = site.path("next.json");
    std::fs::write(&next, serde_json::to_vec(store).unwrap()).unwrap();
    std::fs::rename(next, site.path("projects.json")).unwrap();
}

fn site(name: &str) -> Site {
    let config = Config::new(name).document("store", "projects.json").stream(
        "projects",
        "store",
        json!({ "key": { "type": "text", "name": "id" }, "columns": { "name": "text" }, "children": children() }),
    );
    let site = Site::new(config);
    site.apply_schema();
    site
}

#[test]
fn a_nested_store_becomes_tables_and_stays_them_through_edits_of_every_kind_and_kills() {
    let site = site("children");
    let (mut seed, mut next) = (Seed::new(11), 0);
    let mut store = BTreeMap::new();
    for n in 0..400 {
        store.insert(format!("p{n:05}"), project(&mut seed, &mut next));
    }
    write(&site, &store);
    let mut service = site.run_and_listen();
    expect_soon(&site, &store, "after the first load");
    for round in 0..24 {
        for _ in 0..=seed.below(40) {
            edit(&mut store, &mut seed, &mut next);
        }
        write(&site, &store);
        if round % 4 == 1 {
            service.kill();
            let _ = service.finish(Duration::from_secs(10));
            service = site.run_and_listen();
        }
        if round % 3 == 2 {
            expect_soon(&site, &store, "after live edits");
        }
    }
    // Everything at once: more rows than travel as arrays.
    for project in store.values_mut() {
        project["tags"] = json!(["the", "same", "for", "all"]);
    }
    write(&site, &store);
    expect_soon(&site, &store, "after an edit of every record");
    store.retain(|id, _| id.as_str() < "p00350");
    write(&site, &store);
    expect_soon(&site, &store, "after many deletes");
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
    assert_eq!(site.database().count("select count(*) from landfall.dead_letters"), 0);
}

#[test]
fn a_kill_between_the_rows_and_the_commit_leaves_no_half_of_a_record() {
    for point in ["sink::before_commit", "sink::after_commit", "sink::before_finish_bulk"] {
        let site = site("children_killed");
        let (mut seed, mut next) = (Seed::new(3), 0);
        let mut store: BTreeMap<_, _> = (0..50).map(|n| (format!("p{n:05}"), project(&mut seed, &mut next))).collect();
        write(&site, &store);
        let point = KillPoint { name: point, hit: 1 };
        let _ = site.command(&["run"]).kill_at(&point).finish(SOON);
        (0..60).for_each(|_| edit(&mut store, &mut seed, &mut next));
        write(&site, &store);
        site.catch_up();
        expect_soon(&site, &store, point.name);
    }
}

#[test]
fn what_is_not_what_its_table_is_made_of_parks_its_record_and_says_where() {
    let site = site("children_parked");
    let good = json!({ "name": "good", "currency": "EUR", "amount": 1, "tags": ["a"] });
    let with = |name: &str, value: Value| {
        let mut project = good.clone();
        project[name] = value;
        project
    };
    let store: BTreeMap<String, Value> = [
        ("a", good.clone()),
        ("b", with("tags", json!("not a list"))),
        ("c", with("tasks", json!([{ "id": 1, "title": "a number is no text" }]))),
        ("d", with("tasks", json!([{ "id": "x", "title": "one" }, { "id": "x", "title": "twice" }]))),
        ("e", with("tasks", json!([{ "title": "no key" }]))),
        ("f", with("tasks", json!([{ "id": "y", "title": null }]))),
        ("g", with("tasks", json!([5]))),
        ("h", with("members", json!({ "secret name": { "role": 7 } }))),
        ("i", with("profile", json!([1]))),
        ("j", with("tasks", json!([{ "id": "z", "title": "t", "subtasks": [{ "done": "perhaps" }] }]))),
    ]
    .into_iter()
    .map(|(id, project)| (id.to_owned(), project))
    .collect();
    write(&site, &store);
    site.catch_up();
    let dead = "select convert_from(key, 'UTF8'), code, path from landfall.dead_letters order by 1";
    let dead: Rows = site.database().rows(dead).into_iter().map(|row| row.into_iter().flatten().collect()).collect();
    let wanted = [
        ["s:b", "child_shape", "/tags"],
        ["s:c", "key_type", "/tasks/0/id"],
        ["s:d", "duplicate_child", "/tasks/1/id"],
        ["s:e", "key_missing", "/tasks/0/id"],
        ["s:f", "required_missing", "/tasks/0/title"],
        ["s:g", "child_shape", "/tasks/0"],
        ["s:h", "column_type", "/members/*/role"],
        ["s:i", "child_shape", "/profile"],
        ["s:j", "column_type", "/tasks/0/subtasks/0/done"],
    ];
    assert_eq!(dead, wanted);
    expect_soon(&site, &store.into_iter().take(1).collect(), "beside parked records");
}

#[test]
fn embedded_documents_of_mongodb_become_tables_too() {
    let database = MongoServer::shared().database("children");
    let (mut seed, mut next) = (Seed::new(5), 0);
    let mut store: BTreeMap<String, Value> =
        (0..120).map(|n| (format!("p{n:05}"), project(&mut seed, &mut next))).collect();
    let document = |id: &String, project: &Value| {
        let mut document: Document = bson::serialize_to_document(project).unwrap();
        // The driver of the test writes unsigned numbers as longs, which numeric columns take as they are.
        document.insert("_id", id.clone());
        document
    };
    let all: Vec<Document> = store.iter().map(|(id, project)| document(id, project)).collect();
    database.run(doc! { "insert": "projects", "documents": all });
    let config = Config::new("mongo_children").mongo("app", database.name()).stream(
        "projects",
        "app",
        json!({ "key": { "type": "text", "name": "id" }, "columns": { "name": "text" }, "children": children(), "rest": true }),
    );
    let site = Site::new(config).mongo(database.uri());
    site.apply_schema();
    let service = site.run_and_listen();
    let tables = ["tasks", "subtasks", "tags", "members", "profile"];
    let agrees = |store: &BTreeMap<String, Value>| {
        let (wanted, stands) = (expected(store), found(&site));
        tables.iter().all(|table| *table == "tasks" || stands[table] == wanted[table])
            && stands["tasks"].iter().map(|row| &row[..4]).eq(wanted["tasks"].iter().map(|row| &row[..4]))
            && stands["projects"].len() == wanted["projects"].len()
    };
    wait_until(SOON, "the copy holds the tables below", || agrees(&store));
    for _ in 0..60 {
        let before = store.clone();
        edit(&mut store, &mut seed, &mut next);
        for id in before.keys().filter(|id| !store.contains_key(*id)) {
            database.run(doc! { "delete": "projects", "deletes": [{ "q": { "_id": id }, "limit": 1 }] });
        }
        for (id, project) in store.iter().filter(|(id, project)| before.get(*id) != Some(project)) {
            let change = doc! { "q": { "_id": id }, "u": document(id, project), "upsert": true };
            database.run(doc! { "update": "projects", "updates": [change] });
        }
    }
    wait_until(SOON, "the changes reach the tables below", || agrees(&store));
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
    assert_eq!(site.database().count("select count(*) from landfall.dead_letters"), 0);
}
