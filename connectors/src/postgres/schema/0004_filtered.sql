-- Records of a copy that the stream's filter left out.
ALTER TABLE landfall.ranges ADD COLUMN filtered int8 NOT NULL DEFAULT 0;
