-- Columns that the service added to a stream's table (`evolve: add_column`), as they widen its mapping. Names of fields may be of any length.
CREATE TABLE landfall.added_columns (
    pipeline      text COLLATE pg_catalog."C" NOT NULL,
    stream        text COLLATE pg_catalog."C" NOT NULL,
    target_column text COLLATE pg_catalog."C" NOT NULL,
    field         text COLLATE pg_catalog."C" NOT NULL,
    type          text NOT NULL CHECK (type IN ('boolean', 'bigint', 'numeric', 'text', 'jsonb', 'objectid',
                                                'timestamp with time zone', 'uuid', 'bytea')),
    number        int4 NOT NULL,
    added_at      timestamptz NOT NULL DEFAULT pg_catalog.now(),
    widened_at    timestamptz,
    PRIMARY KEY (pipeline, stream, target_column),
    FOREIGN KEY (pipeline, stream) REFERENCES landfall.streams
);
