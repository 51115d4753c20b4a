//! Examples of what the commands of the command line tell with `-o json`.

use super::super::check::finding::{Finding, Level};
use super::super::checkpoint;
use super::super::deadletter::line;
use super::super::envelope::{self, Finished};
use super::super::exit::Exit;
use super::super::failure::CliFailure;
use super::super::schema;
use crate::config::problem::ProblemReport;
use crate::control::protocol::ControlChange;
use crate::log_dial::LogLevel;
use crate::replay::cut::{CutReport, CutSource};
use crate::verify::report::tests::example;
use crate::verify::{Verdict, VerifyReport};
use landfall_connectors::postgres::StoredLetter;
use landfall_schemas::ddl::{Plan, Reason, Refusal, Step, StepKind};
use serde_json::{Value, json};
use std::num::NonZeroU64;

type Shapes = Vec<(&'static str, &'static str, Vec<Value>)>;

pub(super) fn all() -> Shapes {
    let mut all = vec![
        ("envelope", "what every command prints with -o json", envelopes()),
        ("problems", "result of any command whose configuration is refused", vec![problems()]),
        ("check", "result of `landfall check`", vec![checks()]),
        ("init", "result of `landfall init`", vec![init()]),
        ("test", "result of `landfall test`", vec![test()]),
        ("verify", "result of `landfall verify`", verified()),
        ("replay-compare", "result of `landfall replay compare`", verified()),
        ("completions", "result of `landfall completions`", vec![json!({ "shell": "bash", "script": "" })]),
        ("man", "result of `landfall man`", vec![json!({ "page": "" }), json!({ "dir": "" })]),
        ("log-level", "result of `landfall log-level`", vec![json!({ "level": LogLevel::Trace })]),
    ];
    all.extend(schemas());
    all.extend(letters());
    all.extend(checkpoints());
    all.extend(orders());
    all.extend(replays());
    all
}

fn envelopes() -> Vec<Value> {
    let parse = |outcome| serde_json::from_str(&envelope::line("check", &outcome)).expect("an envelope is JSON");
    let failure = CliFailure::new(Exit::Failed, "not_running", "words");
    let advised = CliFailure::new(Exit::Failed, "not_running", "words").suggest("words").caused_by(&"words");
    // A result may be anything: each command has a shape of its own.
    let mut all: Vec<Value> = vec![parse(Ok(Finished::done("words"))), parse(Err(failure)), parse(Err(advised))];
    all[0]["result"] = json!({});
    all
}

fn problems() -> Value {
    let problem = |instead| ProblemReport {
        file: "landfall.yaml".to_owned(),
        line: 1,
        column: 1,
        problem: "words".to_owned(),
        instead,
    };
    json!({ "problems": [problem(None), problem(Some("words".to_owned()))] })
}

fn checks() -> Value {
    let advised =
        Finding { level: Level::Fail, ..Finding::pass("target", "target_reachable", "words") }.suggest("words");
    json!({ "checks": [Finding::pass("target", "target_reachable", "words"), advised] })
}

fn init() -> Value {
    let stream = json!({ "stream": "users", "records": 1, "all": true, "odd": 0, "columns": 1, "children": 0 });
    json!({ "file": "landfall.yaml", "streams": [stream], "notes": ["words"] })
}

fn test() -> Value {
    json!({ "cases": [{ "file": "landfall.test.yaml", "case": "one", "stream": "users", "faults": ["words"] }] })
}

fn verified() -> Vec<Value> {
    let bare = VerifyReport { verdict: Verdict::Unknown, ..VerifyReport::default() };
    let full = VerifyReport { server_version: Some(150_000), ..example() };
    let mut less = example();
    for stream in &mut less.streams {
        (stream.verified_through_ms, stream.applied_events) = (None, None);
        (stream.read_source, stream.read_target, stream.repair, stream.sample) = (None, None, None, None);
        for column in stream.findings.iter_mut().flat_map(|finding| &mut finding.columns) {
            (column.at, column.source, column.target) = (None, None, None);
        }
    }
    // A record that is missing, or one that nobody else has, differs in no column.
    let mut lone = example();
    lone.streams.iter_mut().flat_map(|stream| &mut stream.findings).for_each(|finding| finding.columns.clear());
    [bare, full, less, lone].map(|report| serde_json::to_value(report).expect("a report is JSON")).to_vec()
}

