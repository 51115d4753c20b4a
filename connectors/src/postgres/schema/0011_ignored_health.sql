-- A stream that an operator told to write whatever the target's health is.
ALTER TABLE landfall.controls ADD COLUMN ignores_health bool NOT NULL DEFAULT false;
