//! The metrics that the product exports, as `deploy/docs/metrics.md` lists them. The page is written by a test from what the service tells.

use crate::repository::root;

/// One family of the page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Family {
    /// Its name; of a counter with its `_total`.
    pub name: String,
    /// `gauge`, `counter` or `histogram`.
    pub kind: String,
    /// It is told as soon as a stream follows, whatever else there is.
    pub always: bool,
}

/// All of them, in the order of the page.
pub fn families() -> Vec<Family> {
    let page = std::fs::read_to_string(root().join("deploy/docs/metrics.md")).expect("the page can be read");
    let families: Vec<Family> = page.lines().filter_map(family).collect();
    assert!(families.len() > 40, "the page lists its metrics: {families:?}");
    families
}

fn family(line: &str) -> Option<Family> {
    let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
    let name = cells.next()?.trim_end_matches('`').to_owned();
    let kind = cells.next()?.to_owned();
    let always = cells.nth(1)? == "always";
    Some(Family { name, kind, always })
}
