-- Dead letters that operators gave up: a term of their own in the sum of a checkpoint.
ALTER TABLE landfall.checkpoints ADD COLUMN discarded int8 NOT NULL DEFAULT 0;
-- The order that touched a letter last: tells after a lost answer whether it took place.
ALTER TABLE landfall.dead_letters ADD COLUMN act uuid;
