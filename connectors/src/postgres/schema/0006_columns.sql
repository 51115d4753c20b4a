-- Every column that Landfall made or found and writes: what `schema contract` may drop once no mapping names it.
CREATE TABLE landfall.columns (
    pipeline      text COLLATE pg_catalog."C" NOT NULL,
    target_schema text COLLATE pg_catalog."C" NOT NULL,
    target_table  text COLLATE pg_catalog."C" NOT NULL,
    target_column text COLLATE pg_catalog."C" NOT NULL,
    PRIMARY KEY (target_schema, target_table, target_column)
);
-- Since when the mapping that is registered has been: an owner admitted before writes by another.
ALTER TABLE landfall.streams ADD COLUMN mapped_at timestamptz NOT NULL DEFAULT pg_catalog.now();
