//! Two pipelines over one queue change places: the tables of one move into the schema of the other, and with them everything that schema
//! `landfall` knows of them, in one short transaction.
//!
//! Nothing is copied. Owner and rights of each table stay with its name; what else somebody hung on the live tables (views, foreign keys of other
//! tables, triggers, policies, publications) is named and refused, since it would go with the old rows. Nobody owns either pipeline afterwards:
//! a commit of the owner before finds another nonce (promise 17). What operators said (decisions, pause, throttle), named checkpoints and the
//! history stay with the name. Also what ends a pipeline beside another: its tables and all that is known of them go together.

use super::apply::{commit, roll_back};
use super::classify::{classify, classify_commit};
use super::connect::BEGIN;
use super::ddl;
use super::decisions::{RECORD, unreadable};
use super::schema;
use super::target::PostgresTarget;
use super::wire::Link;
use crate::checkpoints::OwnerNonce;
use crate::failure::{Failure, FailureClass};
use landfall_schemas::ident::Ident;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio_postgres::{Client, Error, Row};
use uuid::Uuid;

/// The tables stand still for this long at most; whoever holds one for longer is not waited for.
const SHORT: &str = "SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '10s'; SET CONSTRAINTS ALL DEFERRED";
/// The rows that a commit locks: one on its way has ended before the answer.
const LOCKED: &str = "SELECT s.stream, s.phase, s.owner_nonce, s.target_schema, s.target_table, s.queue_id FROM landfall.streams s \
    WHERE s.pipeline = $1 ORDER BY s.stream FOR UPDATE";
const PLACES: &str =
    "SELECT stream, partition, next_offset FROM landfall.checkpoints WHERE pipeline = $1 ORDER BY 1, 2 FOR UPDATE";
const TABLES: &str = "SELECT target_schema, target_table FROM landfall.streams WHERE pipeline = $1 \
    UNION SELECT target_schema, target_table FROM landfall.child_tables WHERE pipeline = $1 ORDER BY 1, 2";
const OID: &str = "SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname = $1 AND c.relname = $2";
/// What somebody hung on tables ($1), by kind and name.
const HUNG: &str = "SELECT DISTINCT 'view ' || v.oid::pg_catalog.regclass::text FROM pg_catalog.pg_depend d \
      JOIN pg_catalog.pg_rewrite w ON w.oid = d.objid JOIN pg_catalog.pg_class v ON v.oid = w.ev_class \
      WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
        AND d.refobjid = ANY ($1) AND v.oid <> ALL ($1) \
    UNION SELECT 'function ' || d.objid::pg_catalog.regprocedure::text FROM pg_catalog.pg_depend d \
      WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
        AND d.refobjid = ANY ($1) \
    UNION SELECT 'foreign key ' || k.conname::text || ' of ' || k.conrelid::pg_catalog.regclass::text FROM pg_catalog.pg_constraint k \
      WHERE k.contype = 'f' AND k.confrelid = ANY ($1) AND k.conrelid <> ALL ($1) \
    UNION SELECT 'trigger ' || t.tgname::text || ' of ' || t.tgrelid::pg_catalog.regclass::text FROM pg_catalog.pg_trigger t \
      WHERE t.tgrelid = ANY ($1) AND NOT t.tgisinternal \
    UNION SELECT 'policy ' || p.polname::text || ' of ' || p.polrelid::pg_catalog.regclass::text FROM pg_catalog.pg_policy p \
      WHERE p.polrelid = ANY ($1) \
    UNION SELECT 'publication ' || b.pubname::text FROM pg_catalog.pg_publication_rel r \
      JOIN pg_catalog.pg_publication b ON b.oid = r.prpubid WHERE r.prrelid = ANY ($1) \
    UNION SELECT 'table ' || i.inhrelid::pg_catalog.regclass::text || ', which inherits' FROM pg_catalog.pg_inherits i \
      WHERE i.inhparent = ANY ($1) ORDER BY 1";
