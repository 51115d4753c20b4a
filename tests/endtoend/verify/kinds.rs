//! Ways to spoil a table, each with what must be said of it.

use serde_json::{Value, json};

/// What must be found: kind, table, key, columns that differ.
pub(super) type Wanted = (&'static str, &'static str, Value, Vec<&'static str>);

/// One way: its name, what it does to the record `p` (and `q`, which it may need), and what must be found.
pub(super) struct Corruption {
    pub(super) name: &'static str,
    /// `$p` and `$q` are numbers of records.
    pub(super) sql: &'static str,
    pub(super) wanted: fn(u64, u64) -> Vec<Wanted>,
}

fn column(p: u64, column: &'static str) -> Vec<Wanted> {
    vec![("different", "public.projects", json!({ "id": p }), vec![column])]
}

fn task(p: u64, id: &str) -> Value {
    json!({ "project_id": p, "id": format!("{id}{p}") })
}

macro_rules! in_column {
    ($name:literal, $column:literal, $sql:literal) => {
        Corruption { name: $name, sql: $sql, wanted: |p, _| column(p, $column) }
    };
}

/// Every value that the SQL makes differs from what the store of [`super::corruptions`] holds.
pub(super) const KINDS: &[Corruption] = &[
    Corruption {
        name: "a record is missing with all below it",
        sql: "delete from projects where id = $p; delete from tasks where project_id = $p; delete from tags where project_id = $p",
        wanted: |p, _| {
            let tag = |place: u64| json!({ "project_id": p, "position": place });
            vec![
                ("missing", "public.projects", json!({ "id": p }), vec![]),
                ("missing", "public.tasks", task(p, "a"), vec![]),
                ("missing", "public.tasks", task(p, "b"), vec![]),
                ("missing", "public.tags", tag(0), vec![]),
                ("missing", "public.tags", tag(1), vec![]),
            ]
        },
    },
    Corruption {
        name: "a record's own row is missing",
        sql: "delete from projects where id = $p",
        wanted: |p, _| vec![("missing", "public.projects", json!({ "id": p }), vec![])],
    },
    Corruption {
        name: "a row below is missing",
        sql: "delete from tasks where project_id = $p and id = 'a$p'",
        wanted: |p, _| vec![("missing", "public.tasks", task(p, "a"), vec![])],
    },
    Corruption {
        name: "a record is extra",
        sql: "insert into projects select * from projects where false; \
              insert into projects (id, name, _lf_version) values (1000000 + $p, 'nobody', 1)",
        wanted: |p, _| vec![("extra", "public.projects", json!({ "id": 1_000_000 + p }), vec![])],
    },
    Corruption {
        name: "a row below is extra",
        sql: "insert into tags (project_id, position, value, _lf_version) values ($p, 7, 'x', 1)",
        wanted: |p, _| vec![("extra", "public.tags", json!({ "project_id": p, "position": 7 }), vec![])],
    },
    Corruption {
        name: "rows below nothing",
        sql: "insert into tasks (project_id, id, title, place, _lf_version) values (2000000 + $p, 'o$p', 'orphan', 0, 1)",
        wanted: |p, _| {
            vec![("extra", "public.tasks", json!({ "project_id": 2_000_000 + p, "id": format!("o{p}") }), vec![])]
        },
    },
    Corruption {
        name: "a row below stands under another parent",
        sql: "update tasks set project_id = $q where project_id = $p and id = 'a$p'",
        wanted: |p, q| {
            vec![
                ("missing", "public.tasks", task(p, "a"), vec![]),
                ("extra", "public.tasks", json!({ "project_id": q, "id": format!("a{p}") }), vec![]),
            ]
        },
    },
    Corruption {
        name: "two rows below are swapped",
        sql: "update tasks t set title = o.title from tasks o where t.project_id = $p and o.project_id = $p and t.id <> o.id",
        wanted: |p, _| ["a", "b"].map(|id| ("different", "public.tasks", task(p, id), vec!["title"])).to_vec(),
    },
    Corruption {
        name: "the order of rows below",
        sql: "update tasks set place = 1 - place where project_id = $p",
        wanted: |p, _| ["a", "b"].map(|id| ("different", "public.tasks", task(p, id), vec!["place"])).to_vec(),
    },
    Corruption {
        name: "two records are swapped",
        sql: "update projects t set name = o.name from projects o where (t.id, o.id) in (($p, $q), ($q, $p))",
        wanted: |p, q| [column(p, "name"), column(q, "name")].concat(),
    },
    Corruption {
        name: "an older state under a newer version",
        sql: "update projects set name = 'as it was', price = 1, _lf_version = _lf_version + 1000 where id = $p",
        wanted: |p, _| vec![("different", "public.projects", json!({ "id": p }), vec!["name", "price"])],
    },
    Corruption {
        name: "two columns are swapped",
        sql: "update projects set name = label, label = name where id = $p",
        wanted: |p, _| vec![("different", "public.projects", json!({ "id": p }), vec!["name", "label"])],
    },
    in_column!("another text", "name", "update projects set name = name || '!' where id = $p"),
    in_column!("case", "name", "update projects set name = upper(name) where id = $p"),
    in_column!("a trailing space", "name", "update projects set name = name || ' ' where id = $p"),
    in_column!("a leading space", "name", "update projects set name = ' ' || name where id = $p"),
    in_column!("no letter anybody sees", "name", "update projects set name = name || chr(8203) where id = $p"),
    in_column!("a normal form", "name", "update projects set name = replace(name, 'é', 'e' || chr(769)) where id = $p"),
    in_column!("a line end", "name", "update projects set name = name || chr(13) where id = $p"),
    in_column!("empty for null", "note", "update projects set note = '' where id = $p"),
    in_column!("null for a value", "label", "update projects set label = null where id = $p"),
    in_column!("a number by one", "size", "update projects set size = size + 1 where id = $p"),
    in_column!("a sign", "size", "update projects set size = -size where id = $p"),
    in_column!("a cent", "price", "update projects set price = price + 0.01 where id = $p"),
    in_column!(
        "the scale of a decimal",
        "rate",
        "update projects set rate = (rate::text || '0')::numeric where id = $p"
    ),
    in_column!("the last bit of a float", "ratio", "update projects set ratio = ratio + 2.3e-16 where id = $p"),
    in_column!("the sign of zero", "zero", "update projects set zero = '-0' where id = $p"),
    in_column!("a flag", "done", "update projects set done = not done where id = $p"),
    in_column!("a time zone", "made", "update projects set made = made + interval '1 hour' where id = $p"),
    in_column!("a microsecond", "made", "update projects set made = made + interval '1 microsecond' where id = $p"),
    in_column!("a day", "due", "update projects set due = due + 1 where id = $p"),
    in_column!(
        "a digit of an id",
        "token",
        "update projects set token = translate(token::text, '0123456789', '1234567890')::uuid where id = $p"
    ),
    in_column!("the order of an array", "words", "update projects set words = array[words[2], words[1]] where id = $p"),
    in_column!("an array with null for empty", "words", "update projects set words[1] = null where id = $p"),
    in_column!(
        "an array that begins elsewhere",
        "words",
        "update projects set words = ('[0:1]=' || words::text)::text[] where id = $p"
    ),
    in_column!(
        "the order inside a document",
        "doc",
        "update projects set doc = jsonb_set(doc, '{list}', '[2,1]') where id = $p"
    ),
    in_column!(
        "the type inside a document",
        "doc",
        "update projects set doc = jsonb_set(doc, '{n}', to_jsonb(doc->>'n')) where id = $p"
    ),
    in_column!(
        "number format inside a document",
        "doc",
        "update projects set doc = jsonb_set(doc, '{n}', ((doc->>'n') || '.0')::jsonb) where id = $p"
    ),
    in_column!(
        "null for absent inside a document",
        "doc",
        "update projects set doc = doc || '{\"gone\":null}' where id = $p"
    ),
    in_column!("absent for null inside a document", "doc", "update projects set doc = doc - 'none' where id = $p"),
    in_column!(
        "a space inside a document",
        "doc",
        "update projects set doc = jsonb_set(doc, '{s}', to_jsonb((doc->>'s') || ' ')) where id = $p"
    ),
    in_column!("the rest is lost", "rest", "update projects set rest = null where id = $p"),
    in_column!(
        "null for absent in the rest",
        "rest",
        "update projects set rest = rest || '{\"never\":null}' where id = $p"
    ),
    in_column!(
        "a value in the rest",
        "rest",
        "update projects set rest = jsonb_set(rest, '{more}', '\"else\"') where id = $p"
    ),
];
