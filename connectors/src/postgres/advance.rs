//! The parameters of what commits with the rows: checkpoints, dead letters, retractions.
//!
//! Owns how they become arrays; the statements stand in `statement`. Text from the source can hold U+0000, which
//! PostgreSQL cannot store: in the describing columns of a dead letter it is spelled `\u0000`. The payload and the key are
//! bytes and stay exact.

use super::statement::{ADVANCE, BURY, RETRACT};
use crate::checkpoints::OwnerNonce;
use crate::deadletter::{DeadLetter, ParkedOp};
use crate::sink::SinkBatch;
use landfall_schemas::rejection::RejectCode;
use std::borrow::Cow;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Statement};

/// Whose checkpoint: pipeline, stream, owner.
#[derive(Clone, Copy)]
pub(crate) struct Claim<'a> {
    pub(crate) pipeline: &'a str,
    pub(crate) stream: &'a str,
    pub(crate) nonce: OwnerNonce,
}

/// The compare-and-set, with its arrays sorted by partition so that lock order is the same everywhere.
pub(crate) struct Steps {
    partition: Vec<i32>,
    from: Vec<i64>,
    until: Vec<i64>,
    applied: Vec<i64>,
    superseded: Vec<i64>,
    filtered: Vec<i64>,
    dead_lettered: Vec<i64>,
}

impl Steps {
    pub(crate) const SQL: &'static str = ADVANCE;

    pub(crate) fn new(batch: &SinkBatch) -> Self {
        let mut advances = batch.advances.clone();
        advances.sort_unstable_by_key(|a| a.partition);
        let column = |of: fn(&crate::sink::Advance) -> u64| advances.iter().map(|a| of(a).cast_signed()).collect();
        Self {
            partition: advances.iter().map(|a| i32::from(a.partition.0)).collect(),
            from: column(|a| a.range.from.0),
            until: column(|a| a.range.until.0),
            applied: column(|a| a.counts.applied),
            superseded: column(|a| a.counts.superseded),
            filtered: column(|a| a.counts.filtered),
            dead_lettered: column(|a| a.counts.dead_lettered),
        }
    }

    /// How many rows it must change.
    pub(crate) fn expected(&self) -> u64 {
        self.partition.len() as u64
    }

    pub(crate) async fn run(&self, client: &Client, statement: &Statement, claim: Claim<'_>) -> Result<u64, Error> {
        let parameters: [&(dyn ToSql + Sync); 10] = [
            &claim.pipeline,
            &claim.stream,
            &claim.nonce.0,
            &self.partition,
            &self.from,
            &self.until,
            &self.applied,
            &self.superseded,
            &self.filtered,
            &self.dead_lettered,
        ];
        client.execute(statement, &parameters).await
    }
}

/// The dead letters of a batch, column by column.
pub(crate) struct Burial<'a> {
    dead: &'a [DeadLetter],
}

impl<'a> Burial<'a> {
    pub(crate) const SQL: &'static str = BURY;

    pub(crate) fn new(dead: &'a [DeadLetter]) -> Self {
        Self { dead }
    }

    pub(crate) async fn run(&self, client: &Client, statement: &Statement, claim: Claim<'_>) -> Result<u64, Error> {
        let of = self.dead;
        let partition: Vec<i32> = of.iter().map(|d| i32::from(d.partition.0)).collect();
        let offset: Vec<i64> = of.iter().map(|d| d.offset.0.cast_signed()).collect();
        let version: Vec<i64> = of.iter().map(|d| d.version.0).collect();
        let key: Vec<&[u8]> = of.iter().map(|d| d.key.as_slice()).collect();
        let op: Vec<&str> = of.iter().map(|d| op_name(d.op)).collect();
        let code: Vec<&str> = of.iter().map(|d| d.code().name()).collect();
        let path: Vec<Cow<'_, str>> = of.iter().map(|d| storable(&d.reason.path)).collect();
        let expected: Vec<Cow<'_, str>> = of.iter().map(|d| storable(&d.reason.expected)).collect();
        let found: Vec<Cow<'_, str>> = of.iter().map(|d| storable(&d.reason.found)).collect();
        let byte_at: Vec<Option<i64>> = of.iter().map(|d| d.reason.at.map(u64::cast_signed)).collect();
        let sqlstate: Vec<Option<&str>> = of.iter().map(|d| d.sqlstate.as_deref()).collect();
        let place: Vec<Cow<'_, str>> = of.iter().map(|d| storable(&d.place)).collect();
        let place_at: Vec<i64> = of.iter().map(|d| d.at.cast_signed()).collect();
        let payload: Vec<&[u8]> = of.iter().map(|d| d.payload.as_slice()).collect();
        let state: Vec<&str> = of.iter().map(|d| state_name(d.code())).collect();
        let blocks: Vec<bool> = of.iter().map(|d| d.code().blocks_key()).collect();
        let parameters: [&(dyn ToSql + Sync); 18] = [
            &claim.pipeline,
            &claim.stream,
            &partition,
            &offset,
            &version,
            &key,
            &op,
            &code,
            &path,
            &expected,
            &found,
            &byte_at,
            &sqlstate,
            &place,
            &place_at,
            &payload,
            &state,
            &blocks,
        ];
        client.execute(statement, &parameters).await
    }
}

/// The keys whose non-blocking dead letters are settled.
pub(crate) struct Retraction<'a> {
    keys: &'a [Vec<u8>],
}

impl<'a> Retraction<'a> {
    pub(crate) const SQL: &'static str = RETRACT;

    pub(crate) fn new(keys: &'a [Vec<u8>]) -> Self {
        Self { keys }
    }

    pub(crate) async fn run(&self, client: &Client, statement: &Statement, claim: Claim<'_>) -> Result<u64, Error> {
        client.execute(statement, &[&claim.pipeline, &claim.stream, &self.keys]).await
    }
}

fn op_name(op: ParkedOp) -> &'static str {
    match op {
        ParkedOp::Upsert => "upsert",
        ParkedOp::Delete => "delete",
        ParkedOp::Reject => "reject",
    }
}

fn state_name(code: RejectCode) -> &'static str {
    if code == RejectCode::Behind { "behind" } else { "parked" }
}

fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\\u0000")) } else { Cow::Borrowed(text) }
}
