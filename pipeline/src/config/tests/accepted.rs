//! What good configurations become.

use super::validate;
use crate::config::{HookAction, SourceKind, SslMode};
use crate::timeline::Occasion;
use landfall_connectors::files::lines::LinesFormat;
use landfall_connectors::health::Measure;
use landfall_connectors::mongodb::{Capture, ReadFrom};
use landfall_schemas::mapping::{
    EpochUnit, KeyFrom, MoneyMarks, Normalizer, Offset, OnDrop, OnError, Otherwise, Parse, RecordFormat, Select,
    SourceField, ValueRule,
};
use landfall_schemas::pgtype::PgType;
use landfall_schemas::table::ColumnRole;
use std::path::Path;
use std::time::Duration;

pub(super) const FULL: &str = r#"
name: flux
target:
  url: "${DATABASE_URL}"
  schema: app
  max_connections: 2
  sslmode: verify-full
  statement_timeout: 90s
  health:
    standby_lag: 30s
    standby_lag_bytes: 1GiB
    lock_waits: 5
    active_sessions: 40
    commit_time: 2s
    query: { sql: "SELECT count(*) FROM public.jobs ; ", limit: 0.5 }
state: { dir: ./.landfall }
queue: { kind: embedded, max_bytes: 50GiB, disk_reserve: 2GiB, retention: { bytes: 10GiB, age: 7d, floor: 1h } }
http: { listen: "0.0.0.0:8650", token: "${LANDFALL_TOKEN}", tls: { cert: tls/server.pem, key: /etc/server.key } }
hooks:
  - { on: [halted, held, recovered], run: [hooks/page.sh, "--loud"], timeout: 5s }
  - { on: [headroom_low], post: "${LANDFALL_HOOK}", token: "${LANDFALL_TOKEN}", headroom_below: 4h }
traces: { endpoint: "https://otlp.example/base/", token: "${LANDFALL_TOKEN}", ratio: 0.25 }
sources:
  store: { kind: json_document, path: data/projects.json, rescan: 10s }
  events: { kind: json_lines, path: "logs/*.ndjson", operation: { from: op, delete: d, upsert: [c, u], record: after } }
  kyc: { kind: json_directory, path: ../uploads/kyc, glob: "**/*.json", symlinks: follow }
streams:
  projects:
    source: store
    select: /projects
    key: { from: meta.id, type: uuid }
    columns:
      name: { from: name, type: text, required: true }
      owner_id: { from: owner.id, type: text, references: users.id }
      created_at: { from: /created.at, type: timestamptz }
      budget: numeric(12,2)
      state: { type: text, default: "open" }
    rest: extra
    evolve: rest
    on_error: halt
    indexes: [[owner_id], [state, created_at]]
  users:
    source: store
    select: /users
    key: { type: text, name: id }
  log: { source: events, key: position, table: Log }
  kyc: { source: kyc, key: stem, columns: { status: text }, rest: false }
"#;

#[test]
fn the_whole_example_becomes_plain_values() {
    let pipeline = validate(FULL).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(pipeline.name, "flux");
    assert_eq!(pipeline.target.url.reveal(), "postgres://app:canary-password@localhost/app");
    assert_eq!(pipeline.target.sslmode, Some(SslMode::VerifyFull));
    assert_eq!(pipeline.target.statement_timeout, Duration::from_secs(90));
    assert_eq!(pipeline.state_dir, Path::new("/etc/landfall/.landfall"));
    assert_eq!((pipeline.retention.max_bytes, pipeline.retention.disk_reserve), (50 << 30, Some(2 << 30)));
    let SourceKind::Lines { dir, pattern, format } = &pipeline.sources[1].kind else { panic!("lines") };
    assert_eq!(dir, Path::new("/etc/landfall/logs"));
    assert!(pattern.matches(Path::new("a.ndjson")) && !pattern.matches(Path::new("a.json")));
    assert!(matches!(format, LinesFormat::Operation { delete, upsert, record: Some(_), .. }
        if delete == &["d"] && upsert == &["c", "u"]));
    assert_eq!(pipeline.sources[2].kind.dir(), Some(Path::new("/etc/landfall/../uploads/kyc")));
    assert_eq!(pipeline.references.len(), 1);
    assert_eq!(pipeline.references[0].table.as_str(), "users");
    assert_eq!(pipeline.warnings.len(), 1, "{}", pipeline.warnings);
    let http = pipeline.http.as_ref().expect("http");
    assert_eq!(http.token.as_ref().map(|token| token.reveal()), Some("canary-password-of-http"));
    let tls = http.tls.as_ref().expect("tls");
    assert_eq!(
        (tls.cert.as_path(), tls.key.as_path()),
        (Path::new("/etc/landfall/tls/server.pem"), Path::new("/etc/server.key"))
    );
    let traces = pipeline.traces.as_ref().expect("traces");
    assert_eq!(traces.to.url.reveal(), "https://otlp.example/base/v1/traces");
    assert_eq!(traces.to.token.as_ref().map(|token| token.reveal()), Some("canary-password-of-http"));
    assert!((traces.ratio - 0.25).abs() < f64::EPSILON);
    assert!(!format!("{pipeline:?}").contains("canary"));
}

