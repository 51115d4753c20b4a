-- Named cuts: where each partition stood, so that a replay can begin there. The queue keeps what is behind them.
CREATE TABLE landfall.named_checkpoints (
    pipeline    text COLLATE pg_catalog."C" NOT NULL,
    name        text COLLATE pg_catalog."C" NOT NULL,
    stream      text COLLATE pg_catalog."C" NOT NULL,
    partition   int4 NOT NULL,
    source      text COLLATE pg_catalog."C" NOT NULL,
    queue_id    uuid NOT NULL,
    next_offset int8 NOT NULL,
    actor       text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (pipeline, name, stream, partition)
);
