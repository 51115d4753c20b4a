//! The names under which log lines carry values: one name for one thing, in all rooms.
//!
//! Who reads logs by machine filters by these; a new one is added here first. `tests/tidy` compares the list with every log line of the product, in
//! both directions, and a test writes `deploy/docs/log.md` from it.

/// A name, and what it tells.
pub const LOG_FIELDS: &[(&str, &str)] = &[
    ("accept", "what an operator's word says: `true` accepts, `false` refuses"),
    ("actor", "who decided or ordered it"),
    ("address", "where the service listens"),
    ("adopted", "whether a stream took the keys of its table as its own"),
    ("checkpoint", "a named checkpoint"),
    ("code", "the stable name of what is wrong: a runbook page has the same"),
    ("collection", "a collection of a database that no stream takes"),
    ("columns_added", "columns that were added for new fields"),
    ("columns_narrow", "columns that stay narrow: their table is too large to be rewritten while somebody reads it"),
    ("columns_wider", "columns of the service that were made wider"),
    ("database", "a source's database"),
    ("detail", "what happened and where, when the line itself says what follows from it"),
    ("event", "an event that a hook is told of: a word of its `on`"),
    ("fields_left", "new fields that got no column and stay in the rest"),
    ("from", "first byte of a range of a file"),
    ("headroom_seconds", "log of the source between its oldest entry and capture"),
    ("hook", "place of a hook in the configuration, from 1"),
    ("keys", "how many keys"),
    ("known", "whether the source knew of what was decided"),
    ("options", "how a change stream is opened"),
    ("policy", "what is done with the rows of a collection that is gone"),
    ("reason", "why a queue takes nothing"),
    ("rows", "how many rows"),
    ("ruling", "how a held revision was decided"),
    ("schema", "a schema beside the live one"),
    ("segment", "a file of a queue"),
    ("stream", "a stream's name"),
    ("subject", "what a word of an operator is about: a revision, or the code of a halt"),
    ("table", "a table of the target"),
    ("task", "a part of the service that ended"),
    ("tls", "whether the service is spoken to over TLS"),
    (
        "trace_id",
        "the trace of the batch that a line is about, when it is sampled: the collector has its span under it",
    ),
    ("tries", "how many times it was tried"),
    ("until", "end of a range of a file: the first byte behind it"),
    ("wait_ms", "how long is waited before the next try, in milliseconds"),
    ("window_seconds", "log that the source keeps"),
];

#[cfg(test)]
mod tests {
    use super::LOG_FIELDS;
    use crate::cli::golden;
    use std::fmt::Write as _;

    const OPENING: &str = "# Log

<!-- Written by a test from pipeline/src/log_fields.rs; LANDFALL_BLESS=1 writes it anew. -->

The log goes to stderr: text, or with `--log-format json` an object a line with `timestamp`, `level`, `message`, `target` and the fields
below. `-v` and `-vv` say more; `LANDFALL_LOG` takes a filter like `landfall=debug` or `trace` instead, and `landfall log-level` turns a running service. No line
carries a value of a record, a key or a secret, at any level.

One name is one thing in every line:

| field | it tells |
|---|---|
";

    #[test]
    fn the_book_lists_every_field_of_the_log() {
        let mut page = OPENING.to_owned();
        for (name, tells) in LOG_FIELDS {
            let _ = writeln!(page, "| `{name}` | {tells} |");
        }
        golden::check_in_repository("deploy/docs/log.md", &page);
    }

    #[test]
    fn fields_are_in_order_and_named_once() {
        assert!(LOG_FIELDS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
