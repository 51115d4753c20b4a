//! One-dimensional arrays on the wire.
//!
//! ```text
//! array = dimensions i32 (0 when empty, else 1) | has nulls i32 | element oid u32 | length i32 | lower bound i32 = 1 | field*
//! ```

use crate::pgtype::{ElementType, PgType};
use crate::rejection::Rejection;

/// An array's field while its elements are appended to it.
pub(super) struct ArrayField {
    start: usize,
    count: i32,
    nulls: bool,
}

impl ArrayField {
    /// Opens the field: the length, then room for the header.
    pub(super) fn open(element: ElementType, out: &mut Vec<u8>) -> Self {
        let start = out.len();
        out.extend_from_slice(&[0; 12]);
        out.extend_from_slice(&element.ty().oid().to_be_bytes());
        out.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1]);
        Self { start, count: 0, nulls: false }
    }

    /// Appends an element's field by `put`; the rejection names its place.
    pub(super) fn element(
        &mut self,
        out: &mut Vec<u8>,
        put: impl FnOnce(&mut Vec<u8>) -> Result<(), Rejection>,
    ) -> Result<(), Rejection> {
        let start = out.len();
        put(out).map_err(|inner| Rejection { path: format!("/{}{}", self.count, inner.path).into(), ..inner })?;
        self.nulls |= out[start..] == (-1_i32).to_be_bytes();
        self.count += 1;
        Ok(())
    }

    /// Writes the header and the length. An empty array has no dimension.
    pub(super) fn close(self, out: &mut Vec<u8>) {
        if self.count == 0 {
            out.truncate(self.start + 16);
        } else {
            out[self.start + 16..self.start + 20].copy_from_slice(&self.count.to_be_bytes());
        }
        out[self.start + 4..self.start + 8].copy_from_slice(&i32::from(self.count > 0).to_be_bytes());
        out[self.start + 8..self.start + 12].copy_from_slice(&i32::from(self.nulls).to_be_bytes());
        let length = (out.len() - self.start - 4) as i32;
        out[self.start..self.start + 4].copy_from_slice(&length.to_be_bytes());
    }
}

/// What an array is made of.
pub(super) fn elements_of(ty: PgType) -> Option<ElementType> {
    match ty {
        PgType::Array(element) => Some(element),
        _ => None,
    }
}