/// Statements that give a table ($2) the rights and the owner of another ($1). A column that the second does not have gives nothing.
const CARRY: &str = "WITH source AS (SELECT c.oid, c.relacl, c.relowner FROM pg_catalog.pg_class c WHERE c.oid = $1), \
      taker AS (SELECT c.oid, c.relowner, pg_catalog.format('%I.%I', n.nspname, c.relname) AS name FROM pg_catalog.pg_class c \
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $2), \
      rights AS (SELECT x.grantee, x.privilege_type, x.is_grantable, NULL::name AS attname \
        FROM source, pg_catalog.aclexplode(source.relacl) x WHERE x.grantee <> source.relowner \
        UNION ALL SELECT x.grantee, x.privilege_type, x.is_grantable, a.attname \
        FROM source JOIN pg_catalog.pg_attribute a ON a.attrelid = source.oid AND NOT a.attisdropped, pg_catalog.aclexplode(a.attacl) x \
        WHERE EXISTS (SELECT FROM taker JOIN pg_catalog.pg_attribute b ON b.attrelid = taker.oid \
          AND b.attname = a.attname AND NOT b.attisdropped)) \
    SELECT pg_catalog.format('GRANT %s%s ON TABLE %s TO %s%s', r.privilege_type, \
        CASE WHEN r.attname IS NULL THEN '' ELSE pg_catalog.format('(%I)', r.attname) END, taker.name, \
        CASE WHEN r.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.format('%I', pg_catalog.pg_get_userbyid(r.grantee)) END, \
        CASE WHEN r.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) FROM rights r, taker \
    UNION ALL SELECT pg_catalog.format('ALTER TABLE %s OWNER TO %I', taker.name, pg_catalog.pg_get_userbyid(source.relowner)) \
      FROM source, taker WHERE source.relowner <> taker.relowner";
/// What of schema `landfall` belongs to the tables and not to the name; those with the schema of the tables, and those without.
const WITH_SCHEMA: [&str; 3] = ["streams", "child_tables", "columns"];
const WITHOUT_SCHEMA: [&str; 5] = ["generations", "checkpoints", "dead_letters", "ranges", "added_columns"];
const UNOWNED: [&str; 3] = [
    "UPDATE landfall.streams SET owner_nonce = NULL WHERE pipeline = ANY ($1)",
    "UPDATE landfall.checkpoints SET owner_nonce = pg_catalog.gen_random_uuid() WHERE pipeline = ANY ($1)",
    "UPDATE landfall.ranges SET owner_nonce = pg_catalog.gen_random_uuid() WHERE pipeline = ANY ($1) AND NOT done",
];
const HASH: &str =
    "UPDATE landfall.streams SET mapping_hash = $3, mapped_at = pg_catalog.now() WHERE pipeline = $1 AND stream = $2";
const HASHES: &str = "SELECT stream, mapping_hash FROM landfall.streams WHERE pipeline = $1";
const LAST: &str =
    "SELECT evidence FROM landfall.history WHERE pipeline = $1 AND event = ANY ($2) ORDER BY id DESC LIMIT 1";
/// All that is known of a pipeline's tables, children of its rows first. What happened stays in the history.
const FORGET: [&str; 9] = [
    "added_columns",
    "child_tables",
    "ranges",
    "checkpoints",
    "dead_letters",
    "streams",
    "columns",
    "generations",
    "target_migrations",
];

/// A pipeline that takes part.
#[derive(Clone, Debug)]
pub struct Side<'a> {
    /// Its name.
    pub pipeline: &'a str,
    /// The schema its tables stand in now.
    pub schema: &'a Ident,
    /// Who owns it now.
    pub owner: OwnerNonce,
    /// The fingerprints of its mappings once its tables stand in the other schema, by stream.
    pub moved: BTreeMap<String, [u8; 32]>,
}

/// Where a stream and partition stand.
type Places = BTreeMap<(String, i32), i64>;

impl PostgresTarget {
    /// Has `beside`, which has come at least as far, take the place of `live`, and `live` its. Fails with nothing changed: `Halt`/`swap_refused` with
    /// all that stands in the way, `Transient`/`lock_wait` when a table is held by somebody.
    pub async fn exchange(&self, live: &Side<'_>, beside: &Side<'_>, actor: &str) -> Result<(), Failure> {
        let limit = self.inner.connector.exchange_limit();
        let mut link = self.inner.connector.connect().await?;
        schema::require(&mut link, limit).await?;
        let Link { client, driver, .. } = &mut link;
        let run = Box::pin(run(client, live, beside, actor));
        match driver.drive(limit, run).await.map_err(|error| classify(&error, "swap"))? {
            Ok(()) => {
                fail::fail_point!("swap::before_commit");
                let done = commit(&mut link, limit).await.map_err(|error| classify_commit(&error));
                fail::fail_point!("swap::after_commit");
                done
            }
            Err(refused) => {
                roll_back(&mut link, limit).await.map_err(|error| classify(&error, "swap"))?;
                Err(refused)
            }
        }
    }

