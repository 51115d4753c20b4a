//! Messages: OP_MSG with its sections, and OP_QUERY for clients that say hello the old way; either inside OP_COMPRESSED (zlib), to which
//! the answer is compressed too.

use bson::{Document, RawDocument, RawDocumentBuf};
use flate2::Compression;
use flate2::read::{ZlibDecoder, ZlibEncoder};
use std::io::{Error, ErrorKind, Read, Result};

const OP_REPLY: i32 = 1;
const OP_QUERY: i32 = 2_004;
const OP_COMPRESSED: i32 = 2_012;
const OP_MSG: i32 = 2_013;
/// The compressor that is spoken, and its number.
pub(super) const COMPRESSOR: &str = "zlib";
const ZLIB: u8 = 2;
/// Of a compressed message, behind the header: what is in it, how long that is, the compressor.
const COMPRESSED_FRONT: usize = 9;
/// Length, request, in answer to, kind.
const HEADER: usize = 16;
/// A message of a client is at most this long.
const MAX_MESSAGE: usize = 48_000_000;
/// A checksum stands at the end.
const CHECKSUM_PRESENT: u32 = 1;
/// The client wants no answer.
const MORE_TO_COME: u32 = 2;

/// A command.
#[derive(Debug)]
pub(super) struct Request {
    id: i32,
    kind: i32,
    /// It came compressed.
    pub(super) compressed: bool,
    /// The command, with its document sequences as arrays.
    pub(super) body: Document,
    /// Whether the client waits for an answer.
    pub(super) wants_answer: bool,
}

impl Request {
    /// The next message of a connection; `None` at its end.
    pub(super) fn read(stream: &mut impl Read) -> Result<Option<Self>> {
        let mut header = [0; HEADER];
        if let Err(error) = stream.read_exact(&mut header) {
            return if error.kind() == ErrorKind::UnexpectedEof { Ok(None) } else { Err(error) };
        }
        let length = usize::try_from(int(&header, 0)).unwrap_or_default();
        if !(HEADER..=MAX_MESSAGE).contains(&length) {
            return Err(broken("a length that no message has"));
        }
        let mut rest = vec![0; length - HEADER];
        stream.read_exact(&mut rest)?;
        let (id, mut kind) = (int(&header, 4), int(&header, 12));
        let compressed = kind == OP_COMPRESSED;
        if compressed {
            (kind, rest) = unpack(&rest)?;
        }
        match kind {
            OP_MSG => {
                let flags = int(&rest, 0).cast_unsigned();
                let end = rest.len() - if flags & CHECKSUM_PRESENT == 0 { 0 } else { 4 };
                let body = sections(&rest[4..end])?;
                Ok(Some(Self { id, kind, compressed, body, wants_answer: flags & MORE_TO_COME == 0 }))
            }
            OP_QUERY => {
                let name = rest[4..].iter().position(|byte| *byte == 0).ok_or_else(|| broken("a name without end"))?;
                // Flags, name and its zero, two numbers.
                let (body, _) = document(&rest[4 + name + 1 + 8..])?;
                Ok(Some(Self { id, kind, compressed, body, wants_answer: true }))
            }
            _ => Err(broken("a kind of message that is not spoken here")),
        }
    }

    /// The name of the command: its first field.
    pub(super) fn name(&self) -> &str {
        self.body.keys().next().map_or("", String::as_str)
    }

    /// The bytes of an answer.
    pub(super) fn answer(&self, body: &RawDocument) -> Vec<u8> {
        let (kind, front) = if self.kind == OP_QUERY {
            // Flags, cursor, start, one document.
            (OP_REPLY, [8_i32, 0, 0, 0, 1].iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>())
        } else {
            // Flags, and a section of one document.
            (OP_MSG, vec![0, 0, 0, 0, 0])
        };
        let content = [&front, body.as_bytes()].concat();
        if self.compressed { self.message(OP_COMPRESSED, &pack(kind, &content)) } else { self.message(kind, &content) }
    }

    fn message(&self, kind: i32, content: &[u8]) -> Vec<u8> {
        let length = i32::try_from(HEADER + content.len()).expect("an answer is below 2 GiB");
        let header = [length, self.id, self.id, kind];
        let mut bytes: Vec<u8> = header.iter().flat_map(|number| number.to_le_bytes()).collect();
        bytes.extend_from_slice(content);
        bytes
    }
}

/// The kind and the content of a compressed message.
fn unpack(packed: &[u8]) -> Result<(i32, Vec<u8>)> {
    if packed.len() < COMPRESSED_FRONT || packed[8] != ZLIB {
        return Err(broken("a compressor that was not agreed on"));
    }
    let mut content = Vec::new();
    ZlibDecoder::new(&packed[COMPRESSED_FRONT..]).read_to_end(&mut content)?;
    if usize::try_from(int(packed, 4)).ok() != Some(content.len()) {
        return Err(broken("a compressed message of another length than it says"));
    }
    Ok((int(packed, 0), content))
}

fn pack(kind: i32, content: &[u8]) -> Vec<u8> {
    let length = i32::try_from(content.len()).expect("an answer is below 2 GiB");
    let mut packed: Vec<u8> = [kind, length].iter().flat_map(|number| number.to_le_bytes()).collect();
    packed.push(ZLIB);
    ZlibEncoder::new(content, Compression::fast()).read_to_end(&mut packed).expect("memory can be read");
    packed
}

fn sections(mut bytes: &[u8]) -> Result<Document> {
    let mut body = Document::new();
    let mut sequences = Document::new();
    while let Some((kind, rest)) = bytes.split_first() {
        if *kind == 0 {
            let (found, behind) = document(rest)?;
            body = found;
            bytes = behind;
        } else {
            let length = usize::try_from(int(rest, 0)).unwrap_or_default();
            if !(4..=rest.len()).contains(&length) {
                return Err(broken("a section beyond its message"));
            }
            let (section, behind) = rest.split_at(length);
            let end = section[4..].iter().position(|byte| *byte == 0).ok_or_else(|| broken("a name without end"))?;
            let name = String::from_utf8_lossy(&section[4..4 + end]).into_owned();
            sequences.insert(name, sequence(&section[4 + end + 1..])?);
            bytes = behind;
        }
    }
    body.extend(sequences);
    Ok(body)
}

fn sequence(mut bytes: &[u8]) -> Result<Vec<Document>> {
    let mut documents = Vec::new();
    while !bytes.is_empty() {
        let (found, behind) = document(bytes)?;
        documents.push(found);
        bytes = behind;
    }
    Ok(documents)
}

fn document(bytes: &[u8]) -> Result<(Document, &[u8])> {
    let length = usize::try_from(int(bytes, 0)).unwrap_or_default();
    if length > bytes.len() {
        return Err(broken("a document beyond its message"));
    }
    let (own, behind) = bytes.split_at(length);
    let raw = RawDocumentBuf::from_bytes(own.to_vec()).map_err(|_| broken("no document"))?;
    let document = Document::try_from(&raw).map_err(|_| broken("no document"))?;
    Ok((document, behind))
}

fn int(bytes: &[u8], at: usize) -> i32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, i32::from_le_bytes)
}

fn broken(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}
