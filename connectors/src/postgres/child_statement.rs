//! The SQL of a table below another.
//!
//! Its rows are a set that belongs to the parent's row: what a newer set does not hold goes, what it holds is merged. Both happen only
//! where the stream's own row, which was written a statement before, is not newer than the set (promise 8).

use super::statement::{Equal, Rows, collation, list, merge, older, source, upsert, version};
use landfall_schemas::table::TableShape;

/// Which statement.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum ChildVerb {
    /// The rows of the sets.
    Merge(Rows, Equal),
    /// The same, safe against a foreign writer's insert.
    Upsert(Rows, Equal),
    /// What stands and is in no set any more. As arrays, the parents' keys and versions follow the table's own columns and operations.
    Vanish(Rows, Equal),
}

/// The text of a statement on `child`, a table below `root`; `stages` are theirs (unused for arrays).
pub(crate) fn child_sql(
    (root, child): (&TableShape, &TableShape),
    verb: ChildVerb,
    (root_stage, child_stage): (&str, &str),
) -> String {
    match verb {
        ChildVerb::Merge(rows, equal) => merge(child, &current((root, child), rows, child_stage), equal),
        ChildVerb::Upsert(rows, equal) => upsert(child, &current((root, child), rows, child_stage), equal),
        ChildVerb::Vanish(rows, equal) => vanish((root, child), (rows, equal), (root_stage, child_stage)),
    }
}

/// The sets' rows whose parent's row is not newer, `AS s`.
fn current((root, child): (&TableShape, &TableShape), rows: Rows, stage: &str) -> String {
    format!(
        "(SELECT s.* FROM {} WHERE NOT EXISTS (SELECT FROM {} AS r WHERE {} AND r.{} > s.{})) AS s",
        source(child, rows, stage),
        root.qualified(),
        parent_key((root, child), "r", "s"),
        version(root).quoted(),
        version(child).quoted(),
    )
}

/// The inner query is walked parent by parent, each by the index of its key, whatever the planner believes about sizes: `OFFSET 0`
/// keeps it from being taken apart.
fn vanish(
    (root, child): (&TableShape, &TableShape),
    (rows, equal): (Rows, Equal),
    (root_stage, child_stage): (&str, &str),
) -> String {
    let key = |of: &str| list(child.key().iter().map(|c| format!("{of}.{}", c.name.quoted())));
    let same = |one: &str, two: &str| {
        let equal: Vec<String> =
            child.key().iter().map(|c| format!("{one}.{0} = {two}.{0}", c.name.quoted())).collect();
        equal.join(" AND ")
    };
    let (of_root, of_child) = (version(root).quoted(), version(child).quoted());
    let newer_root: Vec<String> = root.key().iter().map(|c| format!("r.{0} = p.{0}", c.name.quoted())).collect();
    format!(
        "DELETE FROM {table} AS t USING {parents} CROSS JOIN LATERAL (SELECT {wanted} FROM {table} AS k WHERE {below} \
         AND k.{of_child} {older} p.{of_root} AND NOT EXISTS (SELECT FROM {set} WHERE {still}) \
         AND NOT EXISTS (SELECT FROM {root} AS r WHERE {newer_root} AND r.{of_root} > p.{of_root}) OFFSET 0) AS gone WHERE {found}",
        table = child.qualified(),
        older = older(equal),
        parents = parents(root, child.columns.len() + 1, rows, root_stage),
        wanted = key("k"),
        below = parent_key((root, child), "p", "k"),
        set = source(child, rows, child_stage),
        still = same("s", "k"),
        root = root.qualified(),
        newer_root = newer_root.join(" AND "),
        found = same("t", "gone"),
    )
}

/// Keys and versions of the rows that were written to the root, `AS p`; as arrays they are the parameters behind `behind`.
fn parents(root: &TableShape, behind: usize, rows: Rows, stage: &str) -> String {
    let columns: Vec<_> = root.key().iter().chain([version_column(root)]).collect();
    match rows {
        Rows::Stage => format!("pg_temp.\"{stage}\" AS p"),
        Rows::Arrays => {
            let names = list(columns.iter().map(|c| c.name.quoted()));
            let arrays = list(columns.iter().enumerate().map(|(n, c)| format!("${}::{}[]", behind + n + 1, c.ty)));
            let cast = list(columns.iter().map(|c| {
                let name = c.name.quoted();
                format!("a.{name}::{}{} AS {name}", c.ty, collation(root, c))
            }));
            format!("(SELECT {cast} FROM unnest({arrays}) AS a ({names})) AS p")
        }
    }
}

