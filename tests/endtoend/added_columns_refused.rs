//! `evolve: add_column` where columns cannot be had, or somebody else has a say in them: fields rest, nothing stops, nothing is parked.

use landfall_tests::config::Config;
use landfall_tests::landfall::Landfall;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(45);

fn config(name: &str, evolve: &str, columns: &Value) -> Config {
    let stream = json!({ "key": "id", "rest": "extra", "columns": columns, "evolve": evolve });
    let log = json!({ "kind": "json_lines", "path": "log.ndjson", "rescan": "300ms" });
    Config::new(name).source("log", log).stream("orders", "log", stream)
}

fn site(name: &str) -> Site {
    let site = Site::new(config(name, "add_column", &json!({ "name": { "type": "text" } })));
    std::fs::write(site.path("log.ndjson"), "").unwrap();
    site.apply_schema();
    site
}

fn write(site: &Site, records: &[Value]) {
    let mut log = std::fs::OpenOptions::new().append(true).open(site.path("log.ndjson")).unwrap();
    records.iter().for_each(|record| writeln!(log, "{record}").unwrap());
}

fn end(service: Landfall) {
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

fn parked(site: &Site) -> i64 {
    site.database().count("select count(*) from landfall.dead_letters")
}

fn names(site: &Site) -> Vec<String> {
    let rows = site.database().rows("select target_column from landfall.added_columns order by number");
    rows.into_iter().map(|row| row[0].clone().unwrap()).collect()
}

#[test]
fn without_the_right_to_alter_fields_rest_and_once_it_is_granted_they_get_columns() {
    let mut site = site("added_rights");
    site.database().run(
        "drop role if exists filler; create role filler login password 'canary-filler-pw'; grant usage on schema public, landfall to filler;
         grant select, insert, update, delete on all tables in schema public, landfall to filler;
         grant usage on all sequences in schema landfall to filler;",
    );
    let admin = site.login().clone();
    site.reach(admin.as_role("filler", "canary-filler-pw"));
    let service = site.run();
    write(&site, &[json!({ "id": 1, "name": "a", "colour": "red" })]);
    let resting = site.expect_stream("orders", "resting", |stream| stream.resting() == "permission_denied");
    assert!(resting.text().contains("asked for again in"), "{}", resting.text());
    let mut watcher = landfall_tests::database::Database::connect(&admin).unwrap();
    wait_until(SOON, "the record", || watcher.count("select count(*) from orders where extra ? 'colour'") == 1);
    site.expect_stream("orders", "following all the same", |stream| stream.is_ready());
    watcher.run("alter table orders owner to filler; grant create on schema public to filler");
    let mut number = 1;
    wait_until(SOON, "a column once the right is there", || {
        number += 1;
        write(&site, &[json!({ "id": number, "name": "b", "colour": "blue" })]);
        watcher.count("select count(*) from landfall.added_columns") == 1
    });
    site.expect_stream("orders", "not resting", |stream| stream.resting().is_empty());
    wait_until(SOON, "every record", || watcher.count("select count(*) from orders") == number);
    end(service);
    site.reach(admin);
    site.expect_equal("in the rest and in the column");
    assert_eq!(parked(&site), 0);
}

#[test]
fn a_table_that_somebody_holds_is_waited_for_briefly_and_the_stream_goes_on() {
    let site = site("added_locked");
    let service = site.run();
    write(&site, &[json!({ "id": 1, "name": "a" })]);
    site.expect_soon_equal("before");
    let mut reader = site.database();
    reader.run("begin; select count(*) from orders");
    write(&site, &[json!({ "id": 2, "name": "b", "colour": "red" })]);
    site.expect_stream("orders", "resting", |stream| stream.resting() == "lock_wait");
    let mut database = site.database();
    wait_until(SOON, "the record", || database.count("select count(*) from orders where extra ? 'colour'") == 1);
    reader.run("rollback");
    let mut number = 2;
    wait_until(SOON, "a column once the table is free", || {
        number += 1;
        write(&site, &[json!({ "id": number, "name": "b", "colour": "blue" })]);
        names(&site) == ["colour"]
    });
    site.expect_soon_equal("after all");
    end(service);
    assert_eq!(parked(&site), 0);
}

#[test]
fn a_paused_stream_s_table_is_left_alone_until_it_is_resumed() {
    let site = site("added_paused");
    let service = site.run_and_listen();
    write(&site, &[json!({ "id": 1, "name": "a" })]);
    site.expect_soon_equal("before");
    let _ = site.finish(&["pause", "orders"]).expect(0);
    write(&site, &[json!({ "id": 2, "name": "b", "colour": "red" })]);
    site.expect_stream("orders", "captured", |stream| stream.text().contains("\"captured\":2"));
    // It is prepared within moments of its capture; nothing but the pause holds it then.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(names(&site).len(), 0);
    let _ = site.finish(&["resume", "orders"]).expect(0);
    site.expect_soon_equal("once it is resumed");
    assert_eq!(names(&site), ["colour"]);
    end(service);
}

#[test]
fn hostile_names_make_columns_of_their_own_and_no_statement_of_theirs() {
    let site = site("added_hostile");
    site.database().run("create table victims (id int); alter table orders add column colour int");
    let long = "a".repeat(10_000);
    let fields = [
        "\"; drop table victims; --",
        "'); drop table victims; --",
        "\u{202e}gnp.exe",
        "",
        " ",
        "_lf_version",
        "_LF_VERSION",
        "ctid",
        "xmin",
        "Name",
        "NAME",
        "ID",
        "extra",
        "colour",
        "Colour",
        "a\\b/c~d%e$1",
        "שלום",
        "née",
        "😀",
        "select",
        &long,
        &format!("{long}b"),
    ];
    let record = |id: u32| {
        let mut record = Map::from_iter([("id".to_owned(), json!(id)), ("name".to_owned(), json!("n"))]);
        record.extend(fields.iter().enumerate().map(|(n, field)| ((*field).to_owned(), json!(format!("v{id}.{n}")))));
        Value::Object(record)
    };
    let service = site.run();
    write(&site, &[record(1)]);
    site.expect_soon_equal("hostile names");
    write(&site, &[record(2), record(3)]);
    site.expect_soon_equal("and again");
    let mut database = site.database();
    assert_eq!(database.count("select count(*) from landfall.added_columns"), fields.len() as i64);
    let folded = "select count(*) from (select lower(attname) from pg_attribute where attrelid = 'orders'::regclass group by 1 having count(*) > 1) d";
    assert_eq!(database.count(folded), 0, "names that tools fold to one");
    assert_eq!(database.count("select count(*) from orders where extra is null"), 3, "all of it is in columns");
    assert_eq!(
        database.count("select count(*) from orders where colour is not null"),
        0,
        "a column of somebody else is not touched"
    );
    assert_eq!(database.count("select count(*) from victims"), 0);
    let statements = database.rows("select unnest(statements) from landfall.target_migrations");
    let odd = statements.iter().flatten().flatten().find(|sql| sql.contains("drop table victims"));
    assert_eq!(odd, None);
    // Text that PostgreSQL cannot hold is parked as it is without added columns.
    write(&site, &[json!({ "id": 4, "name": "n", "nul\u{0}": "x" })]);
    wait_until(SOON, "it is parked", || database.count("select count(*) from landfall.dead_letters") == 1);
    end(service);
}

#[test]
fn a_record_of_seventeen_hundred_fields_fills_the_table_up_to_a_bound_and_lands() {
    let site = site("added_many");
    let record = |id: u32, from: u32| {
        let mut record = Map::from_iter([("id".to_owned(), json!(id)), ("name".to_owned(), json!("n"))]);
        // Numbers, and texts long enough to be stored elsewhere: a row must still fit a page.
        let value = |n: u32| if n.is_multiple_of(2) { json!(n) } else { json!(format!("{n} {}", "x".repeat(3_000))) };
        record.extend((from..from + 1_700).map(|n| (format!("field{n}"), value(n))));
        Value::Object(record)
    };
    let service = site.run();
    write(&site, &[record(1, 0)]);
    site.expect_soon_equal("1,700 fields");
    assert_eq!(names(&site).len(), 256);
    let full = site.expect_stream("orders", "full", |stream| stream.resting() == "columns_full");
    assert_eq!(full.columns_added(), 256);
    // The first of them may still grow wider; others stay in the rest.
    let mut second = record(2, 1_000);
    second["field0"] = json!(0.5);
    write(&site, &[second, json!({ "id": 3, "name": "n", "late": true })]);
    site.expect_soon_equal("beyond the bound");
    let mut database = site.database();
    assert_eq!(database.value("select pg_typeof(field0)::text from orders limit 1").as_deref(), Some("numeric"));
    assert_eq!(database.count("select count(*) from orders where extra ? 'late'"), 1);
    end(service);
    assert_eq!(parked(&site), 0);
}

#[test]
fn a_large_table_is_not_rewritten_for_a_number_and_the_service_follows_whoever_does_it_by_hand() {
    let site = site("added_large");
    let service = site.run();
    write(&site, &[json!({ "id": 1, "name": "a", "size": 5 })]);
    site.expect_soon_equal("before");
    let mut database = site.database();
    database.run(
        "alter table orders set (autovacuum_enabled = false, toast.autovacuum_enabled = false); alter table orders alter column name set storage external;
         insert into orders (id, name, _lf_version) select 'x' || n, repeat('x', 8000), 0 from generate_series(1, 36000) n;
         delete from orders where id like 'x%'",
    );
    write(&site, &[json!({ "id": 2, "name": "b", "size": 5.5, "colour": "red" })]);
    site.expect_stream("orders", "narrow", |stream| stream.resting() == "column_narrow");
    site.expect_soon_equal("a number that does not fit");
    let held = "select count(*) from orders where extra = '{\"size\": 5.5}' and colour = 'red'";
    assert_eq!(database.count(held), 1, "other fields get their columns all the same");
    database.run("alter table orders alter column size type numeric");
    write(&site, &[json!({ "id": 1, "name": "a", "size": 7 }), json!({ "id": 4, "name": "d" })]);
    site.expect_soon_equal("while it was rewritten by hand");
    end(service);
    let service = site.run();
    write(&site, &[json!({ "id": 3, "name": "c", "size": 6.5 })]);
    site.expect_soon_equal("after it was rewritten by hand");
    assert_eq!(database.count("select count(*) from orders where size = 6.5 and extra is null"), 1);
    end(service);
    assert_eq!(parked(&site), 0);
}

#[test]
fn an_added_column_that_somebody_drops_is_drift_and_schema_apply_brings_it_back() {
    let site = site("added_dropped");
    let service = site.run();
    write(&site, &[json!({ "id": 1, "name": "a", "colour": "red" })]);
    site.expect_soon_equal("before");
    site.database().run("alter table orders drop column colour");
    write(&site, &[json!({ "id": 2, "name": "b", "colour": "blue" })]);
    let halted = site.expect_stream("orders", "halted", |stream| stream.code() == "schema_drift");
    assert!(halted.detail().contains("orders.colour is missing"), "{}", halted.text());
    let plan = site.finish(&["schema", "plan"]).expect(0);
    assert!(plan.stdout.contains("ADD COLUMN \"colour\" text"), "{}", plan.output());
    site.apply_schema();
    let there = "select count(*) from orders where colour = 'blue'";
    wait_until(SOON, "it goes on", || site.database().count(there) == 1);
    assert_eq!(names(&site), ["colour"]);
    end(service);
    assert_eq!(parked(&site), 0);
}

#[test]
fn the_configuration_takes_a_column_over_and_a_type_that_is_another_is_named() {
    let mut site = site("added_declared");
    write(&site, &[json!({ "id": 1, "name": "a", "colour": "red", "size": 5, "weight": 2.5 })]);
    site.catch_up();
    site.reconfigure(config(
        "added_declared",
        "add_column",
        &json!({ "name": "text", "colour": "text", "size": "integer" }),
    ));
    let plan = site.finish(&["schema", "plan"]).expect(4);
    assert!(plan.output().contains("column size is bigint, the mapping wants integer"), "{}", plan.output());
    let other = json!({ "name": "text", "colour": { "from": "tint", "type": "text" } });
    site.reconfigure(config("added_declared", "add_column", &other));
    let plan = site.finish(&["schema", "plan"]).expect(4);
    assert!(
        plan.output().contains("column colour was added by the service and holds another field"),
        "{}",
        plan.output()
    );
    let taken = json!({ "name": "text", "colour": "text", "kilos": { "from": "weight", "type": "numeric" } });
    site.reconfigure(config("added_declared", "add_column", &taken));
    let _ = site.finish(&["schema", "apply", "--accept-mapping-change"]).expect(0);
    assert_eq!(names(&site), ["size"], "what the configuration declares is the service's no more");
    write(&site, &[json!({ "id": 2, "name": "b", "colour": "blue", "size": 6, "weight": 3.5 })]);
    site.catch_up();
    let rows = site.database().rows("select colour, size::text, kilos::text, weight::text from orders order by id");
    let row = |fields: [Option<&str>; 4]| fields.map(|field| field.map(str::to_owned)).to_vec();
    let wanted = [row([Some("red"), Some("5"), None, Some("2.5")]), row([Some("blue"), Some("6"), Some("3.5"), None])];
    assert_eq!(rows, wanted);
    let contract = site.finish(&["schema", "contract", "--yes"]).expect(0);
    assert!(
        contract.stdout.contains("DROP COLUMN \"weight\"") && !contract.stdout.contains("size"),
        "{}",
        contract.output()
    );
}

#[test]
fn a_stream_that_adds_no_columns_any_more_says_so_and_its_columns_can_be_contracted() {
    let mut site = site("added_no_more");
    let service = site.run();
    write(&site, &[json!({ "id": 1, "name": "a", "colour": "red" })]);
    site.expect_soon_equal("before");
    site.reconfigure(config("added_no_more", "rest", &json!({ "name": { "type": "text" } })));
    let contract = site.finish(&["schema", "contract", "--yes"]);
    let contract = contract.expect(4);
    assert!(
        contract.stdout.contains("DROP COLUMN \"colour\"") && contract.output().contains("fills it"),
        "{}",
        contract.output()
    );
    end(service);
    let service = site.run();
    site.expect_stream("orders", "halted", |stream| stream.code() == "mapping_changed");
    service.terminate();
    let _ = service.finish(Duration::from_secs(30));
    let _ = site.finish(&["schema", "apply", "--accept-mapping-change"]).expect(0);
    write(&site, &[json!({ "id": 2, "name": "b", "colour": "blue" })]);
    site.catch_up();
    assert_eq!(site.database().count("select count(*) from orders where extra ? 'colour'"), 1);
    let _ = site.finish(&["schema", "contract", "--yes"]).expect(0);
    let left = "select count(*) from pg_attribute where attrelid = 'orders'::regclass and attname = 'colour'";
    assert_eq!((site.database().count(left), names(&site).len()), (0, 0));
    site.reconfigure(config("added_no_more", "add_column", &json!({ "name": { "type": "text" } })));
    site.catch_up();
    write(&site, &[json!({ "id": 3, "name": "c", "colour": "green" })]);
    site.catch_up();
    assert_eq!(names(&site), ["colour"]);
}
