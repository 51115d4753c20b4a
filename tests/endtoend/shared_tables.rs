//! Several streams in one table, told apart by its first key column: equal keys stay two rows, and whatever happens to the rows of one
//! stream happens to no other's.

use bson::doc;
use landfall_tests::config::Config;
use landfall_tests::landfall::Landfall;
use landfall_tests::mongo_server::MongoServer;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(45);

/// Tasks by id: title, and how many notes below it.
type Tasks = BTreeMap<u32, (String, usize)>;

fn write(site: &Site, project: &str, tasks: &Tasks) {
    let task = |(id, (title, notes)): (&u32, &(String, usize))| {
        let notes: Vec<Value> = (0..*notes).map(|n| json!({ "text": format!("note {n}") })).collect();
        json!({ "id": id, "title": title, "notes": notes })
    };
    let path = site.path(&format!("{project}.json"));
    let beside = path.with_extension("tmp");
    std::fs::write(&beside, Value::from(tasks.iter().map(task).collect::<Vec<_>>()).to_string()).unwrap();
    std::fs::rename(beside, path).unwrap();
}

fn tasks(project: &str, ids: std::ops::Range<u32>) -> Tasks {
    ids.map(|id| (id, (format!("{project} {id}"), id as usize % 3))).collect()
}

fn stream(project: &str) -> Value {
    json!({
        "table": "tasks", "discriminator": { "column": "project", "value": format!("it's {project}\\") },
        "key": { "from": "id", "type": "integer" }, "columns": { "title": "text" },
        "children": { "notes": { "columns": { "text": "text" } } }, "unique": [["project", "title"]],
    })
}

fn site(name: &str) -> Site {
    let mut config = Config::new(name);
    for project in ["red", "blue"] {
        let path = format!("{project}.json");
        config = config.source(project, json!({ "kind": "json_document", "path": path, "rescan": "300ms" })).stream(
            &format!("{project}_tasks"),
            project,
            stream(project),
        );
    }
    Site::new(config)
}

/// Both projects stand in both tables, and nothing else.
fn expect(site: &Site, moment: &str, wanted: &[(&str, &Tasks)]) {
    let mut rows = Vec::new();
    let mut below = 0;
    for (project, tasks) in wanted {
        for (id, (title, notes)) in *tasks {
            rows.push(vec![Some(format!("it's {project}\\")), Some(id.to_string()), Some(title.clone())]);
            below += *notes as i64;
        }
    }
    rows.sort();
    wait_until(SOON, moment, || {
        let mut database = site.database();
        let mut seen = database.rows("select project, id::text, title from tasks");
        seen.sort();
        seen == rows && database.count("select count(*) from tasks_notes") == below
    });
    let orphans = "select count(*) from tasks_notes n left join tasks t on (t.project, t.id) = (n.project, n.tasks_id) where t.id is null";
    assert_eq!(site.database().count(orphans), 0, "{moment}");
}

fn end(service: Landfall) {
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

#[test]
fn two_documents_share_a_table_and_a_lost_state_deletes_rows_of_its_own_alone() {
    let site = site("shared_documents");
    let (mut red, mut blue) = (tasks("red", 0..120), tasks("blue", 60..200));
    write(&site, "red", &red);
    write(&site, "blue", &blue);
    site.apply_schema();
    let service = site.run_and_listen();
    expect(&site, "after the first load", &[("red", &red), ("blue", &blue)]);
    (60..70).for_each(|id| drop(red.remove(&id)));
    blue.insert(60, ("changed".to_owned(), 5));
    write(&site, "red", &red);
    write(&site, "blue", &blue);
    expect(&site, "after deletes in one and changes in the other", &[("red", &red), ("blue", &blue)]);
    end(service);

    std::fs::remove_dir_all(site.path("state")).unwrap();
    (100..110).for_each(|id| drop(red.remove(&id)));
    write(&site, "red", &red);
    let service = site.run_and_listen();
    for project in ["red", "blue"] {
        let stream = format!("{project}_tasks");
        site.expect_stream(&stream, "halted", |stream| stream.text().contains("queue_changed"));
        let _ = site.finish(&["accept", &stream, "queue_changed"]).expect(0);
    }
    expect(&site, "after the state was lost", &[("red", &red), ("blue", &blue)]);
    end(service);
    let _ = site.finish(&["schema", "apply", "--constraints"]).expect(0);
    let keys = "select count(*) from pg_constraint where conrelid in ('tasks'::regclass, 'tasks_notes'::regclass) and contype in ('f', 'u')";
    assert_eq!(
        site.database().count(keys),
        2,
        "one foreign key and one unique constraint, whatever the number of streams"
    );
}

#[test]
fn collections_of_a_pattern_share_a_table_and_a_dropped_one_takes_its_own_rows() {
    let database = MongoServer::shared().database("shared");
    let fill = |collection: &str, ids: std::ops::Range<i32>| {
        let documents: Vec<_> = ids.map(|n| doc! { "_id": n, "text": format!("{collection} {n}") }).collect();
        database.run(doc! { "insert": collection, "documents": documents });
    };
    fill("logs_a", 0..300);
    fill("logs_b", 100..500);
    let entry = json!({
        "select": "logs_*", "table": "logs", "discriminator": "tenant", "on_drop": "delete", "columns": { "text": "text" },
    });
    let config = Config::new("shared_pattern").mongo("app", database.name()).stream("logs", "app", entry);
    let site = Site::new(config).mongo(database.uri());
    site.apply_schema();
    let service = site.run_and_listen();
    let counts = |site: &Site| {
        let sql = "select tenant, count(*)::text from logs group by 1 order by 1";
        site.database().try_rows(sql).unwrap_or_default().into_iter().flatten().flatten().collect::<Vec<_>>().join(" ")
    };
    wait_until(SOON, "both collections", || counts(&site) == "logs_a 300 logs_b 400");
    fill("logs_c", 0..10);
    database.run(doc! { "delete": "logs_b", "deletes": [{ "q": { "_id": { "$lt": 200 } }, "limit": 0 }] });
    wait_until(SOON, "a new one and deletes in another", || counts(&site) == "logs_a 300 logs_b 300 logs_c 10");
    database.drop_collection("logs_b");
    wait_until(SOON, "one is dropped", || counts(&site) == "logs_a 300 logs_c 10");
    end(service);
}

#[test]
fn what_cannot_share_is_refused_with_what_to_write() {
    let mut other = stream("blue");
    other["columns"] = json!({ "title": "text", "due": "date" });
    let same = stream("red");
    for (number, (second, said)) in
        [(other, "columns, indexes or children differ"), (same, "have one discriminator")].iter().enumerate()
    {
        let config = Config::new(&format!("shared_refused_{number}"))
            .document("store", "store.json")
            .stream("one", "store", json!({ "select": "/one" }).merged(&stream("red")))
            .stream("two", "store", json!({ "select": "/two" }).merged(second));
        let site = Site::new(config);
        let refused = site.finish(&["schema", "plan"]);
        assert!(refused.output().contains(said), "{}", refused.output());
    }
}

trait Merged {
    fn merged(self, other: &Value) -> Value;
}

impl Merged for Value {
    fn merged(mut self, other: &Value) -> Value {
        if let (Value::Object(own), Value::Object(other)) = (&mut self, other) {
            own.extend(other.clone());
        }
        self
    }
}
