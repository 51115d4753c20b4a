//! `landfall schema contract`: what no mapping names any more, what it holds, what needs it; with `--yes` it goes.

use crate::cli::Outcome;
use crate::cli::envelope::Finished;
use crate::cli::exit::Exit;
use landfall_connectors::postgres::{Contraction, PostgresTarget, Superfluous, WantedStream};
use serde_json::{Value, json};
use std::fmt::Write as _;

pub(super) async fn contract(
    target: &PostgresTarget,
    wanted: &[WantedStream<'_>],
    (yes, actor): (bool, &str),
) -> Outcome {
    let contraction = target.contraction(wanted).await?;
    let needed = contraction.drops.iter().any(|one| !one.needed_by.is_empty());
    let nothing = contraction.drops.is_empty() && contraction.streams.is_empty();
    let (exit, summary) = match (nothing, needed, yes) {
        (true, ..) => (Exit::Done, "everything of Landfall's in the target is named by a mapping".to_owned()),
        (_, true, _) => (Exit::NeedsDecision, "something still needs what would go: nothing was dropped".to_owned()),
        (_, _, false) => (
            Exit::Done,
            "nothing was dropped: landfall schema contract --yes drops it, with the values it holds".to_owned(),
        ),
        (_, _, true) => {
            target.contract(&contraction, actor).await?;
            let count = contraction.drops.len();
            (Exit::Done, format!("{count} columns and tables were dropped, in one transaction"))
        }
    };
    Ok(Finished { exit, summary, text: text(&contraction), result: result(&contraction) })
}

fn text(contraction: &Contraction) -> String {
    let mut text = String::new();
    for one in &contraction.drops {
        let what = if one.column.is_some() { "values" } else { "rows" };
        let _ = writeln!(text, "-- {what} that go with it: {}", one.holds);
        for needed in &one.needed_by {
            let _ = writeln!(text, "-- needed by {needed}");
        }
        let _ = writeln!(text, "{};\n", one.sql());
    }
    for stream in &contraction.streams {
        let _ = writeln!(text, "-- stream {stream}: its checkpoints and dead letters go\n");
    }
    text
}

fn result(contraction: &Contraction) -> Value {
    let drop = |one: &Superfluous| json!({ "sql": one.sql(), "holds": one.holds, "needed_by": one.needed_by });
    json!({ "drops": contraction.drops.iter().map(drop).collect::<Vec<_>>(), "streams": contraction.streams })
}
