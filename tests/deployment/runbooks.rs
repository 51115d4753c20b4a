//! Every code a person can meet has a page, every page can be reached, and what a page tells to type exists.

use crate::files::{none, place, text};
use landfall_schemas::rejection::RejectCode;
use landfall_tests::repository;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Pages that hold many codes, each named in the first cell of a table.
const SHARED: &[&str] = &["commands.md", "internal.md", "rejects.md", "verify.md"];
/// What stands before a code in the sources, but for blanks and line ends.
const BEFORE: &[&str] = &[
    "Failure::new(FailureClass::Transient,",
    "Failure::new(FailureClass::TooMuch,",
    "Failure::new(FailureClass::Unknown,",
    "Failure::new(FailureClass::Fenced,",
    "Failure::new(FailureClass::Halt,",
    "Failure::new(FailureClass::Fatal,",
    "Refused::new(",
    "CliFailure::new(Exit::Failed,",
    "CliFailure::new(Exit::Usage,",
    "CliFailure::new(Exit::NeedsDecision,",
    "CliFailure::new(Exit::OtherOwner,",
    "CliFailure::new(Exit::Interrupted,",
    "Waiting{code:",
    "Trouble{code:",
    "Trouble::Waiting(",
    "failures::misuse(",
    "(Transient,",
    "(TooMuch,",
    "(Halt,",
];
/// A code named once and used by its constant.
const CONSTANTS: &[&str] = &[
    "constFILE_SHRANK:&str=",
    "constSCHEMA_DRIFT:&str=",
    "constCOLLECTION_GONE:&str=",
    "constNOT_COMPARED:&str=",
    "constTOO_OLD:&str=",
    "constNOT_JSON:&str=",
    "constTRACES_FAILED:&str=",
];

fn pages() -> BTreeMap<String, String> {
    let read = |entry: std::fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(entry.path()).expect("a page is text");
        (name, text)
    };
    std::fs::read_dir(place("runbooks")).expect("there are runbooks").flatten().map(read).collect()
}

/// The product's sources without unit tests, doubles and proofs.
fn sources(below: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(below).expect("a folder can be read").flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.is_dir() {
            if !["tests", "memory", "conformance"].contains(&name.as_str()) {
                sources(&path, found);
            }
        } else if name.ends_with(".rs") && !name.contains("test") {
            let text = std::fs::read_to_string(&path).expect("a source is text");
            let product = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
            found.push((path.display().to_string(), product));
        }
    }
}

/// Codes of the sources and where they stand.
fn codes() -> BTreeMap<String, String> {
    let mut files = Vec::new();
    ["connectors/src", "pipeline/src"].iter().for_each(|room| sources(&repository::root().join(room), &mut files));
    let mut codes = BTreeMap::new();
    for (path, text) in files {
        let dense: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        for before in BEFORE.iter().chain(CONSTANTS) {
            for (at, _) in dense.match_indices(before) {
                let Some(rest) = dense[at + before.len()..].strip_prefix('"') else { continue };
                let code = rest.split('"').next().unwrap_or_default();
                let is_code =
                    !code.is_empty() && code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
                if is_code {
                    codes.insert(code.to_owned(), path.clone());
                }
            }
        }
    }
    assert!(codes.len() > 120, "the codes of the product are found: {}", codes.len());
    codes
}

/// Codes in the first cells of a shared page's tables.
fn listed(page: &str) -> BTreeSet<String> {
    let cells = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn every_failure_code_has_a_page() {
    let pages = pages();
    let shared: BTreeSet<String> = SHARED.iter().flat_map(|name| listed(&pages[*name])).collect();
    let has_page = |code: &str| pages.contains_key(&format!("{code}.md")) || shared.contains(code);
    let homeless =
        codes().into_iter().filter(|(code, _)| !has_page(code)).map(|(code, path)| format!("{code} ({path})"));
    none("deploy/runbooks/CODE.md, or a line of a shared page", &homeless.collect::<Vec<_>>());
}

#[test]
fn every_reason_of_a_dead_letter_is_explained_and_no_other() {
    let explained = listed(&pages()["rejects.md"]);
    let codes: BTreeSet<String> = RejectCode::ALL.iter().map(|code| code.name().to_owned()).collect();
    assert_eq!(codes, explained.into_iter().filter(|word| word != "reason").collect::<BTreeSet<_>>());
}

#[test]
fn every_page_of_a_code_opens_with_it_and_has_its_five_parts() {
    let codes = codes();
    let mut broken = Vec::new();
    for (name, page) in pages() {
        let code = name.trim_end_matches(".md");
        if codes.contains_key(code) && !SHARED.contains(&name.as_str()) && !page.starts_with("# ") {
            broken.push(format!("{name}: its title"));
        }
        let parts = ["**You see**", "**It means**", "**Safe**", "**Do**", "**Over when**"];
        let is_code = codes.contains_key(code) && page.starts_with("# `");
        broken.extend(
            parts.iter().filter(|part| is_code && !page.contains(**part)).map(|part| format!("{name}: {part}")),
        );
    }
    none("a page says what is seen, what it means, what is safe, what to do, when it is over", &broken);
}

#[test]
fn every_page_is_in_the_index_and_every_link_leads_somewhere() {
    let pages = pages();
    let mut broken = Vec::new();
    for (name, page) in &pages {
        if name != "README.md" && !pages["README.md"].contains(&format!("({name})")) {
            broken.push(format!("{name} is not in README.md"));
        }
        for link in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !link.starts_with("http") && !pages.contains_key(link) {
                broken.push(format!("{name}: {link}"));
            }
        }
    }
    none("pages can be reached", &broken);
}