#[test]
fn all_batches_are_traced_unless_a_share_is_named_and_none_without_the_section() {
    let with = |traces: &str| {
        let text = format!(
            "name: x\ntarget: {{ url: \"postgres://localhost/x\" }}\nstate: {{ dir: ./s }}\n{traces}\nsources: {{ s: {{ kind: json_document, path: a.json }} }}\nstreams: {{ t: {{ source: s, key: id }} }}\n"
        );
        validate(&text).unwrap_or_else(|problems| panic!("{problems}")).traces
    };
    assert!(with("").is_none());
    let ratio = |traces: &str| with(traces).map(|traces| traces.ratio);
    assert_eq!(ratio("traces: { endpoint: \"http://localhost:4318\" }"), Some(1.0));
    assert_eq!(ratio("traces: { endpoint: \"http://[::1]:4318/\", ratio: 0 }"), Some(0.0));
}

#[test]
fn limits_of_health_are_numbers_and_one_statement() {
    let pipeline = validate(FULL).unwrap_or_else(|problems| panic!("{problems}"));
    let health = &pipeline.target.health;
    let wanted = [
        (Measure::StandbyLag, 30.0),
        (Measure::StandbyLagBytes, 1_073_741_824.0),
        (Measure::LockWaits, 5.0),
        (Measure::ActiveSessions, 40.0),
        (Measure::CommitTime, 2.0),
        (Measure::Query, 0.5),
    ];
    assert_eq!(health.limits, wanted);
    assert_eq!(health.query.as_deref(), Some("SELECT count(*) FROM public.jobs"));
}

#[test]
fn hooks_are_programs_and_addresses() {
    let pipeline = validate(FULL).unwrap_or_else(|problems| panic!("{problems}"));
    let [page, post] = pipeline.hooks.as_slice() else { panic!("two hooks") };
    assert_eq!(page.on, [Occasion::Halted, Occasion::Held, Occasion::Recovered]);
    assert!(matches!(&page.action, HookAction::Run(words) if *words == ["/etc/landfall/hooks/page.sh", "--loud"]));
    assert_eq!((page.timeout, page.headroom()), (Duration::from_secs(5), None));
    let HookAction::Post(address) = &post.action else { panic!("an address") };
    assert_eq!(address.url.reveal(), "https://hooks.example/canary-path");
    assert!(address.token.is_some());
    assert_eq!((post.timeout, post.headroom()), (Duration::from_secs(30), Some(Duration::from_secs(4 * 3_600))));
}

