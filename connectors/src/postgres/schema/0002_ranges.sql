-- The ranges of a copy, ticked off in the transaction that wrote them. `copy` is the version its rows carry.
CREATE TABLE landfall.ranges (
    pipeline    text COLLATE pg_catalog."C" NOT NULL,
    stream      text COLLATE pg_catalog."C" NOT NULL,
    copy        int8 NOT NULL,
    number      int4 NOT NULL,
    owner_nonce uuid NOT NULL,
    after_mark  bytea,
    upto_mark   bytea,
    reached     bytea,
    done        bool NOT NULL DEFAULT false,
    cohorts     jsonb NOT NULL DEFAULT '{}',
    copied      int8 NOT NULL DEFAULT 0,
    parked      int8 NOT NULL DEFAULT 0,
    updated_at  timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (pipeline, stream, copy, number),
    FOREIGN KEY (pipeline, stream) REFERENCES landfall.streams
) WITH (fillfactor = 20);
