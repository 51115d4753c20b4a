//! The book and the README: every page can be reached, every link leads somewhere, what is told to type exists, and every configuration that is
//! shown is one that the product takes.

use crate::files::{folder, none};
use crate::runbooks;
use landfall_tests::repository;
use std::collections::BTreeMap;
use std::path::Path;

/// Sources that fragments of a mapping speak of without showing them.
const SOURCES: [(&str, &str); 4] = [
    ("store", "{ kind: json_document, path: data/db.json }"),
    ("red", "{ kind: json_document, path: data/red.json }"),
    ("blue", "{ kind: json_document, path: data/blue.json }"),
    ("app", "{ kind: mongodb, uri: \"${MONGODB_URI}\", database: app }"),
];

/// Path from the root, and text, of the README and the pages of the book.
fn pages() -> BTreeMap<String, String> {
    let root = repository::root();
    let found = std::fs::read_dir(root.join("deploy/docs")).expect("there is a book").flatten();
    let names = found.map(|entry| format!("deploy/docs/{}", entry.file_name().to_string_lossy()));
    let read = |name: String| {
        let text = std::fs::read_to_string(root.join(&name)).expect("a page is text");
        (name, text)
    };
    names.chain(["README.md".to_owned()]).map(read).collect()
}

/// A page without its code, in which brackets are no links.
fn prose(page: &str) -> String {
    let blocks = page.split("```").step_by(2).collect::<Vec<_>>().join("\n");
    blocks.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// What a heading is called in a link.
fn anchor(heading: &str) -> String {
    let plain = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = plain.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Whether a page has this heading.
fn has(page: &Path, wanted: &str) -> bool {
    let text = std::fs::read_to_string(page).unwrap_or_default();
    text.lines().filter(|line| line.starts_with('#')).any(|line| anchor(line) == wanted)
}

#[test]
fn every_link_leads_somewhere() {
    let (mut broken, mut seen) = (Vec::new(), 0);
    for (name, text) in pages() {
        let here = repository::root().join(&name);
        for link in prose(&text).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("http://") || link.starts_with("https://") {
                continue;
            }
            seen += 1;
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { here.clone() } else { here.parent().expect("a folder").join(path) };
            if !target.exists() || (!heading.is_empty() && !has(&target, heading)) {
                broken.push(format!("{name}: {link}"));
            }
        }
    }
    assert!(seen > 100, "the pages have links: {seen}");
    none("links of the book and the README resolve", &broken);
}

#[test]
fn every_page_is_in_the_index() {
    let pages = pages();
    let index = &pages["deploy/docs/README.md"];
    let lost = pages.keys().filter_map(|name| name.strip_prefix("deploy/docs/"));
    let lost = lost.filter(|name| *name != "README.md" && !index.contains(&format!("({name})")));
    none("deploy/docs/README.md names every page", &lost.map(str::to_owned).collect::<Vec<_>>());
}

#[test]
fn what_the_book_tells_to_type_exists() {
    let help = runbooks::help();
    let (mut seen, mut broken) = (0, Vec::new());
    for (name, page) in pages() {
        let (more, strange) = runbooks::commands_of(&name, &page, &help);
        seen += more;
        broken.extend(strange);
    }
    assert!(seen > 100, "the pages have commands: {seen}");
    none("commands and options of the book are those of the product", &broken);
}

/// A block as a whole configuration, if it is one, or the streams of one.
fn configuration(block: &str) -> Option<String> {
    let has = |key: &str| block.lines().any(|line| line.starts_with(key));
    if has("name:") && has("streams:") {
        return Some(block.to_owned());
    }
    let streams = !has("name:") && !has("sources:") && has("streams:");
    let named = SOURCES.iter().filter(|(name, _)| block.contains(&format!("source: {name}")));
    let sources: String = named.map(|(name, source)| format!("  {name}: {source}\n")).collect();
    streams.then(|| format!("name: shown\ntarget: {{ url: \"${{DATABASE_URL}}\" }}\nsources:\n{sources}{block}"))
}

fn variable(name: &str) -> Option<String> {
    match name {
        "DATABASE_URL" => Some("postgres://me@localhost/shop".to_owned()),
        "MONGODB_URI" => Some("mongodb://localhost/?replicaSet=rs0".to_owned()),
        "LANDFALL_TOKEN" => Some("0123456789abcdef0123456789abcdef".to_owned()),
        _ => None,
    }
}

#[test]
fn configurations_that_are_shown_are_taken() {
    let at = folder("book");
    let (mut broken, mut seen) = (Vec::new(), 0);
    for (name, page) in pages() {
        let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
        for (number, text) in blocks.filter_map(configuration).enumerate() {
            let file = at.join(format!("{}-{number}.yaml", name.replace('/', "-")));
            std::fs::write(&file, text).expect("a configuration can be written");
            seen += 1;
            if let Err(error) = landfall_pipeline::config::load(&file, &variable) {
                broken.push(format!("{name}: {error}"));
            }
        }
    }
    assert!(seen >= 8, "the pages show configurations: {seen}");
    none("configurations of the book are good", &broken);
}