#[test]
fn a_mapped_table_is_key_columns_rest_version() {
    let pipeline = validate(FULL).unwrap_or_else(|problems| panic!("{problems}"));
    let projects = &pipeline.streams[0];
    assert_eq!(projects.select, Select::Pointer(vec!["projects".to_owned()]));
    assert_eq!(projects.on_error, OnError::Halt);
    assert_eq!(projects.table.qualified(), r#""app"."projects""#);
    let columns: Vec<_> = projects.table.columns.iter().map(|c| (c.name.as_str(), c.ty, c.not_null, c.role)).collect();
    assert_eq!(
        columns,
        [
            ("id", PgType::Uuid, true, ColumnRole::Key),
            ("name", PgType::Text, true, ColumnRole::Mapped(0)),
            ("owner_id", PgType::Text, false, ColumnRole::Mapped(1)),
            ("created_at", PgType::TimestampTz, false, ColumnRole::Mapped(2)),
            ("budget", PgType::Numeric(Some((12, 2))), false, ColumnRole::Mapped(3)),
            ("state", PgType::Text, false, ColumnRole::Mapped(4)),
            ("extra", PgType::Jsonb, false, ColumnRole::Rest),
            ("_lf_version", PgType::Int8, true, ColumnRole::Version),
        ]
    );
    assert_eq!(projects.table.indexes, [vec![2], vec![5, 3]]);
    assert_eq!(projects.columns[2].from.field().expect("a field").parts(), ["created.at"]);
    assert_eq!(projects.columns[4].default.as_deref(), Some("\"open\""));
}

#[test]
fn a_landing_table_is_key_doc_version() {
    let pipeline = validate(FULL).unwrap_or_else(|problems| panic!("{problems}"));
    let log = &pipeline.streams[2];
    assert_eq!(log.key.from, KeyFrom::Position);
    assert_eq!(log.table.name.as_str(), "Log");
    let columns: Vec<_> = log.table.columns.iter().map(|c| (c.name.as_str(), c.ty, c.not_null)).collect();
    let expected = [("key", PgType::Text, true), ("doc", PgType::Jsonb, true), ("_lf_version", PgType::Int8, true)];
    assert_eq!(columns, expected);
    assert_eq!(pipeline.streams[3].key.from, KeyFrom::Stem);
}

#[test]
fn the_key_column_is_named_after_what_it_holds() {
    for (key, columns, name, ty) in [
        ("", "", "key", None),
        ("key: id,", "", "key", None),
        ("key: id,", "columns: { x: text },", "id", None),
        ("key: owner.id,", "columns: { x: text },", "id", None),
        ("", "columns: { x: text },", "key", None),
        ("key: { from: id, type: bigint },", "", "id", Some(PgType::Int8)),
        ("key: { from: id, type: bigint, name: nr },", "columns: { x: text },", "nr", Some(PgType::Int8)),
        ("key: { type: uuid },", "", "key", Some(PgType::Uuid)),
        ("key: { from: id, name: nr },", "", "nr", None),
    ] {
        let text = format!(
            "name: a\ntarget: {{ url: \"${{DATABASE_URL}}\" }}\nsources: {{ s: {{ kind: json_document, path: x.json }} }}\n\
             streams: {{ t: {{ {key} {columns} source: s }} }}\n"
        );
        let pipeline = validate(&text).unwrap_or_else(|problems| panic!("{problems}"));
        let spec = &pipeline.streams[0].key;
        assert_eq!((spec.column.as_str(), spec.ty), (name, ty), "{key} {columns}");
        assert_eq!(pipeline.streams[0].table.columns[0].name, spec.column);
    }
}

#[test]
fn what_a_variable_holds_never_becomes_yaml() {
    let text = "name: a\ntarget: { url: \"${DATABASE_URL}\", schema: \"${INJECTION}\" }\n\
                sources: { s: { kind: json_document, path: \"$${DATABASE_URL}/$(id)/x.json\" } }\nstreams: { t: { source: s } }\n";
    let pipeline = validate(text).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(pipeline.name, "a");
    assert_eq!(pipeline.target.schema.as_str(), "x, schema: other }\nname: taken");
    assert_eq!(pipeline.sources[0].kind.dir(), Some(Path::new("/etc/landfall/${DATABASE_URL}/$(id)")));
}

#[test]
fn aliases_repeat_what_they_name() {
    let text = "name: a\ntarget: { url: \"${DATABASE_URL}\" }\nsources: { s: { kind: json_document, path: x.json } }\n\
                streams:\n  t: { source: s, select: /t, columns: &c { x: text } }\n  u: { source: s, select: /u, columns: *c }\n";
    let pipeline = validate(text).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(pipeline.streams[0].columns, pipeline.streams[1].columns);
}

#[test]
fn a_source_without_a_stream_is_said_and_left_closed() {
    let text = "name: a\ntarget: { url: \"${DATABASE_URL}\" }\nsources:\n  s: { kind: json_document, path: x.json }\n  \
                idle: { kind: json_lines, path: x.ndjson }\nstreams: { t: { source: s } }\n";
    let pipeline = validate(text).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(pipeline.sources.len(), 1);
    let said = pipeline.warnings.to_string();
    assert!(said.starts_with("landfall.yaml:5:3: no stream reads source idle"), "{said}");
}

#[test]
fn a_readable_file_with_a_password_is_said() {
    use std::os::unix::fs::PermissionsExt;
    let dir = super::scratch("exposed");
    let path = dir.join("landfall.yaml");
    let text = "name: a\ntarget: { url: \"postgres://u:hunter2@localhost/x\" }\nsources: { s: { kind: json_document, path: x.json } }\nstreams: { t: { source: s } }\n";
    std::fs::write(&path, text).expect("write");
    for (mode, warned) in [(0o644, true), (0o640, false), (0o600, false)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("chmod");
        let pipeline = crate::config::load(&path, &|_| None).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(!pipeline.warnings.is_empty(), warned, "{mode:o}");
        assert!(!pipeline.warnings.to_string().contains("hunter2"));
    }
}

#[test]
fn a_secret_may_come_from_a_file() {
    let dir = super::scratch("secret");
    std::fs::write(dir.join("url"), "postgres://u:p@h/d\n").expect("write");
    let path = dir.join("landfall.yaml");
    let text = "name: a\ntarget: { url: \"file:url\" }\nsources: { s: { kind: json_document, path: x.json } }\nstreams: { t: { source: s } }\n";
    std::fs::write(&path, text).expect("write");
    let pipeline = crate::config::load(&path, &|_| None).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(pipeline.target.url.reveal(), "postgres://u:p@h/d");
}

#[test]
fn a_file_beyond_the_limit_is_not_parsed() {
    let path = super::scratch("large").join("landfall.yaml");
    std::fs::write(&path, vec![b'#'; (1 << 20) + 1]).expect("write");
    let error = crate::config::load(&path, &|_| None).expect_err("too large");
    assert!(matches!(error, crate::config::ConfigError::TooLarge(_)));
}

const MONGO: &str = r#"
name: shop
target: { url: "${DATABASE_URL}" }
sources:
  app:
    kind: mongodb
    uri: "${MONGODB_URI}"
    database: app
    capture: images
    read_preference: secondaryPreferred
    tls: { ca_file: ca.pem }
    snapshot: { readers: 3, rows_per_second: 5000, max_lag: 10s }
streams:
  users: { source: app }
  orders: { source: app, select: Orders.v2, key: { type: bigint, name: id }, columns: { total: numeric }, raw: true, on_drop: keep }
  small: { source: app, raw: false }
  mapped: { source: app, columns: { x: text } }
"#;

#[test]
fn a_mongodb_source_becomes_what_its_connector_is_told() {
    let pipeline = validate(MONGO).unwrap_or_else(|problems| panic!("{problems}"));
    let SourceKind::Mongo { config, pace } = &pipeline.sources[0].kind else { panic!("mongodb") };
    assert_eq!((config.database.as_str(), config.pipeline.as_str()), ("app", "shop"));
    assert_eq!((config.capture, config.read_from), (Capture::Images, Some(ReadFrom::SecondaryPreferred)));
    assert_eq!(config.ca_file.as_deref(), Some(Path::new("/etc/landfall/ca.pem")));
    assert_eq!((pace.readers.get(), pace.rows_per_second, pace.max_lag), (3, Some(5_000), Duration::from_secs(10)));
    assert!(!format!("{pipeline:?}").contains("canary"));
}

#[test]
fn a_stream_of_mongodb_has_the_collection_of_its_name_its_id_as_key_and_its_exact_bytes_beside_it() {
    let pipeline = validate(MONGO).unwrap_or_else(|problems| panic!("{problems}"));
    let users = &pipeline.streams[0];
    assert_eq!(users.select, Select::Collection("users".to_owned()));
    assert_eq!((users.format, &users.key.from, users.key.ty), (RecordFormat::Bson, &KeyFrom::Id, None));
    assert_eq!(users.on_drop, OnDrop::Halt);
    let roles = |at: usize| pipeline.streams[at].table.columns.iter().map(|c| c.role).collect::<Vec<_>>();
    assert_eq!(roles(0), [ColumnRole::Key, ColumnRole::Doc, ColumnRole::Raw, ColumnRole::Version]);
    let orders = &pipeline.streams[1];
    assert_eq!(orders.select, Select::Collection("Orders.v2".to_owned()));
    assert_eq!((orders.key.column.as_str(), orders.key.ty), ("id", Some(PgType::Int8)));
    assert_eq!(orders.on_drop, OnDrop::Keep);
    let with_raw = [ColumnRole::Key, ColumnRole::Mapped(0), ColumnRole::Rest, ColumnRole::Raw, ColumnRole::Version];
    assert_eq!(roles(1), with_raw);
    assert_eq!(roles(2), [ColumnRole::Key, ColumnRole::Doc, ColumnRole::Version]);
    assert_eq!(roles(3), [ColumnRole::Key, ColumnRole::Mapped(0), ColumnRole::Rest, ColumnRole::Version]);
    let raw = &users.table.columns[2];
    assert_eq!((raw.name.as_str(), raw.ty), ("_lf_raw", PgType::Bytea));
}

#[test]
fn a_pattern_makes_a_stream_of_each_collection_that_matches_and_that_no_entry_names() {
    let entries = r#"
  logs: { source: app, select: "logs_*", on_drop: keep }
  few: { source: app, select: "logs_few_*", raw: false }
  named: { source: app, select: logs_named }
"#;
    let text = MONGO.replace("\nstreams:\n", &format!("\nstreams:{entries}"));
    let pipeline = validate(&text).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!((pipeline.templates.len(), pipeline.streams.len()), (2, 5));
    let app = &pipeline.sources[0].name;
    let falls_to = |name| pipeline.template_of(app, name).map(|template| template.common.name.to_string());
    assert_eq!(falls_to("logs_few_1").as_deref(), Some("logs"), "the first pattern of the file");
    assert_eq!([falls_to("logs_named"), falls_to("users"), falls_to("system.views")], [None, None, None]);
    let made = pipeline.stream("logs.logs_a").expect("it matches");
    assert_eq!((made.name.as_str(), made.table.name.as_str(), made.on_drop), ("logs.logs_a", "logs_a", OnDrop::Keep));
    assert_eq!(made.select, Select::Collection("logs_a".to_owned()));
    for name in ["logs.other", "few.logs_few_1", "logs.logs_named", "logs", "logs.", "logs.logs_a.b"] {
        assert_eq!(pipeline.stream(name), None, "{name}");
    }
    assert_eq!(pipeline.stream("users").map(|stream| stream.name.to_string()).as_deref(), Some("users"));
    let whole = pipeline.with_streams(["logs.logs_a", "users", "logs.logs_a", "logs.logs_b", "unknown"]);
    assert_eq!(whole.streams.len(), 7);
    let template = &pipeline.templates[0];
    for name in
        ["logs_with.dot", "logs_\u{e9}", "logs_sixty_three_bytes_are_the_most_that_a_stream_may_have_as_its_name"]
    {
        assert!(template.stream(name).is_err(), "{name}");
    }
}

#[test]
fn rules_of_columns_become_values() {
    let text = r#"
name: flux
target: { url: "${DATABASE_URL}" }
sources: { store: { kind: json_document, path: a.json } }
streams:
  users:
    source: store
    key: id
    columns:
      email: { type: text, normalize: [trim, lower, empty_to_null], keep: false }
      active: { type: boolean, values: { "yes": true, 1: true, no: false, unknown: null } }
      state: { type: text, normalize: trim, values: { "In Progress": in_progress }, otherwise: pass }
      born: { type: date, parse: { pattern: "%d.%m.%Y" } }
      seen: { type: timestamptz, parse: iso, zone: "-05:30" }
      price: { type: "numeric(12,2)", parse: { money: { decimal: "," } } }
      at: { type: timestamptz, parse: epoch_ms }
      plain: text
"#;
    let pipeline = validate(text).unwrap_or_else(|problems| panic!("{problems}"));
    let rules: Vec<Option<&ValueRule>> =
        pipeline.streams[0].columns.iter().map(|column| column.rule.as_deref()).collect();
    let [Some(email), Some(active), Some(state), Some(born), Some(seen), Some(price), Some(at), None] = rules[..]
    else {
        panic!("{rules:?}")
    };
    assert_eq!(email.normalize, [Normalizer::Trim, Normalizer::Lower, Normalizer::EmptyToNull]);
    assert_eq!((email.source, state.source), (SourceField::Taken, SourceField::Kept));
    let list = active.values.as_ref().expect("a list");
    assert_eq!(list.otherwise, Otherwise::Park);
    let listed: Vec<(&str, &str)> = list.listed.iter().map(|(spelling, stored)| (&**spelling, &**stored)).collect();
    assert_eq!(listed, [("1", "true"), ("no", "false"), ("unknown", "null"), ("yes", "true")]);
    let list = state.values.as_ref().expect("a list");
    assert_eq!((list.otherwise, &*list.listed["In Progress"]), (Otherwise::Pass, "\"in_progress\""));
    assert_eq!(born.parse, Some(Parse::Pattern("%d.%m.%Y".into(), None)));
    assert_eq!(seen.parse, Some(Parse::Iso(Some(Offset(-19_800)))));
    assert_eq!(price.parse, Some(Parse::Money(MoneyMarks { decimal: ',', group: Some('.') })));
    assert_eq!(at.parse, Some(Parse::Epoch(EpochUnit::Millis)));
}
