//! Names for tables and columns, made from what the store calls its things.

use landfall_schemas::ident::Ident;
use std::collections::HashSet;

/// `createdAt`, `Created At` and `created-at` are `created_at`.
pub(super) fn snake(name: &str) -> String {
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

/// A name for a pipeline, a source or a stream: ASCII, a letter first.
pub(super) fn label(name: &str) -> String {
    let ascii: String = snake(name).chars().map(|c| if c.is_ascii() { c } else { '_' }).take(48).collect();
    let trimmed = ascii.trim_matches('_');
    if trimmed.starts_with(|c: char| c.is_ascii_lowercase()) { trimmed.to_owned() } else { format!("store_{trimmed}") }
}

/// Names that are taken in one table, folded as tools fold them.
#[derive(Clone, Debug, Default)]
pub(super) struct Taken(HashSet<String>);

impl Taken {
    pub(super) fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(str::to_lowercase).collect())
    }

    /// A free name for the parts, and takes it.
    pub(super) fn free(&mut self, parts: &[String]) -> String {
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
        let long = "x".repeat(90);
        assert_eq!(free(&mut taken, &long).len(), 63);
        assert_ne!(free(&mut taken, &long), free(&mut taken, &long));
    }
}
