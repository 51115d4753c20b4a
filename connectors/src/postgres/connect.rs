//! Opening a connection and making it safe to use.
//!
//! Every session gets fixed settings: nothing but the catalogue on the search path (a function in `public` is never run by
//! accident), time limits, a pinned plan (with hash and merge joins off the stage joins the target by its key whatever
//! the planner believes about their sizes; sequential scans are off because a plan made while the target was empty would
//! otherwise stay), and transactions that are **read-only unless they say otherwise**: if a `BEGIN` is ever lost to a
//! cancel, the statements pipelined behind it fail instead of committing one by one (promise 2).

use super::classify::classify;
use super::config::{Address, InvalidTarget, SynchronousCommit, TargetConfig, Timeouts};
use super::statement::Prepared;
use super::tls::client_config;
use super::wire::{Driver, Link, WireError};
use crate::failure::{Failure, FailureClass};
use std::time::Duration;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How long opening a connection may take, TLS and settings included.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// A silent peer is asked after this long, so that a dead one is known within a minute.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(20);
/// And asked again this often.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// This many times.
const KEEPALIVE_RETRIES: u32 = 4;
/// How long sent bytes may stay unacknowledged before the kernel gives the connection up.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);
/// Oldest server we speak to: the first with `plan_cache_mode`.
const OLDEST_SERVER: u32 = 12_00_00;

/// Starts a transaction that writes; see the head of this file.
pub(crate) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

/// Settings that every supported server knows.
const SETTINGS: &str = "SET search_path = pg_catalog, pg_temp; SET default_transaction_read_only = on; \
    SET default_transaction_isolation = 'read committed'; SET client_min_messages = error; \
    SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off; SET enable_material = off; \
    SET plan_cache_mode = force_generic_plan; SET jit = off; SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; \
    SET IntervalStyle = 'iso_8601'; SET extra_float_digits = 1; SET row_security = off;";

/// Settings that came later: set where they exist. The server looks every 2 s whether a client it works for is gone, so
/// a connection given up at its deadline does not hold its locks to the end of the statement.
const LATER_SETTINGS: &str = "SELECT pg_catalog.set_config(s.name, w.value, false) \
    FROM (VALUES ('enable_memoize', 'off'), ('client_connection_check_interval', '2s'), ('idle_session_timeout', '0'), \
                 ('tcp_keepalives_idle', '20'), ('tcp_keepalives_interval', '5'), ('tcp_keepalives_count', '4'), \
                 ('transaction_timeout', '0')) w (name, value) \
    JOIN pg_catalog.pg_settings s ON s.name = w.name";

const FACTS: &str = "SELECT pg_catalog.current_setting('server_version_num')::int4, pg_catalog.pg_is_in_recovery(), \
    pg_catalog.current_setting('synchronous_commit')";

/// Opens connections to one target.
pub(crate) struct Connector {
    address: Address,
    tls: Option<rustls::ClientConfig>,
    timeouts: Timeouts,
    synchronous_commit: SynchronousCommit,
}

impl Connector {
    /// Reads the URL and the CA file.
    pub(crate) fn new(config: &TargetConfig, pipeline: &str) -> Result<Self, InvalidTarget> {
        let mut address = Address::read(&config.url)?;
        let tls = client_config(address.tls, address.root.as_deref())?;
        address
            .config
            .application_name(format!("landfall/{pipeline}"))
            .connect_timeout(CONNECT_LIMIT)
            .tcp_user_timeout(TCP_USER_TIMEOUT)
            .keepalives(true)
            .keepalives_idle(KEEPALIVE_IDLE)
            .keepalives_interval(KEEPALIVE_INTERVAL)
            .keepalives_retries(KEEPALIVE_RETRIES)
            .ssl_mode(if tls.is_some() { SslMode::Require } else { SslMode::Disable });
        Ok(Self { address, tls, timeouts: config.timeouts, synchronous_commit: config.synchronous_commit })
    }

    /// How long one exchange of ours may take: two statements at their limit would be one too many.
    pub(crate) fn exchange_limit(&self) -> Duration {
        self.timeouts.statement + self.timeouts.lock + CONNECT_LIMIT
    }

    /// A new connection with its settings.
    pub(crate) async fn connect(&self) -> Result<Link, Failure> {
        let opened = tokio::time::timeout(CONNECT_LIMIT, self.open()).await;
        let (client, mut driver) = opened
            .unwrap_or(Err(None))
            .map_err(|error| classify(&error.map_or(WireError::TimedOut, WireError::Postgres), "connect"))?;
        let settings = self.settings();
        let facts = driver.drive(CONNECT_LIMIT, session(&client, &settings)).await;
        let (server_version, standby, synchronous) = facts.map_err(|error| classify(&error, "connect"))?;
        self.accept(server_version, &synchronous)?;
        if standby {
            let detail = "the server is a standby; waiting for it to be promoted or for the address to lead elsewhere";
            return Err(Failure::new(FailureClass::Transient, "target_read_only", detail));
        }
        Ok(Link { client, driver, server_version, prepared: Prepared::default(), at_rest: true })
    }

    fn accept(&self, server_version: u32, synchronous_commit: &str) -> Result<(), Failure> {
        if server_version < OLDEST_SERVER {
            let detail = format!("PostgreSQL {} is too old; 12 or later is needed", server_version / 10_000);
            return Err(Failure::new(FailureClass::Halt, "server_too_old", detail));
        }
        if synchronous_commit == "off" && self.synchronous_commit == SynchronousCommit::Required {
            let detail = "synchronous_commit is off for this role: a crash of the server would lose commits that the queue \
                          has been trimmed behind; ALTER ROLE … SET synchronous_commit = on, or allow it in the target";
            return Err(Failure::new(FailureClass::Halt, "synchronous_commit_off", detail));
        }
        Ok(())
    }

    async fn open(&self) -> Result<(Client, Driver), Option<Error>> {
        Ok(match &self.tls {
            None => {
                let (client, connection) = self.address.config.connect(NoTls).await.map_err(Some)?;
                (client, Driver::new(connection))
            }
            Some(tls) => {
                let connect = MakeRustlsConnect::new(tls.clone());
                let (client, connection) = self.address.config.connect(connect).await.map_err(Some)?;
                (client, Driver::new(connection))
            }
        })
    }

    fn settings(&self) -> String {
        format!(
            "{SETTINGS} SET statement_timeout = {}; SET lock_timeout = {}; SET idle_in_transaction_session_timeout = {}",
            self.timeouts.statement.as_millis(),
            self.timeouts.lock.as_millis(),
            self.timeouts.idle_in_transaction.as_millis(),
        )
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector")
            .field("tls", &self.address.tls)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

/// Applies the settings and reads what the server is.
async fn session(client: &Client, settings: &str) -> Result<(u32, bool, String), Error> {
    client.batch_execute(settings).await?;
    client.simple_query(LATER_SETTINGS).await?;
    let facts = client.query_one(FACTS, &[]).await?;
    Ok((facts.try_get::<_, i32>(0)?.unsigned_abs(), facts.try_get(1)?, facts.try_get(2)?))
}
