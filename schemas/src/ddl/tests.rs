//! Plans for tables as they stand: what is created, what is added, and what is refused with its reason.

use super::*;
use crate::pgtype::PgType;
use crate::table::ColumnRole;

fn shape(columns: &[(&str, PgType)]) -> TableShape {
    let mut list: Vec<TableColumn> = columns
        .iter()
        .enumerate()
        .map(|(n, (name, ty))| TableColumn {
            name: Ident::new(name).unwrap(),
            ty: *ty,
            not_null: n == 0,
            role: if n == 0 { ColumnRole::Key } else { ColumnRole::Mapped(n - 1) },
        })
        .collect();
    list.push(TableColumn {
        name: Ident::new(TableShape::VERSION).unwrap(),
        ty: PgType::Int8,
        not_null: true,
        role: ColumnRole::Version,
    });
    TableShape {
        schema: Ident::new("public").unwrap(),
        name: Ident::new("users").unwrap(),
        columns: list,
        key_columns: 1,
        shared: None,
        indexes: vec![vec![1]],
        unique: Vec::new(),
    }
}

#[test]
fn statistics_are_of_key_and_indexed_columns_each_named_once() {
    let mut table = shape(&[("id", PgType::Text), ("name", PgType::Text), ("age", PgType::Int4)]);
    assert_eq!(analyze(&table), r#"ANALYZE "public"."users" ("id", "name")"#);
    table.indexes = vec![vec![2, 1], vec![1], vec![0, 2]];
    assert_eq!(analyze(&table), r#"ANALYZE "public"."users" ("id", "age", "name")"#);
    table.indexes.clear();
    assert_eq!(analyze(&table), r#"ANALYZE "public"."users" ("id")"#);
}

fn users(bulk: BulkLoad) -> WantedTable {
    WantedTable {
        stream: StreamName::new("users").unwrap(),
        shape: shape(&[("id", PgType::Text), ("name", PgType::Text), ("age", PgType::Int4)]),
        bulk,
    }
}

/// The table as our own DDL would leave it.
fn standing(table: &WantedTable) -> LiveTable {
    let shape = &table.shape;
    LiveTable {
        kind: RelationKind::Table,
        columns: shape
            .columns
            .iter()
            .enumerate()
            .map(|(n, c)| LiveColumn {
                name: c.name.to_string(),
                ty: c.ty.to_string(),
                not_null: c.not_null,
                filled: Filled::Null,
                collation: statement::needs_c(shape, n).then(|| "C".to_owned()),
            })
            .collect(),
        key: vec!["id".to_owned()],
        half_built: BTreeSet::new(),
        indexes: shape.indexes.iter().map(|i| index_name(shape, i).to_string()).collect(),
        is_empty: false,
        owners: vec![Owner { pipeline: "p".into(), stream: "users".into(), in_bulk: false }],
    }
}

fn live(table: LiveTable) -> Catalogue {
    Catalogue {
        schemas: BTreeSet::from(["public".to_owned()]),
        tables: BTreeMap::from([(("public".to_owned(), "users".to_owned()), table)]),
    }
}

fn reasons(live_table: LiveTable) -> Vec<Reason> {
    let plan = plan("p", &[users(BulkLoad::None)], &live(live_table));
    plan.refusals.into_iter().map(|r| r.reason).collect()
}

#[test]
fn a_fresh_table_for_a_bulk_load_is_a_bare_heap() {
    let plan = plan("p", &[users(BulkLoad::Expected)], &Catalogue::default());
    let kinds: Vec<_> = plan.steps.iter().map(|s| s.kind).collect();
    assert_eq!(kinds, [StepKind::CreateSchema, StepKind::CreateTable]);
    assert!(plan.steps[1].sql.contains("\"id\" text COLLATE pg_catalog.\"C\" NOT NULL"), "{}", plan.steps[1].sql);
    assert!(!plan.steps[1].sql.contains("PRIMARY"));
}

#[test]
fn a_fresh_table_without_a_bulk_load_gets_key_and_indexes_at_once() {
    let plan = plan("p", &[users(BulkLoad::None)], &Catalogue::default());
    let kinds: Vec<_> = plan.steps.iter().map(|s| s.kind).collect();
    assert_eq!(kinds, [StepKind::CreateSchema, StepKind::CreateTable, StepKind::AddKey, StepKind::CreateIndex]);
}

#[test]
fn a_table_as_we_left_it_needs_nothing() {
    let plan = plan("p", &[users(BulkLoad::None)], &live(standing(&users(BulkLoad::None))));
    assert!(plan.is_empty(), "{plan:?}");
}

#[test]
fn a_missing_column_is_added_nullable() {
    let mut table = standing(&users(BulkLoad::None));
    table.columns.remove(2);
    let plan = plan("p", &[users(BulkLoad::None)], &live(table));
    assert_eq!(plan.steps.len(), 1);
    assert_eq!(plan.steps[0].sql, "ALTER TABLE \"public\".\"users\" ADD COLUMN \"age\" integer");
}

#[test]
fn rows_of_somebody_else_are_never_adopted_but_an_empty_table_is() {
    let mut table = standing(&users(BulkLoad::None));
    table.owners.clear();
    assert_eq!(reasons(table.clone()), [Reason::NotOurs]);
    table.is_empty = true;
    assert_eq!(reasons(table.clone()), []);
    table.owners = vec![Owner { pipeline: "other".into(), stream: "users".into(), in_bulk: false }];
    assert!(matches!(reasons(table)[..], [Reason::OwnedByOther { .. }]));
}

#[test]
fn drift_that_cannot_be_mended_by_adding_is_named() {
    let ours = standing(&users(BulkLoad::None));
    let mut other_type = ours.clone();
    other_type.columns[2].ty = "bigint".into();
    assert!(matches!(reasons(other_type)[..], [Reason::ColumnType { .. }]));
    let mut not_null = ours.clone();
    not_null.columns[1].not_null = true;
    assert_eq!(reasons(not_null), [Reason::ColumnNotNull("name".into())]);
    let mut generated = ours.clone();
    generated.columns[1].filled = Filled::Always;
    assert_eq!(reasons(generated), [Reason::ColumnGenerated("name".into())]);
    let mut collation = ours.clone();
    collation.columns[0].collation = None;
    assert_eq!(reasons(collation), [Reason::KeyCollation("id".into())]);
    let mut no_key = ours.clone();
    no_key.key.clear();
    assert!(matches!(reasons(no_key)[..], [Reason::Key { .. }]));
    let mut foreign = ours.clone();
    foreign.columns.push(LiveColumn {
        name: "added_by_hand".into(),
        ty: "text".into(),
        not_null: true,
        filled: Filled::Null,
        collation: None,
    });
    assert_eq!(reasons(foreign), [Reason::ForeignColumn("added_by_hand".into())]);
    let mut view = ours;
    view.kind = RelationKind::Other;
    assert_eq!(reasons(view), [Reason::NotATable]);
}

#[test]
fn a_table_whose_bulk_load_goes_on_is_not_asked_for_its_key() {
    let mut table = standing(&users(BulkLoad::Expected));
    table.key.clear();
    table.indexes.clear();
    table.owners = vec![Owner { pipeline: "p".into(), stream: "users".into(), in_bulk: true }];
    assert!(plan("p", &[users(BulkLoad::Expected)], &live(table)).is_empty());
}

#[test]
fn one_table_for_two_streams_is_refused() {
    let mut second = users(BulkLoad::None);
    second.stream = StreamName::new("others").unwrap();
    let plan = plan("p", &[users(BulkLoad::None), second], &Catalogue::default());
    assert!(matches!(plan.refusals[0].reason, Reason::WantedTwice(..)));
}

#[test]
fn long_index_names_are_cut_at_a_character_and_stay_apart() {
    let long = "é".repeat(30);
    let shape =
        shape(&[("id", PgType::Text), (&format!("{long}x"), PgType::Text), (&format!("{long}y"), PgType::Text)]);
    let (x, y) = (index_name(&shape, &[1]), index_name(&shape, &[2]));
    assert_ne!(x, y);
    assert!(x.as_str().len() <= Ident::MAX_BYTES && y.as_str().len() <= Ident::MAX_BYTES);
}
