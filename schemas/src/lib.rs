//! The nouns of Landfall.
//!
//! What a change, a key, an offset, a mapping, a table and a row *are*; nothing here opens a file or a socket.

pub mod bson;
pub mod ddl;
pub mod event;
pub mod expression;
pub mod hash;
pub mod ident;
pub mod json;
pub mod key;
pub mod mapping;
pub mod naming;
pub mod offset;
pub mod pgtype;
pub mod position;
pub mod rejection;
pub mod row;
pub mod stream;
pub mod table;
pub mod value;
