-- Tables below a stream's own.
CREATE TABLE landfall.child_tables (
    pipeline      text COLLATE pg_catalog."C" NOT NULL,
    stream        text COLLATE pg_catalog."C" NOT NULL,
    target_schema text COLLATE pg_catalog."C" NOT NULL,
    target_table  text COLLATE pg_catalog."C" NOT NULL,
    PRIMARY KEY (target_schema, target_table),
    FOREIGN KEY (pipeline, stream) REFERENCES landfall.streams
);
