-- Two pipelines over one queue may change places (`replay swap`): their rows are renamed in one transaction, parents and children in turn.
ALTER TABLE landfall.checkpoints ALTER CONSTRAINT checkpoints_pipeline_stream_fkey DEFERRABLE INITIALLY IMMEDIATE;
ALTER TABLE landfall.ranges ALTER CONSTRAINT ranges_pipeline_stream_fkey DEFERRABLE INITIALLY IMMEDIATE;
ALTER TABLE landfall.child_tables ALTER CONSTRAINT child_tables_pipeline_stream_fkey DEFERRABLE INITIALLY IMMEDIATE;
ALTER TABLE landfall.added_columns ALTER CONSTRAINT added_columns_pipeline_stream_fkey DEFERRABLE INITIALLY IMMEDIATE;