fn version_column(shape: &TableShape) -> &landfall_schemas::table::TableColumn {
    shape.columns.last().expect("a table ends in its version")
}

/// The root's key in a row of the root and in a row below it: it comes first in both.
fn parent_key((root, child): (&TableShape, &TableShape), of_root: &str, of_child: &str) -> String {
    let pairs = root.key().iter().zip(&child.columns);
    let equal: Vec<String> =
        pairs.map(|(r, c)| format!("{of_root}.{} = {of_child}.{}", r.name.quoted(), c.name.quoted())).collect();
    equal.join(" AND ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_schemas::ident::Ident;
    use landfall_schemas::pgtype::PgType;
    use landfall_schemas::table::{ColumnRole, TableColumn};

    fn shape(name: &str, keys: &[&str]) -> TableShape {
        let ident = |name: &str| Ident::new(name).unwrap();
        let column = |name: &str, ty, role| TableColumn { name: ident(name), ty, not_null: false, role };
        let mut columns: Vec<_> = keys.iter().map(|key| column(key, PgType::Text, ColumnRole::Key)).collect();
        columns.push(column("no\"te", PgType::Text, ColumnRole::Mapped(0)));
        columns.push(column("_lf_version", PgType::Int8, ColumnRole::Version));
        let (schema, name, key_columns) = (ident("pub\"lic"), ident(name), keys.len());
        TableShape { schema, name, columns, key_columns, shared: None, indexes: Vec::new(), unique: Vec::new() }
    }

    fn text(verb: ChildVerb) -> String {
        let (root, child) = (shape("ro;ot", &["id"]), shape("chi\"ld", &["root;id", "id"]));
        child_sql((&root, &child), verb, ("lf_stage_1", "lf_stage_2"))
    }

    #[test]
    fn every_identifier_is_quoted() {
        for rows in [Rows::Stage, Rows::Arrays] {
            for verb in [
                ChildVerb::Merge(rows, Equal::Kept),
                ChildVerb::Upsert(rows, Equal::Kept),
                ChildVerb::Vanish(rows, Equal::Kept),
            ] {
                let text = text(verb);
                assert!(text.contains(r#""pub""lic"."chi""ld""#) && text.contains(r#""pub""lic"."ro;ot""#), "{text}");
                assert!(!text.replace(r#""root;id""#, "").replace(r#""ro;ot""#, "").contains(';'), "{text}");
            }
        }
    }

    #[test]
    fn nothing_is_written_or_taken_away_below_a_newer_row() {
        for rows in [Rows::Stage, Rows::Arrays] {
            let merge = text(ChildVerb::Merge(rows, Equal::Kept));
            assert!(merge.contains(r#"r."id" = s."root;id" AND r."_lf_version" > s."_lf_version""#), "{merge}");
            assert!(
                merge.contains(r#"t."_lf_version" < s."_lf_version""#) && merge.contains("record_image_ne"),
                "{merge}"
            );
            let vanish = text(ChildVerb::Vanish(rows, Equal::Kept));
            assert!(vanish.contains(r#"r."id" = p."id" AND r."_lf_version" > p."_lf_version""#), "{vanish}");
            assert!(vanish.contains(r#"p."id" = k."root;id" AND k."_lf_version" < p."_lf_version""#), "{vanish}");
            assert!(vanish.contains(r#"s."root;id" = k."root;id" AND s."id" = k."id""#), "{vanish}");
        }
    }

    #[test]
    fn the_keys_of_parents_follow_the_child_s_own_arrays() {
        let vanish = text(ChildVerb::Vanish(Rows::Arrays, Equal::Kept));
        // Four columns and the operations, then key and version of the parents.
        assert!(vanish.contains(r#"$5::"char"[]"#) && vanish.contains("unnest($6::text[], $7::bigint[])"), "{vanish}");
    }
}
