//! Constraints that a mapping declares: foreign keys and uniqueness. They are no part of a table while streams are copied and followed
//! (streams advance independently, and a row may come before the one it refers to); they are built when all is quiet.

use super::statement::listed;
use crate::ident::Ident;
use crate::table::TableShape;
use std::fmt;

/// A table by schema and name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TableName {
    /// Schema.
    pub schema: Ident,
    /// Name.
    pub name: Ident,
}

/// One constraint of one table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Constraint {
    /// Its name: made of table and columns alone.
    pub name: Ident,
    /// Its table.
    pub table: TableName,
    /// Its columns.
    pub columns: Vec<Ident>,
    /// What it asks.
    pub rule: Rule,
}

/// What a constraint asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rule {
    /// The columns are NULL or stand as a key in another table.
    References {
        /// Which.
        table: TableName,
        /// Its key columns.
        keys: Vec<Ident>,
        /// Rows of a table below go with their parent.
        below: bool,
    },
    /// No two rows have the same values.
    Unique,
}

impl TableName {
    /// Of a shape.
    pub fn of(shape: &TableShape) -> Self {
        Self { schema: shape.schema.clone(), name: shape.name.clone() }
    }

    /// `"schema"."name"`.
    pub fn qualified(&self) -> String {
        format!("{}.{}", self.schema.quoted(), self.name.quoted())
    }
}

impl Constraint {
    /// A foreign key.
    pub fn references(table: TableName, columns: Vec<Ident>, to: (TableName, Vec<Ident>), below: bool) -> Self {
        let name = named(&table.name, &columns, "fkey");
        Self { name, table, columns, rule: Rule::References { table: to.0, keys: to.1, below } }
    }

    /// Uniqueness.
    pub fn unique(table: TableName, columns: Vec<Ident>) -> Self {
        Self { name: named(&table.name, &columns, "key"), table, columns, rule: Rule::Unique }
    }

    /// Counts the rows that are against it: orphans, or values that stand more than once.
    pub fn violations(&self) -> String {
        let table = self.table.qualified();
        let there = |alias: &str| {
            let all = self.columns.iter().map(|column| format!("{alias}.{} IS NOT NULL", column.quoted()));
            all.collect::<Vec<_>>().join(" AND ")
        };
        match &self.rule {
            Rule::References { table: other, keys, .. } => {
                let pairs = self.columns.iter().zip(keys);
                let same = pairs.map(|(column, key)| format!("r.{} = t.{}", key.quoted(), column.quoted()));
                format!(
                    "SELECT pg_catalog.count(*) FROM {table} AS t WHERE {} AND NOT EXISTS (SELECT FROM {} AS r WHERE {})",
                    there("t"),
                    other.qualified(),
                    same.collect::<Vec<_>>().join(" AND ")
                )
            }
            Rule::Unique => format!(
                "SELECT pg_catalog.count(*) FROM (SELECT FROM {table} AS t WHERE {} GROUP BY {} HAVING pg_catalog.count(*) > 1) AS d",
                there("t"),
                listed(&self.columns)
            ),
        }
    }

    /// The statements that go on with one that an earlier try left half built: a foreign key that was not validated, or an index that
    /// PostgreSQL calls invalid.
    pub fn go_on(&self) -> Vec<String> {
        let mut statements = self.build();
        match self.rule {
            Rule::References { .. } => drop(statements.remove(0)),
            Rule::Unique => {
                let drop = format!("DROP INDEX CONCURRENTLY {}.{}", self.table.schema.quoted(), self.name.quoted());
                statements.insert(0, drop);
            }
        }
        statements
    }

    /// The statements that build it, each to be run by itself: none holds a lock that writers wait for while it looks at all rows.
    pub fn build(&self) -> Vec<String> {
        let (table, name, columns) = (self.table.qualified(), self.name.quoted(), listed(&self.columns));
        match &self.rule {
            Rule::References { table: other, keys, below } => {
                let cascade = if *below { " ON DELETE CASCADE" } else { "" };
                let to = format!("{} ({}){cascade}", other.qualified(), listed(keys));
                vec![
                    format!(
                        "ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({columns}) REFERENCES {to} \
                         DEFERRABLE INITIALLY DEFERRED NOT VALID"
                    ),
                    format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name}"),
                ]
            }
            Rule::Unique => vec![
                format!("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {table} ({columns})"),
                format!("ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE USING INDEX {name}"),
            ],
        }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |names: &[Ident]| names.iter().map(Ident::as_str).collect::<Vec<_>>().join(", ");
        write!(f, "{}.{} ({})", self.table.schema, self.table.name, words(&self.columns))?;
        match &self.rule {
            Rule::References { table, keys, .. } => write!(f, " → {}.{} ({})", table.schema, table.name, words(keys)),
            Rule::Unique => write!(f, " unique"),
        }
    }
}

fn named(table: &Ident, columns: &[Ident], end: &str) -> Ident {
    let mut parts = vec![table.as_str()];
    parts.extend(columns.iter().map(Ident::as_str));
    parts.push(end);
    Ident::joined(&parts).expect("made of checked identifiers and cut to length")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ident(name: &str) -> Ident {
        Ident::new(name).unwrap()
    }

    fn table(name: &str) -> TableName {
        TableName { schema: ident("public"), name: ident(name) }
    }

    #[test]
    fn names_are_quoted_in_every_statement() {
        let evil = "a\"; drop table x; --";
        let foreign = Constraint::references(table(evil), vec![ident(evil)], (table("users"), vec![ident("id")]), true);
        let unique = Constraint::unique(table("users"), vec![ident(evil), ident("b")]);
        for sql in foreign.build().into_iter().chain(unique.build()).chain([foreign.violations(), unique.violations()])
        {
            assert!(!sql.contains("a\"; drop"), "{sql}");
        }
        assert!(foreign.build()[0].contains("ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED NOT VALID"));
        assert_eq!(foreign.to_string(), format!("public.{evil} ({evil}) → public.users (id)"));
        assert_eq!(unique.name.as_str(), format!("users_{evil}_b_key"));
    }
}
