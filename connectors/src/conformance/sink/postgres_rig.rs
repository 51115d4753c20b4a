//! The rig of a real PostgreSQL. Its oracle reads with plain SQL on connections of its own, past the relay that the sink
//! connects through.

use super::cut::Relay;
use super::fixture::SCHEMA;
use super::{Rig, Stored, StoredBelow};
use crate::postgres::{MappingChange, PostgresTarget, SecretUrl, TargetConfig, WantedStream};
use futures_util::future::{Either, select};
use landfall_schemas::ddl::BulkLoad;
use landfall_schemas::ident::Ident;
use landfall_schemas::mapping::StreamMapping;
use landfall_schemas::table::TableShape;
use std::net::ToSocketAddrs;
use std::pin::pin;
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, Error, NoTls};

/// The pipeline whose rows in schema `landfall` the suite may delete.
const PIPELINE: &str = "conformance";

/// A server reached over TCP without TLS. The suite drops and creates schema `landfall_conformance` and writes to schema
/// `landfall` under the pipeline name `conformance`.
#[derive(Debug)]
pub struct PostgresRig {
    direct: Config,
    relay: Relay,
}

impl PostgresRig {
    /// A rig for the server of a `postgres://` URL. Panics when it cannot be used: a suite that cannot run has failed.
    pub fn new(url: &str) -> Self {
        let direct: Config = url.parse().expect("the URL of the test server can be read");
        let [Host::Tcp(host)] = direct.get_hosts() else { panic!("the test server is reached over TCP") };
        let port = direct.get_ports().first().copied().unwrap_or(5432);
        let mut addresses = (host.as_str(), port).to_socket_addrs().expect("the test server's name can be resolved");
        let server = addresses.next().expect("the test server has an address");
        Self { relay: Relay::start(server).expect("a relay can listen on the loopback"), direct }
    }

    fn target(&self) -> PostgresTarget {
        let user = self.direct.get_user().unwrap_or("postgres");
        let password = self.direct.get_password().map(|p| String::from_utf8_lossy(p).into_owned());
        let database = self.direct.get_dbname().unwrap_or("postgres");
        let secret = password.map(|p| format!(":{p}")).unwrap_or_default();
        let url = format!("postgres://{user}{secret}@{}/{database}", self.relay.address);
        let schema = Ident::new(SCHEMA).expect("a short name");
        let config = TargetConfig::new(SecretUrl::new(url), schema);
        PostgresTarget::new(&config, PIPELINE).expect("the relay's URL is a target")
    }

    /// Runs `work` on a connection of the oracle.
    async fn oracle<T>(&self, work: impl AsyncFnOnce(&Client) -> Result<T, Error>) -> T {
        let (client, connection) = self.direct.connect(NoTls).await.expect("the test server can be reached");
        let work = pin!(work(&client));
        let done = match select(work, pin!(connection)).await {
            Either::Left((done, _)) => done,
            Either::Right((_, work)) => work.await,
        };
        done.expect("the oracle's SQL is good")
    }
}

impl Rig for PostgresRig {
    type Target = PostgresTarget;

    async fn process(&self) -> PostgresTarget {
        self.target()
    }

    async fn prepare(&self, stream: &StreamMapping, bulk: BulkLoad) {
        let tables = std::iter::once(&stream.table).chain(stream.child_tables().map(|child| &child.table));
        let tables: Vec<String> = tables.map(TableShape::qualified).collect();
        let clear = format!(
            "CREATE SCHEMA IF NOT EXISTS {SCHEMA}; DROP TABLE IF EXISTS {};
             DO $$ BEGIN IF to_regclass('landfall.added_columns') IS NOT NULL THEN
               DELETE FROM landfall.checkpoints WHERE pipeline = '{PIPELINE}' AND stream = '{1}';
               DELETE FROM landfall.ranges WHERE pipeline = '{PIPELINE}' AND stream = '{1}';
               DELETE FROM landfall.dead_letters WHERE pipeline = '{PIPELINE}' AND stream = '{1}';
               DELETE FROM landfall.added_columns WHERE pipeline = '{PIPELINE}' AND stream = '{1}';
               DELETE FROM landfall.child_tables WHERE pipeline = '{PIPELINE}' AND stream = '{1}';
               DELETE FROM landfall.streams WHERE pipeline = '{PIPELINE}' AND stream = '{1}';
             END IF; END $$",
            tables.join(", "),
            stream.name,
        );
        Box::pin(self.oracle(async |client| client.batch_execute(&clear).await)).await;
        let wanted = [WantedStream { mapping: stream, bulk }];
        let target = self.target();
        let applied = Box::pin(target.schema_apply(&wanted, MappingChange::Refuse, "suite")).await;
        applied.expect("the suite's schema can be applied");
        let plan = Box::pin(target.schema_plan(&wanted)).await.expect("the schema can be planned again");
        assert!(plan.is_empty(), "what was just applied needs nothing more: {plan:?}");
    }

    async fn rows(&self, stream: &StreamMapping) -> Vec<Stored> {
        let sql = format!("SELECT id, name, amount, _lf_version FROM {} ORDER BY id", stream.table.qualified());
        let rows = Box::pin(self.oracle(async |client| client.query(&sql, &[]).await)).await;
        let stored = |row: &tokio_postgres::Row| Stored {
            id: row.get(0),
            name: row.get(1),
            amount: row.get(2),
            version: row.get(3),
        };
        rows.iter().map(stored).collect()
    }

    async fn below(&self, stream: &StreamMapping, table: u16) -> Vec<StoredBelow> {
        let child = stream.child_tables().nth(usize::from(table)).expect("the suite knows its tables");
        let keys = if table == 0 { "parent, part" } else { "parent, part, piece" };
        let sql = format!("SELECT ARRAY[{keys}], note, _lf_version FROM {} ORDER BY {keys}", child.table.qualified());
        let rows = Box::pin(self.oracle(async |client| client.query(&sql, &[]).await)).await;
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
    }

    async fn texts(&self, stream: &StreamMapping, column: &str) -> Vec<Option<String>> {
        let column = Ident::new(column).expect("a name");
        let sql = format!("SELECT {}::text FROM {} ORDER BY id", column.quoted(), stream.table.qualified());
        let rows = Box::pin(self.oracle(async |client| client.query(&sql, &[]).await)).await;
        rows.iter().map(|row| row.get(0)).collect()
    }

    async fn waiting(&self, stream: &StreamMapping) -> Vec<(Vec<u8>, String)> {
        let sql = "SELECT key, code FROM landfall.dead_letters WHERE pipeline = $1 AND stream = $2 \
                   AND state IN ('parked', 'behind') ORDER BY id";
        let name = stream.name.as_str();
        let rows = Box::pin(self.oracle(async |client| client.query(sql, &[&PIPELINE, &name]).await)).await;
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    async fn lose_next_answer(&self) {
        self.relay.arm();
    }
}
