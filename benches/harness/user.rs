//! The record of every workload: a user of about 300 bytes, as JSON text and as the fields of a row.
//!
//! A user is a pure function of (number, revision), so that nothing needs to be kept to know what a row should hold. Between
//! revisions name, balance and `extra` change; the e-mail address, which is indexed, does not (its updates stay HOT).
//!
//! ```text
//! fields = id text | email text | name text | balance numeric(18,4) | created_at timestamptz | tags jsonb | extra jsonb
//!          | _lf_version int8                          each: length i32 be | PostgreSQL's binary form
//! ```

use crate::chance::mixed;
use std::io::Write;

/// Columns of the users table, `_lf_version` included.
pub const COLUMNS: usize = 8;
/// The columns with their types, in row order.
pub const COLUMN_TYPES: [(&str, &str); COLUMNS] = [
    ("id", "text"),
    ("email", "text"),
    ("name", "text"),
    ("balance", "numeric(18,4)"),
    ("created_at", "timestamptz"),
    ("tags", "jsonb"),
    ("extra", "jsonb"),
    ("_lf_version", "int8"),
];

const GIVEN: [&str; 8] = ["Ada", "Grace", "Edsger", "Barbara", "Donald", "Frances", "Niklaus", "Márta"];
const FAMILY: [&str; 8] = ["Lovelace", "Hopper", "Dijkstra", "Liskov", "Knuth", "Allen", "Wirth", "Szabó"];
const CITIES: [&str; 8] = ["Berlin", "Porto", "Bergen", "Gdańsk", "Lyon", "Turin", "Graz", "Ghent"];
const TAGS: [&str; 8] = ["beta", "staff", "trial", "annual", "newsletter", "invoice", "partner", "legacy"];
/// 2024-01-01T00:00:00Z in Unix seconds.
const FIRST_DAY: u64 = 1_704_067_200;
/// 2000-01-01T00:00:00Z, PostgreSQL's epoch, in Unix seconds.
const POSTGRES_EPOCH: u64 = 946_684_800;
/// Seconds of one day.
const DAY: u64 = 86_400;

/// One user at one revision.
#[derive(Clone, Copy, Debug)]
pub struct User {
    number: u64,
    draw: u64,
}

impl User {
    /// The user with this number, as it is after `revision` updates.
    pub fn new(number: u64, revision: u64) -> Self {
        Self { number, draw: mixed(number.wrapping_mul(31).wrapping_add(revision.wrapping_mul(0x9e37_79b9_7f4a_7c15))) }
    }

    /// Its key: random order over the numbers, 17 bytes.
    pub fn id(self) -> String {
        format!("u{:016x}", mixed(self.number))
    }

    /// The key as the product encodes a string.
    pub fn record_key(self) -> Vec<u8> {
        format!("s:u{:016x}", mixed(self.number)).into_bytes()
    }

    pub(crate) fn email(self) -> String {
        format!("user.{}@mail.example.org", self.number)
    }

    pub(crate) fn name(self) -> String {
        let pick = |list: &[&'static str; 8], shift: u32| list[(self.draw >> shift) as usize & 7];
        format!("{} {}", pick(&GIVEN, 0), pick(&FAMILY, 3))
    }

    /// Whole part below 10⁶ and four decimals.
    pub(crate) fn balance(self) -> (u32, u16) {
        ((self.draw >> 8) as u32 % 1_000_000, ((self.draw >> 40) % 10_000) as u16)
    }

    /// Unix seconds; does not change with revisions.
    pub(crate) fn created(self) -> u64 {
        FIRST_DAY + mixed(self.number) % (500 * DAY)
    }

    /// Which of all users it is.
    pub(crate) fn number(self) -> u64 {
        self.number
    }

    pub(crate) fn tags(self) -> [&'static str; 2] {
        let tag = |shift: u32| TAGS[(mixed(self.number) >> shift) as usize & 7];
        [tag(50), tag(53)]
    }

    pub(crate) fn city(self) -> &'static str {
        CITIES[(self.draw >> 12) as usize & 7]
    }

    pub(crate) fn zip(self) -> u64 {
        self.draw >> 30 & 0xffff
    }

    pub(crate) fn visits(self) -> u64 {
        self.draw >> 20 & 0xffff
    }

    pub(crate) fn last_seen(self) -> u64 {
        mixed(self.draw)
    }

