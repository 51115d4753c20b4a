//! From an offset to the path of the element that stands there, for people.

use super::{Elements, Kind};

/// The JSON pointer of the innermost element of `record` that holds offset `at`, as far as the record can be read; names that
/// are not UTF-8 are shown with replacement characters.
pub fn pointer_at(record: &[u8], at: usize) -> String {
    let mut pointer = String::new();
    let mut inside = Elements::of(record, 0).ok();
    let mut array = false;
    while let Some(mut elements) = inside.take() {
        let mut position = 0_usize;
        while let Ok(Some(element)) = elements.next_element() {
            if (element.at..element.start + element.body.len()).contains(&at) {
                pointer.push('/');
                if array {
                    pointer.push_str(&position.to_string());
                } else {
                    let name = String::from_utf8_lossy(element.name);
                    pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                }
                inside = if at >= element.start { element.elements(record) } else { None };
                array = element.kind == Kind::Array;
                break;
            }
            position += 1;
        }
    }
    pointer
}