    /// The fingerprints of the mappings that the streams of this pipeline are registered with.
    pub async fn registered_mappings(&self) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
        let rows = self.read_rows(HASHES, &[&self.inner.pipeline]).await?;
        let pair = |row: &Row| Ok((row.try_get(0)?, row.try_get(1)?));
        rows.iter().map(pair).collect::<Result<_, Error>>().map_err(|error| unreadable(&error))
    }

    /// The last of these events in the history of the pipeline.
    pub async fn last_event(&self, events: &[&str]) -> Result<Option<Value>, Failure> {
        let rows = self.read_rows(LAST, &[&self.inner.pipeline, &events]).await?;
        rows.first().map(|row| row.try_get(0)).transpose().map_err(|error| unreadable(&error))
    }

    /// Drops the tables of this pipeline and forgets it, with its schema if nothing else stands there. How many tables there were.
    pub async fn drop_pipeline(&self, actor: &str) -> Result<u64, Failure> {
        let limit = self.inner.connector.exchange_limit();
        let mut link = self.inner.connector.connect().await?;
        schema::require(&mut link, limit).await?;
        let Link { client, driver, .. } = &mut link;
        let run = Box::pin(drop_all(client, &self.inner.pipeline, actor));
        let dropped = driver.drive(limit, run).await.map_err(|error| classify(&error, "drop what was replayed"))?;
        commit(&mut link, limit).await.map_err(|error| classify_commit(&error))?;
        Ok(dropped)
    }
}

async fn run(client: &Client, live: &Side<'_>, beside: &Side<'_>, actor: &str) -> Result<Result<(), Failure>, Error> {
    client.batch_execute(BEGIN).await?;
    client.batch_execute(SHORT).await?;
    ddl::lock(client).await?;
    let mut objections = objections(client, live, beside).await?;
    let (ours, theirs) = (tables(client, live.pipeline).await?, tables(client, beside.pipeline).await?);
    let oids: Vec<u32> = ours.iter().map(|(_, oid)| *oid).collect();
    for row in client.query(HUNG, &[&oids]).await? {
        objections.push(format!(
            "the {} would go with the old rows: take it off, and make it anew afterwards",
            row.try_get::<_, String>(0)?
        ));
    }
    if !objections.is_empty() {
        return Ok(Err(Failure::new(FailureClass::Halt, "swap_refused", objections.join("; "))));
    }
    for (name, oid) in &theirs {
        if let Some((_, source)) = ours.iter().find(|(known, _)| known == name) {
            for row in client.query(CARRY, &[source, oid]).await? {
                client.batch_execute(row.try_get(0)?).await?;
            }
        }
    }
    move_tables(client, (live.schema, &ours), (beside.schema, &theirs)).await?;
    rename(client, live, beside).await?;
    let evidence = json!({ "schema": beside.schema.as_str() });
    client.execute(RECORD, &[&live.pipeline, &None::<&str>, &"swapped", &actor, &evidence]).await?;
    client.execute(RECORD, &[&beside.pipeline, &None::<&str>, &"swapped", &actor, &evidence]).await?;
    Ok(Ok(()))
}

/// What speaks against the exchange, as far as Landfall's own state goes. Both pipelines stand still from here on.
async fn objections(client: &Client, live: &Side<'_>, beside: &Side<'_>) -> Result<Vec<String>, Error> {
    let mut all = Vec::new();
    let mut queues = [BTreeMap::<String, Option<Uuid>>::new(), BTreeMap::new()];
    for (side, queues) in [live, beside].into_iter().zip(&mut queues) {
        for row in client.query(LOCKED, &[&side.pipeline]).await? {
            let (stream, phase, owner): (String, &str, Option<Uuid>) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            if phase != "live" {
                all.push(format!("the first load of stream {stream} is not done in schema {}", side.schema));
            }
            if owner != Some(side.owner.0) || row.try_get::<_, &str>(3)? != side.schema.as_str() {
                all.push(format!("stream {stream} of schema {} is not this process's", side.schema));
            }
            queues.insert(stream, row.try_get(5)?);
        }
    }
    if queues[0] != queues[1] {
        all.push("the two do not hold the same streams of the same queues".to_owned());
    }
    let (stands, reached) = (places(client, live.pipeline).await?, places(client, beside.pipeline).await?);
    if stands.iter().any(|(place, at)| reached.get(place).is_none_or(|reached| reached < at)) {
        all.push(format!("what is live has come further than schema {}: try again", beside.schema));
    }
    Ok(all)
}

