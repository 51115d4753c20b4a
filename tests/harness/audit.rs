//! The witness inside PostgreSQL: triggers that record, in the same transaction, every row written and every step of a checkpoint.
//!
//! Equality alone cannot see a change applied twice. The audit can: a transaction that wrote rows of a stream must also have
//! moved one of its checkpoints or a range of its copy, steps of a checkpoint join without gap or overlap, and no key goes back in version.

use crate::database::{Database, Login};

/// Installs the audit on the tables (all in schema `public`) and on `landfall.checkpoints`. The tables must exist; the first
/// column of a table is its key.
pub fn install(login: &Login, tables: &[(String, String)]) {
    let mut database = Database::connect(login).expect("the target answers");
    database.run(SCHEMA);
    for (stream, table) in tables {
        let table = table.replace('"', "\"\"");
        let relation = format!("public.\"{table}\"").replace('\'', "''");
        let key = database
            .value(&format!(
                "select quote_literal(attname) from pg_attribute where attrelid = '{relation}'::regclass and attnum = 1"
            ))
            .expect("a table has a first column");
        for (event, old, new) in [
            ("insert", "", "new table as written"),
            ("update", "old table as gone", "new table as written"),
            ("delete", "old table as gone", ""),
        ] {
            database.run(&format!(
                "create or replace trigger audit_{event} after {event} on public.\"{table}\" referencing {old} {new} \
                 for each statement execute function audit.note_{event}('{stream}', {key})"
            ));
        }
    }
}

const SCHEMA: &str = r"
create schema if not exists audit;
create table if not exists audit.writes (
    n bigint generated always as identity, xid xid8 not null default pg_current_xact_id(),
    stream text not null, op text not null, key text, version bigint, before bigint);
create table if not exists audit.steps (
    n bigint generated always as identity, xid xid8 not null default pg_current_xact_id(),
    pipeline text not null, stream text not null, partition int not null, from_offset bigint not null, until_offset bigint not null);

create or replace function audit.note_insert() returns trigger language plpgsql security definer as $$
begin
    execute format('insert into audit.writes (stream, op, key, version) select $1, ''insert'', %I::text, _lf_version from written',
        tg_argv[1]) using tg_argv[0];
    return null;
end $$;
create or replace function audit.note_update() returns trigger language plpgsql security definer as $$
begin
    execute format('insert into audit.writes (stream, op, key, version, before) select $1, ''update'', w.%1$I::text, w._lf_version, g._lf_version
        from written w join gone g using (%1$I)', tg_argv[1]) using tg_argv[0];
    return null;
end $$;
create or replace function audit.note_delete() returns trigger language plpgsql security definer as $$
begin
    execute format('insert into audit.writes (stream, op, key, before) select $1, ''delete'', %I::text, _lf_version from gone',
        tg_argv[1]) using tg_argv[0];
    return null;
end $$;
create or replace function audit.note_step() returns trigger language plpgsql security definer as $$
begin
    if new.next_offset is distinct from old.next_offset then
        insert into audit.steps (pipeline, stream, partition, from_offset, until_offset)
        values (new.pipeline, new.stream, new.partition, old.next_offset, new.next_offset);
    end if;
    return null;
end $$;
create table if not exists audit.range_steps (
    n bigint generated always as identity, xid xid8 not null default pg_current_xact_id(),
    pipeline text not null, stream text not null, copy bigint not null, number int not null, read bigint not null, was bigint not null);
create or replace function audit.note_range_step() returns trigger language plpgsql security definer as $$
begin
    if new.reached is distinct from old.reached or new.done is distinct from old.done then
        insert into audit.range_steps (pipeline, stream, copy, number, read, was)
        values (new.pipeline, new.stream, new.copy, new.number, new.copied + new.parked, old.copied + old.parked);
    end if;
    return null;
end $$;
create or replace trigger audit_range_step after update on landfall.ranges for each row execute function audit.note_range_step();
create or replace trigger audit_step after update on landfall.checkpoints for each row execute function audit.note_step();
";
