//! Streams whose service adds columns: what stands in an added column is compared like any other, and found out when it is spoilt.

use super::verify;
use landfall_tests::config::Config;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::json;
use std::io::Write;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(45);

#[test]
fn added_columns_are_compared_as_those_of_the_configuration() {
    let stream =
        json!({ "key": "id", "rest": "extra", "columns": { "name": { "type": "text" } }, "evolve": "add_column" });
    let log = json!({ "kind": "json_lines", "path": "log.ndjson", "rescan": "300ms" });
    let site = Site::new(Config::new("verify_grown").source("log", log).stream("orders", "log", stream));
    let path = site.path("log.ndjson");
    std::fs::write(&path, "").unwrap();
    let say = |record: serde_json::Value| {
        let mut log = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        writeln!(log, "{record}").unwrap();
    };
    site.apply_schema();
    let service = site.run_and_listen();
    (0..50).for_each(|id| say(json!({ "id": id, "name": "a", "count": id, "tags": [id] })));
    let columns = "select count(*) from landfall.added_columns";
    wait_until(SOON, "columns are added", || site.database().count(columns) == 2);
    say(json!({ "id": 50, "name": "b", "count": "five", "colour": "red" }));
    wait_until(SOON, "one more is added", || site.database().count(columns) == 3);
    wait_until(SOON, "all has arrived", || site.database().count("select count(*) from orders") == 51);
    verify(&site, &[]).expect_equal(51);
    site.database()
        .run("update orders set count = 7 where id = 'n:3'; update orders set colour = null where id = 'n:50'");
    let said = verify(&site, &[]);
    assert_eq!((said.exit, said.number("different")), (Some(3), 2), "{}", said.output);
    for column in ["count", "colour"] {
        assert!(said.output.contains(&format!("\"{column}\"")), "{column}: {}", said.output);
    }
    service.terminate();
    let _ = service.finish(SOON).expect(0);
}
