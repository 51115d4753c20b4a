//! The target: reachable, safe, allowed, and in step with the mapping.

use super::finding::Finding;
use crate::cli::schema;
use crate::config::Pipeline;
use landfall_connectors::failure::Failure;
use landfall_connectors::health::Reading;
use landfall_connectors::postgres::PostgresTarget;
use landfall_connectors::postgres::preflight::{Preflight, SchemaRights};
use landfall_schemas::ddl::Plan;

const TARGET: &str = "target";

pub(super) async fn look(pipeline: &Pipeline) -> Vec<Finding> {
    let target = match PostgresTarget::new(&pipeline.target.connection(), &pipeline.name) {
        Ok(target) => target,
        Err(error) => {
            return vec![Finding::fail(TARGET, "target_invalid", error.to_string()).suggest("mend target.url")];
        }
    };
    let seen = match target.preflight().await {
        Ok(seen) => seen,
        Err(failure) => return vec![unreached(&failure)],
    };
    let mut findings = vec![reached(&seen), encryption(&seen), commits(&seen)];
    findings.extend(rights(&seen, pipeline));
    findings.extend(health(&target, pipeline).await);
    let plan = target.schema_plan(&schema::wanted(pipeline)).await;
    findings.extend(tables(plan));
    findings
}

fn unreached(failure: &Failure) -> Finding {
    let suggestion = match failure.code {
        "target_unreachable" => "is the server running, and does target.url name its host, port and database?",
        "synchronous_commit_off" => {
            "ALTER ROLE … SET synchronous_commit = on, or target.synchronous_commit_off_allowed: true"
        }
        "server_too_old" => "a server of version 12 or later",
        _ => "mend it, then check again; nothing was changed",
    };
    Finding::fail(TARGET, failure.code, failure.detail.clone()).suggest(suggestion)
}

fn reached(seen: &Preflight) -> Finding {
    let (major, minor) = (seen.server_version / 10_000, seen.server_version % 10_000);
    let message = format!("PostgreSQL {major}.{minor}, database {}, role {}", seen.database, seen.role);
    if seen.superuser {
        return Finding::warn(TARGET, "role_superuser", message + ": a superuser, which is more than landfall needs")
            .suggest("a role of its own with CREATE on the database and on the schema of the tables");
    }
    Finding::pass(TARGET, "target_reachable", message)
}

fn encryption(seen: &Preflight) -> Finding {
    let message = if seen.encrypted {
        "the connection is encrypted"
    } else {
        "the connection is clear text (this machine, or sslmode: disable)"
    };
    Finding::pass(TARGET, "target_encryption", message)
}

fn commits(seen: &Preflight) -> Finding {
    if seen.synchronous_commit == "off" {
        let message = "synchronous_commit is off, as the configuration allows: a crash of the server loses rows that the queue may have trimmed";
        return Finding::warn(TARGET, "synchronous_commit_off", message)
            .suggest("ALTER ROLE … SET synchronous_commit = on");
    }
    Finding::pass(TARGET, "synchronous_commit", format!("synchronous_commit is {}", seen.synchronous_commit))
}

fn rights(seen: &Preflight, pipeline: &Pipeline) -> Vec<Finding> {
    let schemas = [(pipeline.target.schema.as_str(), seen.tables), ("landfall", seen.own)];
    schemas.into_iter().map(|(schema, rights)| right(schema, rights, seen)).collect()
}

fn right(schema: &str, rights: Option<SchemaRights>, seen: &Preflight) -> Finding {
    match rights {
        None if seen.creates_schemas => {
            Finding::pass(TARGET, "schema_to_create", format!("schema {schema} is not there and can be created"))
        }
        None => {
            let message = format!("schema {schema} is not there and role {} may not create it", seen.role);
            Finding::fail(TARGET, "schema_missing", message)
                .suggest(format!("as its owner: CREATE SCHEMA \"{schema}\" AUTHORIZATION \"{}\"", seen.role))
        }
        Some(SchemaRights { usage: true, create: true }) => {
            Finding::pass(TARGET, "schema_usable", format!("schema {schema} can be used and extended"))
        }
        Some(SchemaRights { usage: true, create: false }) => {
            let message = format!("role {} may not create tables in schema {schema}", seen.role);
            Finding::warn(TARGET, "schema_not_extendable", message).suggest(format!(
                "only `schema apply` needs it: GRANT CREATE ON SCHEMA \"{schema}\" TO \"{}\"",
                seen.role
            ))
        }
        Some(SchemaRights { usage: false, .. }) => {
            let message = format!("role {} may not use schema {schema}", seen.role);
            Finding::fail(TARGET, "schema_forbidden", message)
                .suggest(format!("GRANT USAGE, CREATE ON SCHEMA \"{schema}\" TO \"{}\"", seen.role))
        }
    }
}

/// Whether what the limits of its health are about can be read: what cannot would hold nothing back.
async fn health(target: &PostgresTarget, pipeline: &Pipeline) -> Vec<Finding> {
    let limits = &pipeline.target.health;
    let measures: Vec<_> = limits.limits.iter().map(|(measure, _)| *measure).collect();
    let mut probe = target.health_probe(&measures, limits.query.as_deref());
    if !probe.asks() {
        return Vec::new();
    }
    let finding = |reading: Reading| {
        let word = reading.measure.word();
        match reading.value {
            Ok(_) => Finding::pass(TARGET, "health_readable", format!("target.health: {word} can be read")),
            Err(failure) => {
                let message =
                    format!("target.health: {word} cannot be read, and would hold nothing back: {}", failure.detail);
                Finding::warn(TARGET, failure.code, message).suggest("mend it, or take the limit out")
            }
        }
    };
    match probe.look().await {
        Ok(readings) => readings.into_iter().map(finding).collect(),
        Err(failure) => vec![unreached(&failure)],
    }
}

fn tables(plan: Result<Plan, Failure>) -> Vec<Finding> {
    let plan = match plan {
        Ok(plan) => plan,
        Err(failure) => return vec![unreached(&failure)],
    };
    let refused = plan.refusals.iter().map(|refusal| {
        Finding::fail(TARGET, "table_refused", refusal.to_string()).suggest("change the mapping, or the table")
    });
    let mut findings: Vec<_> = refused.collect();
    match plan.steps.len() {
        0 if findings.is_empty() => {
            findings.push(Finding::pass(TARGET, "tables_in_step", "the tables are as the streams need them"))
        }
        0 => {}
        steps => {
            let message = format!("statements to run before the tables are as the streams need them: {steps}");
            findings.push(
                Finding::warn(TARGET, "tables_behind", message)
                    .suggest("landfall schema plan, then landfall schema apply"),
            );
        }
    }
    findings
}
