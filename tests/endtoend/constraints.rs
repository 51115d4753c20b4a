//! Foreign keys and uniqueness: declared, absent while streams are followed, built when they are quiet and nothing is against them.

use landfall_tests::config::Config;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);
const BUILT: &str = "select conname::text, contype::text, convalidated::text from pg_constraint c join pg_namespace n on n.oid = c.connamespace \
                     where nspname = 'public' and contype in ('f', 'u') order by 1";

fn site(name: &str) -> Site {
    let config = Config::new(name)
        .document("store", "store.json")
        .stream(
            "users",
            "store",
            json!({ "select": "/users", "key": { "from": "id", "type": "integer" }, "unique": [["email"]],
                    "columns": { "email": "text" } }),
        )
        .stream(
            "projects",
            "store",
            json!({ "select": "/projects", "key": { "from": "id", "type": "integer" },
                    "columns": { "owner_id": { "from": "owner", "type": "integer", "references": "users.id" } },
                    "children": { "tasks": { "table": "tasks", "parent": "project_id", "key": { "from": "id", "type": "text" },
                        "unique": [["project_id", "title"]],
                        "columns": { "title": "text", "done_by": { "from": "doneBy", "type": "integer", "references": "users.id" } } } } }),
        );
    Site::new(config)
}

fn write(site: &Site, users: &Value, projects: &Value) {
    let next = site.path("next.json");
    let store = json!({ "users": users, "projects": projects });
    std::fs::write(&next, serde_json::to_vec(&store).expect("JSON can be written")).expect("a file can be written");
    std::fs::rename(next, site.path("store.json")).expect("a rename needs no room");
}

fn user(id: u64, email: &str) -> Value {
    json!({ "id": id, "email": email })
}

#[test]
fn constraints_are_built_when_quiet_with_what_is_against_them_named_before() {
    let site = site("constraints");
    let task = |id: &str, title: &str, by: Value| json!({ "id": id, "title": title, "doneBy": by });
    let good = task("t1", "one", json!(1));
    let project = |owner: u64, tasks: Value| json!({ "id": 1, "owner": owner, "tasks": tasks });
    // An orphan of a stream, one of a table below, and a unique value twice.
    write(
        &site,
        &json!([user(1, "a@x"), user(2, "a@x"), user(3, "b@x")]),
        &json!([project(9, json!([good, task("t2", "two", json!(8))]))]),
    );
    site.apply_schema();
    let early = site.finish(&["schema", "apply", "--constraints"]).expect(4);
    assert!(early.stderr.contains("not_quiet"), "{}", early.stderr);
    let service = site.run_and_listen();
    wait_until(SOON, "the rows are there", || site.database().count("select count(*) from tasks") == 2);
    site.expect_stream("projects", "live", |stream| stream.text().contains("live"));
    site.expect_stream("users", "live", |stream| stream.text().contains("live"));
    let refused = site.finish(&["schema", "apply", "--constraints"]).expect(3);
    for words in [
        "public.users (email) unique: 1 values that stand more than once",
        "public.projects (owner_id) → public.users (id): 1 orphans",
        "public.tasks (done_by) → public.users (id): 1 orphans",
    ] {
        assert!(refused.output().contains(words), "{words} in {}", refused.output());
    }
    assert!(site.database().rows(BUILT).is_empty(), "nothing was changed");
    // A try that was cut off leaves an index that PostgreSQL calls invalid.
    let cut_off = site.database().try_rows("create unique index concurrently users_email_key on public.users (email)");
    assert!(cut_off.is_err(), "the address stands twice");

    // Mended, and two unique values swapped in one revision: while streams are followed nothing stands in the way.
    write(&site, &json!([user(1, "a@x"), user(2, "c@x"), user(3, "b@x")]), &json!([project(2, json!([good]))]));
    wait_until(SOON, "the mended store is there", || {
        site.database().count("select count(*) from users where email = 'c@x'") == 1
    });
    write(&site, &json!([user(1, "b@x"), user(2, "c@x"), user(3, "a@x")]), &json!([project(2, json!([good]))]));
    wait_until(SOON, "the swap is there", || {
        site.database().count("select count(*) from users where id = 1 and email = 'b@x'") == 1
    });
    let planned = site.finish(&["schema", "plan", "--constraints"]).expect(0);
    assert!(planned.stdout.contains("CREATE UNIQUE INDEX CONCURRENTLY"), "{}", planned.stdout);
    let _ = site.finish(&["schema", "apply", "--constraints"]).expect(0);
    let built = site.database().rows(BUILT);
    let names: Vec<&str> = built.iter().filter_map(|row| row[0].as_deref()).collect();
    assert_eq!(
        names,
        [
            "projects_owner_id_fkey",
            "tasks_done_by_fkey",
            "tasks_project_id_fkey",
            "tasks_project_id_title_key",
            "users_email_key"
        ]
    );
    assert!(built.iter().all(|row| row[2].as_deref() == Some("true")), "{built:?}");
    assert_eq!(site.database().count("select count(*) from landfall.target_migrations where 'ALTER TABLE \"public\".\"tasks\" VALIDATE CONSTRAINT \"tasks_project_id_fkey\"' = any (statements)"), 1);
    let again = site.finish(&["schema", "apply", "--constraints"]).expect(0);
    assert!(again.output().contains("stood already"), "{}", again.output());
    // A project and its tasks go in one transaction, parent first: the constraint waits for its end.
    write(&site, &json!([user(1, "b@x"), user(2, "c@x"), user(3, "a@x")]), &json!([]));
    let held = site.expect_stream("projects", "held", |stream| stream.state() == "held");
    let _ = site.finish(&["accept", "projects", held.subject()]).expect(0);
    wait_until(SOON, "the project is gone", || site.database().count("select count(*) from tasks") == 0);
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}
