//! The four example stores at size: loaded, edited live in every way, equal to what their own code reads from them, views and all.
//!
//! The demo does the work, as a user's `make demo STORE=…` does: `deploy/demo/demo-store.sh`. The oracle is the store's own Python.

use landfall_tests::repository;
use landfall_tests::run_dir;
use std::process::Command;

/// Records of each store.
const RECORDS: &str = "100000";

fn holds(name: &str, views: &[&str]) {
    let done = Command::new(repository::root().join("deploy/demo/demo-store.sh"))
        .arg(name)
        .env("LANDFALL_BIN", repository::program())
        .env("LANDFALL_DEMO_DIR", run_dir::fresh(&format!("store-{name}")))
        .env("LANDFALL_RECORDS", RECORDS)
        .env("LANDFALL_ROUNDS", "3")
        .output()
        .expect("the demo can be run");
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{said}");
    assert_eq!(said.matches("store and tables agree: ").count(), 4, "the first load and three rounds: {said}");
    assert!(views.iter().all(|view| said.contains(view)), "{said}");
    assert!(said.contains("cases, all as expected") && said.contains("VALIDATE CONSTRAINT"), "{said}");
}

#[test]
fn flux_leaves_its_documents() {
    holds("flux", &["project_task_stats 2000", "user_task_stats 5000"]);
}

#[test]
fn pend_leaves_its_folders() {
    holds("pend", &["portfolio 20000"]);
}

#[test]
fn finance_leaves_mongodb() {
    holds("finance", &["wallet_totals 4000"]);
}

#[test]
fn myfinance_leaves_sqlite() {
    holds("myfinance", &["account_balances 40"]);
}
