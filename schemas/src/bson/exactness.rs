//! Whether the relaxed form of a value says all that the canonical one does.
//!
//! Read back, a relaxed integer is an int if it fits one and else a long, a number with a point or past 64 bits a double. So
//! only small longs are lost in it; everything else that the relaxed form writes plainly is told by how it is written.

use super::{Element, Elements, Value};

/// Whether the relaxed form of an element of `record` gives back the very types that stand in it.
pub fn relaxed_gives_back(record: &[u8], element: &Element<'_>) -> bool {
    if is_small_long(element) {
        return false;
    }
    let mut open: Vec<Elements<'_>> = element_inside(record, element).into_iter().collect();
    while let Some(elements) = open.last_mut() {
        match elements.next_element() {
            Ok(Some(element)) if is_small_long(&element) => return false,
            Ok(Some(element)) => open.extend(element.elements(record)),
            Ok(None) | Err(_) => {
                open.pop();
            }
        }
    }
    true
}

fn element_inside<'a>(record: &'a [u8], element: &Element<'_>) -> Option<Elements<'a>> {
    let start = match element.value() {
        Value::Document(_) | Value::Array(_) => element.start,
        Value::CodeWithScope(_, scope) => element.start + element.body.len() - scope.len(),
        _ => return None,
    };
    Elements::of(record, start).ok()
}

fn is_small_long(element: &Element<'_>) -> bool {
    matches!(element.value(), Value::Int64(value) if i32::try_from(value).is_ok())
}
