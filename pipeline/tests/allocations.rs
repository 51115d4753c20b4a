//! On the plain path a record becomes rows without asking for memory: not per field, not per record, once the buffers have their size.

use allocation_counter::measure;
use landfall_pipeline::config;
use landfall_pipeline::transform::RowPlan;
use landfall_schemas::offset::{Generation, Sequence};
use landfall_schemas::row::RowSet;

const CONFIG: &str = r#"
name: wide
target: { url: "postgres://nobody@127.0.0.1/none" }
state: { dir: ./state }
sources: { store: { kind: json_document, path: projects.json } }
streams:
  projects:
    source: store
    key: { from: id, type: text }
    rest: extra
    columns:
      { name: text, text: { from: a.b, type: text }, number: bigint, price: "numeric(18,2)", ratio: double precision, on: boolean,
        at: timestamptz, day: date, uuid: uuid, list: "integer[]", nested: jsonb }
"#;

fn records() -> Vec<(Vec<u8>, Vec<u8>)> {
    let record = |n: u64| {
        let text = format!(
            r#"{{"id":"p{n}","name":"née \\u00e9 {n}","a":{{"b":"inside","left":{n}}},"number":{n},"price":{n}.25,"ratio":0.5,"on":true,"at":"2026-03-04T05:06:07+02:00","day":"2026-03-04","uuid":"3fa85f64-5717-4562-b3fc-2c963f66afa6","list":[1,2,{n}],"nested":{{"x":[1,{{"y":null}}]}},"unmapped":"stays","more":[{n}]}}"#
        );
        (format!("s:p{n}").into_bytes(), text.into_bytes())
    };
    (0..1_000).map(record).collect()
}

#[test]
fn the_plain_path_asks_for_no_memory() {
    let folder = std::env::temp_dir().join(format!("landfall-allocations-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let file = folder.join("landfall.yaml");
    std::fs::write(&file, CONFIG).expect("a temporary file");
    let pipeline = config::load(&file, &|_| None).unwrap_or_else(|error| panic!("{error}"));
    let _ = std::fs::remove_dir_all(&folder);
    let (mut plan, mut rows) = (RowPlan::new(&pipeline.streams[0]), RowSet::default());
    let version = Generation::new(1).expect("a generation").version(Sequence(1));
    let records = records();
    let mut pass = || {
        rows.clear();
        let asked = measure(|| {
            for (key, record) in &records {
                let encoded = plan.upsert(key, record, version, &mut rows).expect("it fits");
                assert!(encoded.is_some());
            }
        });
        asked.count_total
    };
    assert!(pass() > 0, "the first pass sizes the buffers, and the counting counts");
    assert_eq!(pass(), 0, "for {} records of 12 columns", records.len());
}
