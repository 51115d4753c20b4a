//! Rows out of a table by binary COPY, each handed on as it came: nothing is decoded and nothing kept.
//!
//! How it fails: as every exchange, when no row comes within the patience given; a taker's failure ends it and is handed on.

use super::classify::classify;
use super::wire::{Link, WireError};
use crate::failure::Failure;
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use std::pin::{Pin, pin};
use std::time::Duration;
use tokio_postgres::Error;

/// Messages taken between two looks at the deadline.
const TURN: usize = 5_000;

/// Runs a COPY to its end.
pub(crate) async fn copy_out(
    link: &mut Link,
    (sql, patience): (&str, Duration),
    take: &mut (dyn FnMut(&[u8]) -> Result<(), Failure> + Send),
) -> Result<(), Failure> {
    let failed = |error: WireError| classify(&error, "read a table");
    let Link { client, driver, .. } = link;
    let rows = driver.drive(patience, client.copy_out(sql)).await.map_err(failed)?;
    let mut rows = pin!(rows);
    let mut tuples = Tuples::default();
    loop {
        let turn = driver.drive(patience, some(rows.as_mut(), &mut tuples, take)).await.map_err(failed)?;
        match turn {
            Turn::More => {}
            Turn::End => return Ok(()),
            Turn::Refused(failure) => return Err(failure),
        }
    }
}

enum Turn {
    More,
    End,
    Refused(Failure),
}

async fn some(
    mut rows: Pin<&mut (impl Stream<Item = Result<Bytes, Error>> + Send)>,
    tuples: &mut Tuples,
    take: &mut (dyn FnMut(&[u8]) -> Result<(), Failure> + Send),
) -> Result<Turn, Error> {
    for _ in 0..TURN {
        match rows.try_next().await? {
            None => return Ok(Turn::End),
            Some(bytes) => {
                if let Err(failure) = tuples.feed(&bytes, take) {
                    return Ok(Turn::Refused(failure));
                }
            }
        }
    }
    Ok(Turn::More)
}

/// The binary form of COPY taken apart.
///
/// ```text
/// header = "PGCOPY\n\xff\r\n\0" | flags i32 | length i32 | extension
/// tuple  = fields i16 | (length i32 | bytes)*       end = −1 i16
/// ```
#[derive(Default)]
struct Tuples {
    began: bool,
    /// What came of a tuple that is not whole yet: servers send one a message, others may cut anywhere.
    carried: Vec<u8>,
}

impl Tuples {
    fn feed(
        &mut self,
        bytes: &[u8],
        take: &mut (dyn FnMut(&[u8]) -> Result<(), Failure> + Send),
    ) -> Result<(), Failure> {
        if self.carried.is_empty() {
            let used = self.eat(bytes, take)?;
            self.carried.extend_from_slice(&bytes[used..]);
            return Ok(());
        }
        self.carried.extend_from_slice(bytes);
        let carried = std::mem::take(&mut self.carried);
        let used = self.eat(&carried, take)?;
        self.carried.extend_from_slice(&carried[used..]);
        Ok(())
    }

    /// Takes the whole tuples; tells how many bytes they were.
    fn eat(
        &mut self,
        bytes: &[u8],
        take: &mut (dyn FnMut(&[u8]) -> Result<(), Failure> + Send),
    ) -> Result<usize, Failure> {
        let mut at = 0;
        if !self.began {
            let Some(header) = header_length(bytes) else { return Ok(0) };
            (at, self.began) = (header, true);
        }
        while let Some(count) = bytes.get(at..at + 2) {
            let count = i16::from_be_bytes([count[0], count[1]]);
            if count < 0 {
                return Ok(bytes.len());
            }
            let Some(end) = tuple_end(bytes, at + 2, count) else { break };
            take(&bytes[at + 2..end])?;
            at = end;
        }
        Ok(at)
    }
}

fn header_length(bytes: &[u8]) -> Option<usize> {
    let extension = bytes.get(15..19)?;
    let extension = u32::from_be_bytes([extension[0], extension[1], extension[2], extension[3]]) as usize;
    (bytes.len() >= 19 + extension).then_some(19 + extension)
}

fn tuple_end(bytes: &[u8], from: usize, count: i16) -> Option<usize> {
    (0..count).try_fold(from, |at, _| {
        let length = bytes.get(at..at + 4)?;
        let length = i32::from_be_bytes([length[0], length[1], length[2], length[3]]);
        let end = at + 4 + usize::try_from(length).unwrap_or(0);
        (end <= bytes.len()).then_some(end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tuples_are_found_however_the_bytes_are_cut() {
        let mut bytes = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
        let rows: [&[u8]; 3] =
            [b"\0\0\0\x02hi\xff\xff\xff\xff", b"\0\0\0\0\0\0\0\x01x", b"\xff\xff\xff\xff\xff\xff\xff\xff"];
        for row in rows {
            bytes.extend_from_slice(&2_i16.to_be_bytes());
            bytes.extend_from_slice(row);
        }
        bytes.extend_from_slice(&(-1_i16).to_be_bytes());
        for piece in 1..bytes.len() {
            let (mut tuples, mut found) = (Tuples::default(), Vec::new());
            for part in bytes.chunks(piece) {
                tuples
                    .feed(part, &mut |fields| {
                        found.push(fields.to_vec());
                        Ok(())
                    })
                    .expect("nothing is refused");
            }
            assert_eq!(found, rows, "in pieces of {piece}");
        }
    }
}
