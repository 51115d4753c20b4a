//! The objects of one array beside each other: can a field tell them apart?

use landfall_schemas::bson::Elements;
use landfall_schemas::hash::KeyHash;
use landfall_schemas::json::Members;
use landfall_schemas::key::RecordKey;
use std::collections::HashSet;

/// The objects in one array: which of their fields hold a value twice.
#[derive(Default)]
pub(super) struct Siblings {
    pub(super) count: u64,
    seen: HashSet<(Box<str>, KeyHash)>,
    pub(super) twice: HashSet<Box<str>>,
}

impl Siblings {
    pub(super) fn json(&mut self, object: &[u8], key: &mut RecordKey) {
        let Some(mut members) = Members::of(object, 0) else { return };
        while let Ok(Some(member)) = members.next_member() {
            let mut text = Vec::new();
            if let Ok(name) = member.name.decode(&mut text)
                && looks_like_a_key(name)
                && key.set_json(&object[member.value.clone()]).is_ok()
            {
                self.add(name, key);
            }
        }
    }

    pub(super) fn bson(&mut self, document: &[u8], key: &mut RecordKey) {
        let Ok(mut elements) = Elements::of(document, 0) else { return };
        while let Ok(Some(element)) = elements.next_element() {
            if let Ok(name) = std::str::from_utf8(element.name)
                && looks_like_a_key(name)
                && key.set_bson_value(&element.value()).is_ok()
            {
                self.add(name, key);
            }
        }
    }

    fn add(&mut self, name: &str, key: &RecordKey) {
        if !self.seen.insert((name.into(), key.hash())) {
            self.twice.insert(name.into());
        }
    }
}

/// Whether a field is called as keys are.
pub(super) fn looks_like_a_key(name: &str) -> bool {
    let folded = name.to_ascii_lowercase();
    matches!(folded.as_str(), "id" | "_id" | "uuid" | "guid" | "key" | "slug" | "code")
        || folded.ends_with("_id")
        || name.ends_with("Id")
        || name.ends_with("ID")
}
