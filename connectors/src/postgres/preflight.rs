//! What `check` wants to know of a target before anything is written: who we are there, what we may do, how safe a commit is.
//!
//! Reads only. Names of roles and databases are shown; nothing else of the connection is.

use super::classify::classify;
use super::target::PostgresTarget;
use super::wire::Link;
use crate::failure::Failure;
use tokio_postgres::{Client, Error};

/// The target as one session sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Preflight {
    /// As `server_version_num`: 150004 is 15.4.
    pub server_version: u32,
    /// Database connected to.
    pub database: String,
    /// Role connected as.
    pub role: String,
    /// The session is encrypted.
    pub encrypted: bool,
    /// `synchronous_commit` of the session.
    pub synchronous_commit: String,
    /// The role is a superuser: more than Landfall needs.
    pub superuser: bool,
    /// The role may create schemas in this database.
    pub creates_schemas: bool,
    /// Rights on the schema of the tables; `None` while it does not exist.
    pub tables: Option<SchemaRights>,
    /// Rights on schema `landfall`; `None` while it does not exist.
    pub own: Option<SchemaRights>,
}

/// What the role may do in a schema.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SchemaRights {
    /// Use what is in it.
    pub usage: bool,
    /// Create tables in it.
    pub create: bool,
}

const FACTS: &str = "SELECT pg_catalog.current_setting('server_version_num')::int4, pg_catalog.current_database()::text, \
      current_user::text, coalesce((SELECT s.ssl FROM pg_catalog.pg_stat_ssl s WHERE s.pid = pg_catalog.pg_backend_pid()), false), \
      pg_catalog.current_setting('synchronous_commit'), \
      (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user), \
      pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')";
const RIGHTS: &str = "SELECT pg_catalog.has_schema_privilege(n.oid, 'USAGE'), pg_catalog.has_schema_privilege(n.oid, 'CREATE') \
    FROM pg_catalog.pg_namespace n WHERE n.nspname = $1";

impl PostgresTarget {
    /// Connects and looks. Fails like any connection does: `target_unreachable`, `server_too_old`, `synchronous_commit_off`, …
    pub async fn preflight(&self) -> Result<Preflight, Failure> {
        let target = &*self.inner;
        let limit = target.connector.exchange_limit();
        let mut link = target.connector.connect().await?;
        let Link { client, driver, .. } = &mut link;
        let look = Box::pin(look(client, self.schema().as_str()));
        driver.drive(limit, look).await.map_err(|error| classify(&error, "look at the target"))
    }
}

async fn look(client: &Client, schema: &str) -> Result<Preflight, Error> {
    let facts = client.query_one(FACTS, &[]).await?;
    Ok(Preflight {
        server_version: facts.try_get::<_, i32>(0)?.unsigned_abs(),
        database: facts.try_get(1)?,
        role: facts.try_get(2)?,
        encrypted: facts.try_get(3)?,
        synchronous_commit: facts.try_get(4)?,
        superuser: facts.try_get(5)?,
        creates_schemas: facts.try_get(6)?,
        tables: rights(client, schema).await?,
        own: rights(client, "landfall").await?,
    })
}

async fn rights(client: &Client, schema: &str) -> Result<Option<SchemaRights>, Error> {
    let Some(row) = client.query_opt(RIGHTS, &[&schema]).await? else { return Ok(None) };
    Ok(Some(SchemaRights { usage: row.try_get(0)?, create: row.try_get(1)? }))
}
