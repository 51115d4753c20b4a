//! A record becomes a row: the mapping compiled once, then run per record without allocating per field.