fn schemas() -> Shapes {
    let word = str::to_owned;
    let step = Step { kind: StepKind::CreateTable, object: word("public.users"), sql: word("CREATE TABLE") };
    let refusal = Refusal { table: word("public.users"), reason: Reason::NotATable };
    let plan = schema::result(&Plan { steps: vec![step], refusals: vec![refusal] });
    let constraint = json!({ "constraint": "words", "name": "users_key", "stood": true, "violations": 0 });
    let steps = || vec![plan.clone(), json!({ "constraints": [constraint] })];
    let drops =
        json!({ "drops": [{ "sql": "ALTER TABLE", "holds": 1, "needed_by": ["words"] }], "streams": ["users"] });
    vec![
        ("schema-plan", "result of `landfall schema plan`; with --constraints their list", steps()),
        ("schema-apply", "result of `landfall schema apply`; with --constraints their list", steps()),
        ("schema-contract", "result of `landfall schema contract`", vec![drops]),
    ]
}

fn letter(payload: Option<&[u8]>, key: Option<&[u8]>) -> Value {
    let word = || "words".to_owned();
    line::json(&StoredLetter {
        id: 1,
        stream: word(),
        state: word(),
        code: word(),
        path: word(),
        expected: word(),
        found: word(),
        byte_at: payload.map(|_| 1),
        sqlstate: payload.map(|_| word()),
        place: word(),
        place_at: 1,
        event: (1, 1),
        op: word(),
        age_seconds: 1,
        parked_at: word(),
        payload_bytes: 1,
        behind: 0,
        key: key.map(<[u8]>::to_vec),
        payload: payload.map(<[u8]>::to_vec),
    })
}

fn letters() -> Shapes {
    let all = vec![letter(None, None), letter(Some(b"{}"), Some(b"s:a")), letter(Some(b"\xff"), None)];
    let list = json!({ "parked": 3, "by_code": { "column_type": 3 }, "letters": all });
    let redress = json!({ "dry_run": true, "applied": 0, "superseded": 0, "filtered": 0, "discarded": 0,
        "still_parked": 0, "not_records": 0 });
    vec![
        ("deadletter-list", "result of `landfall deadletter list`", vec![list]),
        ("deadletter-show", "result of `landfall deadletter show`", all),
        ("deadletter-retry", "result of `landfall deadletter retry`", vec![redress.clone()]),
        ("deadletter-discard", "result of `landfall deadletter discard`", vec![redress]),
        ("deadletter-export", "result of `landfall deadletter export`", vec![json!({ "letters": 1 })]),
    ]
}

fn checkpoints() -> Shapes {
    let held =
        CutSource { source: "store".to_owned(), streams: vec!["users".to_owned()], usable: true, events: 1, bytes: 1 };
    let (name, actor, created) = ("a".to_owned(), "ada".to_owned(), "2026-01-01T00:00:00Z".to_owned());
    let cut = CutReport { name, actor, created, sources: vec![held] };
    let told = || vec![json!({ "checkpoints": [checkpoint::told(&cut, None), checkpoint::told(&cut, Some(1))] })];
    vec![
        ("checkpoint-create", "result of `landfall checkpoint create`", told()),
        ("checkpoint-list", "result of `landfall checkpoint list`", told()),
        ("checkpoint-delete", "result of `landfall checkpoint delete`", told()),
    ]
}

fn orders() -> Shapes {
    let decided = json!({ "stream": "users", "subject": "9f2c", "decision": "accepted" });
    let mut compared = decided.clone();
    compared["compare"] = json!(true);
    let told = |change: ControlChange| json!({ "streams": ["users"], "change": change });
    let throttles = [NonZeroU64::new(1), None].map(|rate| told(ControlChange::Throttle { rows_per_second: rate }));
    vec![
        ("accept", "result of `landfall accept`", vec![decided.clone(), compared]),
        ("refuse", "result of `landfall refuse`", vec![decided]),
        ("pause", "result of `landfall pause`", vec![told(ControlChange::Pause)]),
        ("resume", "result of `landfall resume`", vec![told(ControlChange::Resume)]),
        ("throttle", "result of `landfall throttle`", throttles.to_vec()),
    ]
}

fn replays() -> Shapes {
    let stream =
        json!({ "stream": "users", "events": 1, "replayed": 1, "refused": 0, "behind_letters": 0, "rows_before": 0 });
    let (replayed, beside) = (json!({ "dry_run": true, "streams": [stream] }), json!({ "schema": "v2" }));
    vec![
        ("replay", "result of `landfall replay`; with --into the schema", vec![replayed, beside.clone()]),
        ("replay-swap", "result of `landfall replay swap`", vec![json!({ "schema": "v2", "swapped": true })]),
        ("replay-drop", "result of `landfall replay drop`", vec![beside]),
    ]
}
