//! The suite of sinks and checkpoints.

use landfall_connectors::conformance::sink::{MemoryRig, PostgresRig, suite};
use landfall_tests::postgres_server::PostgresServer;

fn block_on(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(future);
}

#[test]
fn postgres_passes_the_suite_of_sinks() {
    let login = PostgresServer::shared().database("conformance");
    block_on(suite(&PostgresRig::new(&login.url())));
}

#[test]
fn memory_passes_the_suite_of_sinks() {
    block_on(suite(&MemoryRig::default()));
}