    /// Who said something once.
    pub(crate) fn speaker(self) -> &'static str {
        GIVEN[(self.last_seen() & 7) as usize]
    }

    fn write_tags(self, out: &mut Vec<u8>) {
        let [first, second] = self.tags();
        put(out, format_args!(r#"["{first}","{second}"]"#));
    }

    fn write_extra(self, out: &mut Vec<u8>) {
        let (city, visits, tail, speaker) = (self.city(), self.visits(), self.last_seen(), self.speaker());
        put(
            out,
            format_args!(
                r#"{{"address":{{"city":"{city}","zip":"{:05}"}},"visits":{visits},"last_seen":"{tail:016x}","note":"said \"{speaker}\" once"}}"#,
                self.zip(),
            ),
        );
    }

    /// The record as compact JSON, without a line end.
    pub fn write_json(self, out: &mut Vec<u8>) {
        let (whole, decimals) = self.balance();
        put(out, format_args!(r#"{{"id":"{}","email":"{}","name":"{}","#, self.id(), self.email(), self.name()));
        put(out, format_args!(r#""balance":{whole}.{decimals:04},"created_at":""#));
        write_time(out, self.created());
        out.extend_from_slice(br#"","tags":"#);
        self.write_tags(out);
        out.extend_from_slice(br#","extra":"#);
        self.write_extra(out);
        out.push(b'}');
    }

    /// The row's fields.
    pub fn write_fields(self, version: i64, out: &mut Vec<u8>) {
        field(out, |out| out.extend_from_slice(self.id().as_bytes()));
        field(out, |out| out.extend_from_slice(self.email().as_bytes()));
        field(out, |out| out.extend_from_slice(self.name().as_bytes()));
        field(out, |out| write_numeric(out, self.balance()));
        field(out, |out| {
            let micros = (self.created() - POSTGRES_EPOCH) as i64 * 1_000_000;
            out.extend_from_slice(&micros.to_be_bytes());
        });
        // Version 1 of jsonb's binary form: the text.
        field(out, |out| {
            out.push(1);
            self.write_tags(out);
        });
        field(out, |out| {
            out.push(1);
            self.write_extra(out);
        });
        field(out, |out| out.extend_from_slice(&version.to_be_bytes()));
    }

    /// The fields of a delete: key and version, the others NULL.
    pub fn write_delete(self, version: i64, out: &mut Vec<u8>) {
        field(out, |out| out.extend_from_slice(self.id().as_bytes()));
        for _ in 0..COLUMNS - 2 {
            out.extend_from_slice(&(-1_i32).to_be_bytes());
        }
        field(out, |out| out.extend_from_slice(&version.to_be_bytes()));
    }
}

pub(crate) fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a Vec cannot fail.
    let _ = out.write_fmt(text);
}

pub(crate) fn field(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    let length = (out.len() - at - 4) as i32;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

/// `digits i16 | weight i16 | sign i16 | display scale i16 | base-10000 digits`, zeros at both ends left out.
fn write_numeric(out: &mut Vec<u8>, (whole, decimals): (u32, u16)) {
    let all = [(whole / 10_000) as u16, (whole % 10_000) as u16, decimals];
    let first = all.iter().position(|digit| *digit != 0).unwrap_or(all.len());
    let end = all.iter().rposition(|digit| *digit != 0).map_or(first, |last| last + 1);
    let digits = &all[first..end];
    let weight = if digits.is_empty() { 0 } else { 1 - first as i16 };
    for part in [digits.len() as i16, weight, 0, 4] {
        out.extend_from_slice(&part.to_be_bytes());
    }
    for digit in digits {
        out.extend_from_slice(&digit.to_be_bytes());
    }
}

/// `2024-05-06T07:08:09Z`, by the civil-from-days algorithm (Hinnant).
pub(crate) fn write_time(out: &mut Vec<u8>, unix: u64) {
    let (days, second) = (unix / DAY, unix % DAY);
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    put(out, format_args!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"));
}

#[cfg(test)]
mod tests {
    use super::{User, write_time};

    #[test]
    fn a_user_is_json_of_about_three_hundred_bytes() {
        let mut text = Vec::new();
        for number in 0..1_000 {
            text.clear();
            User::new(number, number % 3).write_json(&mut text);
            let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
            assert_eq!(value["id"].as_str().unwrap().len(), 17);
            assert!((270..360).contains(&text.len()), "{}", text.len());
        }
    }

    #[test]
    fn a_row_has_as_many_fields_as_columns() {
        for write in [User::write_fields, User::write_delete] {
            let mut fields = Vec::new();
            write(User::new(3, 0), 9, &mut fields);
            let (mut at, mut count) = (0, 0);
            while at < fields.len() {
                let length = i32::from_be_bytes(fields[at..at + 4].try_into().unwrap());
                at += 4 + usize::try_from(length).unwrap_or(0);
                count += 1;
            }
            assert_eq!((at, count), (fields.len(), super::COLUMNS));
        }
    }

    #[test]
    fn times_are_civil_times() {
        let mut text = Vec::new();
        write_time(&mut text, 1_709_251_199);
        assert_eq!(text, b"2024-02-29T23:59:59Z");
    }
}
