-- Landfall's own state in the target. Every table is keyed by the pipeline's name.

-- A life of a source's queue, counted: the upper 16 bits of every row's version.
CREATE TABLE landfall.generations (
    pipeline     text COLLATE pg_catalog."C" NOT NULL,
    source       text COLLATE pg_catalog."C" NOT NULL,
    queue_id     uuid NOT NULL,
    generation   int2 NOT NULL CHECK (generation >= 1),
    allocated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (pipeline, source, queue_id),
    UNIQUE (pipeline, source, generation)
);

-- One stream, one table, one owner.
CREATE TABLE landfall.streams (
    pipeline      text COLLATE pg_catalog."C" NOT NULL,
    stream        text COLLATE pg_catalog."C" NOT NULL,
    source        text COLLATE pg_catalog."C" NOT NULL,
    target_schema text COLLATE pg_catalog."C" NOT NULL,
    target_table  text COLLATE pg_catalog."C" NOT NULL,
    phase         text NOT NULL CHECK (phase IN ('bulk', 'live')),
    mapping_hash  bytea NOT NULL,
    partitions    int4 NOT NULL CHECK (partitions BETWEEN 1 AND 256),
    queue_id      uuid,
    owner_nonce   uuid,
    admitted_at   timestamptz,
    -- Bound to another queue over rows that stand: what the source lost in between is still to be deleted.
    resync        bool NOT NULL DEFAULT false,
    PRIMARY KEY (pipeline, stream),
    UNIQUE (target_schema, target_table)
);

-- Applied until. The counters stand in the row that moves: next_offset is always their sum.
CREATE TABLE landfall.checkpoints (
    pipeline      text COLLATE pg_catalog."C" NOT NULL,
    stream        text COLLATE pg_catalog."C" NOT NULL,
    partition     int4 NOT NULL,
    owner_nonce   uuid NOT NULL,
    queue_id      uuid NOT NULL,
    next_offset   int8 NOT NULL DEFAULT 0,
    applied       int8 NOT NULL DEFAULT 0,
    superseded    int8 NOT NULL DEFAULT 0,
    filtered      int8 NOT NULL DEFAULT 0,
    dead_lettered int8 NOT NULL DEFAULT 0,
    updated_at    timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (pipeline, stream, partition),
    FOREIGN KEY (pipeline, stream) REFERENCES landfall.streams
) WITH (fillfactor = 20);

-- What could not become a row.
CREATE TABLE landfall.dead_letters (
    id           int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline     text COLLATE pg_catalog."C" NOT NULL,
    stream       text COLLATE pg_catalog."C" NOT NULL,
    partition    int4 NOT NULL,
    event_offset int8 NOT NULL,
    version      int8 NOT NULL,
    key          bytea NOT NULL,
    op           text NOT NULL CHECK (op IN ('upsert', 'delete', 'reject')),
    code         text NOT NULL,
    path         text NOT NULL,
    expected     text NOT NULL,
    found        text NOT NULL,
    byte_at      int8,
    sqlstate     text,
    place        text NOT NULL,
    place_at     int8 NOT NULL,
    payload      bytea NOT NULL,
    state        text NOT NULL CHECK (state IN ('parked', 'behind', 'superseded', 'retried', 'discarded')),
    blocks       bool NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT pg_catalog.now(),
    settled_at   timestamptz
);
CREATE INDEX dead_letters_waiting ON landfall.dead_letters (pipeline, stream, key, event_offset)
    WHERE state IN ('parked', 'behind');
CREATE INDEX dead_letters_listed ON landfall.dead_letters (pipeline, stream, id);

-- What an operator decided about something held or refused.
CREATE TABLE landfall.decisions (
    pipeline   text COLLATE pg_catalog."C" NOT NULL,
    stream     text COLLATE pg_catalog."C" NOT NULL,
    subject    text COLLATE pg_catalog."C" NOT NULL,
    accept     bool NOT NULL,
    actor      text NOT NULL,
    decided_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (pipeline, stream, subject)
);

-- Pause and throttle, stream by stream.
CREATE TABLE landfall.controls (
    pipeline       text COLLATE pg_catalog."C" NOT NULL,
    stream         text COLLATE pg_catalog."C" NOT NULL,
    paused         bool NOT NULL DEFAULT false,
    rows_per_second int8 CHECK (rows_per_second > 0),
    actor          text NOT NULL,
    reason         text NOT NULL DEFAULT '',
    changed_at     timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (pipeline, stream)
);

-- What happened to the migration, append only.
CREATE TABLE landfall.history (
    id       int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline text COLLATE pg_catalog."C" NOT NULL,
    stream   text COLLATE pg_catalog."C",
    event    text NOT NULL,
    actor    text NOT NULL,
    evidence jsonb NOT NULL DEFAULT '{}',
    at       timestamptz NOT NULL DEFAULT pg_catalog.now()
);
CREATE INDEX history_by_pipeline ON landfall.history (pipeline, id);

-- The DDL we ran on the mapped tables, numbered per pipeline.
CREATE TABLE landfall.target_migrations (
    pipeline   text COLLATE pg_catalog."C" NOT NULL,
    number     int4 NOT NULL CHECK (number >= 1),
    statements text[] NOT NULL,
    actor      text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (pipeline, number)
);
