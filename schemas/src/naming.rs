//! Names for tables and columns, made from what the store calls its things: the same for what `init` proposes and for columns that the
//! service adds.

use crate::ident::Ident;
use crate::table::TableShape;
use std::collections::HashSet;

/// `createdAt`, `Created At` and `created-at` are `created_at`.
pub fn snake(name: &str) -> String {
    let mut out = String::new();
    let mut before: Option<char> = None;
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        if !c.is_alphanumeric() {
            before = None;
            if !out.is_empty() && !out.ends_with('_') {
                out.push('_');
            }
            continue;
        }
        let begins = c.is_uppercase()
            && before
                .is_some_and(|before| !before.is_uppercase() || chars.peek().is_some_and(|next| next.is_lowercase()));
        if begins && !out.ends_with('_') {
            out.push('_');
        }
        out.extend(c.to_lowercase());
        before = Some(c);
    }
    let trimmed = out.trim_end_matches('_');
    if trimmed.is_empty() { "field".to_owned() } else { trimmed.to_owned() }
}

/// Names that are taken in one table, folded as tools fold them.
#[derive(Clone, Debug, Default)]
pub struct Taken(HashSet<String>);

impl Taken {
    /// These are taken.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(str::to_lowercase).collect())
    }

    /// These are taken too.
    pub fn add<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        self.0.extend(names.into_iter().map(str::to_lowercase));
    }

    /// A free name for a column that holds a field, and takes it. Never one that every table of PostgreSQL has, nor one of ours.
    pub fn column(&mut self, field: &str) -> Ident {
        self.add(TableShape::SYSTEM);
        Ident::new(&self.free(&[snake(field)])).expect("a free name is one that fits")
    }

    /// A free name for the parts, and takes it.
    pub fn free(&mut self, parts: &[String]) -> String {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let mut number = 1_u32;
        loop {
            let mark = number.to_string();
            let all: Vec<&str> = if number == 1 { parts.clone() } else { [&parts[..], &[&mark]].concat() };
            let name = Ident::joined(&all).map_or_else(|_| format!("field_{mark}"), |ident| ident.to_string());
            if self.0.insert(name.to_lowercase()) {
                return name;
            }
            number += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_of_what_the_store_says() {
        for (name, made) in [
            ("createdAt", "created_at"),
            ("userID", "user_id"),
            ("HTTPServer", "http_server"),
            ("address line 2", "address_line_2"),
            ("--", "field"),
            ("", "field"),
            ("größe", "größe"),
            ("_id", "id"),
            ("a.b/c", "a_b_c"),
            ("x1Y2", "x1_y2"),
        ] {
            assert_eq!(snake(name), made, "{name}");
        }
    }

    #[test]
    fn a_taken_name_gets_a_number_and_a_long_one_is_cut() {
        let mut taken = Taken::of(["id"]);
        let free = |taken: &mut Taken, name: &str| taken.free(&[name.to_owned()]);
        assert_eq!(free(&mut taken, "name"), "name");
        assert_eq!(free(&mut taken, "Name"), "Name_2");
        assert_eq!(free(&mut taken, "id"), "id_2");
        let mut columns = Taken::of(["id", "Name"]);
        for (field, made) in [
            ("name", "name_2"),
            ("NAME", "name_3"),
            ("_lf_version", "lf_version"),
            ("ctid", "ctid_2"),
            ("\u{202e}gnp", "gnp"),
            ("", "field"),
            ("''\"; drop table users; --", "drop_table_users"),
        ] {
            assert_eq!(columns.column(field).as_str(), made, "{field}");
        }
        let (one, other) = ("é".repeat(5_000), format!("{}e", "é".repeat(5_000)));
        assert_ne!(columns.column(&one), columns.column(&other));
        let long = "x".repeat(90);
        assert_eq!(free(&mut taken, &long).len(), 63);
        assert_ne!(free(&mut taken, &long), free(&mut taken, &long));
    }
}
