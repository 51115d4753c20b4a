-- Several streams in one table, told apart by its first column.
ALTER TABLE landfall.streams DROP CONSTRAINT streams_target_schema_target_table_key,
    ADD COLUMN told_by text COLLATE pg_catalog."C" NOT NULL DEFAULT '',
    ADD CONSTRAINT streams_table UNIQUE (target_schema, target_table, told_by);
ALTER TABLE landfall.child_tables DROP CONSTRAINT child_tables_pkey,
    ADD PRIMARY KEY (target_schema, target_table, pipeline, stream);