/// Command lines of ours: lines, code spans and what stands behind `&&`, where they begin with `landfall `, without the comment behind them and the
/// file they name first.
fn command_lines(page: &str) -> Vec<String> {
    let spans = page.split('`').skip(1).step_by(2);
    let pieces = page.lines().chain(spans).flat_map(|line| line.split(" && "));
    let begun = pieces.filter_map(|piece| piece.strip_prefix("landfall "));
    let bare = begun.map(|line| line.split(['\n', '#', ';', '|', '`']).next().unwrap_or_default().trim());
    let without_file = |line: &str| match line.strip_prefix("-c ").and_then(|rest| rest.split_once(' ')) {
        Some((_, rest)) => rest.to_owned(),
        None => line.to_owned(),
    };
    bare.map(without_file).collect()
}

/// The part of the golden help that is a command's own.
fn help_of<'a>(help: &'a str, command: &str) -> Option<&'a str> {
    let start = help.find(&format!("$ landfall {command} --help\n"))?;
    help[start + 2..].split("\n$ landfall ").next()
}

/// Its option names.
fn options(words: &[&str]) -> Vec<String> {
    let named = words.iter().filter_map(|word| word.strip_prefix("--"));
    named.map(|option| option.trim_end_matches(['.', ',', ')']).to_owned()).collect()
}

/// How many commands a page has, and which of them, or of the options it names, the product does not know.
pub(crate) fn commands_of(name: &str, page: &str, help: &str) -> (usize, Vec<String>) {
    let (mut seen, mut broken) = (0, Vec::new());
    for line in command_lines(page) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let two = words.get(..2).map(|words| words.join(" ")).unwrap_or_default();
        let one = words.first().copied().unwrap_or_default();
        // `schema [OPTIONS] <COMMAND>` is how a group is used.
        if one == "COMMAND" || one.starts_with('-') || line.ends_with("<COMMAND>") {
            continue;
        }
        // `schema apply` before `schema`; a group alone says nothing.
        let known =
            help_of(help, &two).or_else(|| help_of(help, one).filter(|text| !text.contains("[OPTIONS] <COMMAND>")));
        let Some(text) = known else {
            broken.push(format!("{name}: landfall {line}"));
            continue;
        };
        seen += 1;
        let strange = options(&words).into_iter().filter(|option| !text.contains(&format!("--{option}")));
        broken.extend(strange.map(|option| format!("{name}: landfall {line}: --{option}")));
    }
    let spans = page.split('`').skip(1).step_by(2).filter(|span| span.starts_with("--"));
    let alone = spans.flat_map(|span| options(&span.split_whitespace().collect::<Vec<_>>()));
    let strange = alone.filter(|option| !help.contains(&format!("--{option}")) && option != "replSet");
    broken.extend(strange.map(|option| format!("{name}: --{option}")));
    (seen, broken)
}

/// What can be typed.
pub(crate) fn help() -> String {
    let golden = repository::root().join("pipeline/src/cli/golden/help.txt");
    std::fs::read_to_string(golden).expect("help is a golden text")
}

#[test]
fn what_a_page_tells_to_type_exists() {
    let help = help();
    let (mut seen, mut broken) = (0, Vec::new());
    for (name, page) in pages() {
        let (more, strange) = commands_of(&name, &page, &help);
        seen += more;
        broken.extend(strange);
    }
    assert!(seen > 100, "the pages have commands: {seen}");
    none("commands and options of the pages are those of the product", &broken);
}

#[test]
fn the_reasons_of_readiness_lead_to_pages() {
    let page = text("runbooks/not_ready.md");
    for reason in [
        "starting",
        "halted",
        "held",
        "fenced",
        "target_unreachable",
        "queue_full",
        "disk_reserve",
        "lag",
        "not_compared",
        "paused",
        "waiting",
    ] {
        assert!(listed(&page).contains(reason), "{reason}");
    }
}