async fn places(client: &Client, pipeline: &str) -> Result<Places, Error> {
    let place = |row: &Row| Ok(((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?));
    client.query(PLACES, &[&pipeline]).await?.iter().map(place).collect()
}

/// Names and numbers of the tables of a pipeline that stand.
async fn tables(client: &Client, pipeline: &str) -> Result<Vec<(String, u32)>, Error> {
    let mut all = Vec::new();
    for row in client.query(TABLES, &[&pipeline]).await? {
        let (schema, name): (&str, String) = (row.try_get(0)?, row.try_get(1)?);
        if let Some(found) = client.query_opt(OID, &[&schema, &name]).await? {
            all.push((name, found.try_get(0)?));
        }
    }
    Ok(all)
}

/// By way of a schema of its own: indexes keep their names, and two of one name cannot stand in one schema.
async fn move_tables(
    client: &Client,
    (live, ours): (&Ident, &[(String, u32)]),
    (beside, theirs): (&Ident, &[(String, u32)]),
) -> Result<(), Error> {
    let between = format!("\"lf_swap_{}\"", Uuid::new_v4().simple());
    client.batch_execute(&format!("CREATE SCHEMA {between}")).await?;
    let (live, beside) = (live.quoted(), beside.quoted());
    for (from, tables, to) in [(&live, ours, &between), (&beside, theirs, &live), (&between, ours, &beside)] {
        for (name, _) in tables {
            let name = name.replace('"', "\"\"");
            client.batch_execute(&format!("ALTER TABLE {from}.\"{name}\" SET SCHEMA {to}")).await?;
        }
    }
    client.batch_execute(&format!("DROP SCHEMA {between}")).await
}

async fn rename(client: &Client, live: &Side<'_>, beside: &Side<'_>) -> Result<(), Error> {
    let pipelines = [live.pipeline, beside.pipeline];
    for sql in UNOWNED {
        client.execute(sql, &[&pipelines.as_slice()]).await?;
    }
    // No pipeline and no schema has a name like this.
    let between = format!("{}@@{}", live.pipeline, Uuid::new_v4());
    let steps = [
        (live.pipeline, between.as_str(), between.as_str()),
        (beside.pipeline, live.pipeline, live.schema.as_str()),
        (between.as_str(), beside.pipeline, beside.schema.as_str()),
    ];
    for (from, to, schema) in steps {
        for table in WITH_SCHEMA {
            let sql = format!("UPDATE landfall.{table} SET pipeline = $2, target_schema = $3 WHERE pipeline = $1");
            client.execute(&sql, &[&from, &to, &schema]).await?;
        }
        for table in WITHOUT_SCHEMA {
            client
                .execute(&format!("UPDATE landfall.{table} SET pipeline = $2 WHERE pipeline = $1"), &[&from, &to])
                .await?;
        }
    }
    for (to, side) in [(beside.pipeline, live), (live.pipeline, beside)] {
        for (stream, hash) in &side.moved {
            client.execute(HASH, &[&to, stream, &hash.as_slice()]).await?;
        }
    }
    Ok(())
}

async fn drop_all(client: &Client, pipeline: &str, actor: &str) -> Result<u64, Error> {
    client.batch_execute(BEGIN).await?;
    client.batch_execute(SHORT).await?;
    ddl::lock(client).await?;
    let mut schemas = std::collections::BTreeSet::new();
    let mut dropped = 0;
    for row in client.query(TABLES, &[&pipeline]).await? {
        let [schema, name] = [0, 1].map(|at| row.try_get::<_, String>(at).map(|name| name.replace('"', "\"\"")));
        let (schema, name) = (schema?, name?);
        client.batch_execute(&format!("DROP TABLE IF EXISTS \"{schema}\".\"{name}\"")).await?;
        schemas.insert(schema);
        dropped += 1;
    }
    for table in FORGET {
        client.execute(&format!("DELETE FROM landfall.{table} WHERE pipeline = $1"), &[&pipeline]).await?;
    }
    client.execute(RECORD, &[&pipeline, &None::<&str>, &"dropped", &actor, &json!({ "tables": dropped })]).await?;
    for schema in schemas {
        // Somebody else's objects keep it, and so does another owner.
        client.batch_execute("SAVEPOINT schema").await?;
        match client.batch_execute(&format!("DROP SCHEMA \"{schema}\"")).await {
            Ok(()) => client.batch_execute("RELEASE SAVEPOINT schema").await?,
            Err(error) if error.as_db_error().is_some() => client.batch_execute("ROLLBACK TO SAVEPOINT schema").await?,
            Err(error) => return Err(error),
        }
    }
    Ok(dropped)
}
