//! One field of a record, found without looking at more than stands before it.

use super::SyntaxError;
use super::member::Members;
use super::token::skip_value;
use crate::mapping::FieldPath;

/// Raw text of the value at `path`: the first occurrence where a name repeats. `None` when it is missing, or when the
/// record or a value on the way is not an object.
///
/// Members before it are skipped by their brackets and quotes; what stands behind it is not read. An error therefore means
/// that the text is not JSON, but its absence does not mean that it is.
pub fn field<'a>(record: &'a [u8], path: &FieldPath) -> Result<Option<&'a [u8]>, SyntaxError> {
    let mut at = 0;
    for part in path.parts() {
        match find(record, at, part)? {
            Some(value) => at = value,
            None => return Ok(None),
        }
    }
    let end = skip_value(record, at)?;
    Ok(Some(&record[at..end]))
}

/// Where the value of the member `name` of the object at `at` starts.
fn find(record: &[u8], at: usize, name: &str) -> Result<Option<usize>, SyntaxError> {
    let Some(mut members) = Members::of(record, at) else { return Ok(None) };
    while let Some((_, found)) = members.next_name()? {
        if found.is(name) {
            return Ok(Some(members.at()));
        }
        members.skip()?;
    }
    Ok(None)
}
