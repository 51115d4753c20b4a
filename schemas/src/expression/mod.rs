//! jq expressions of a mapping: columns that are computed, records that are left out.
//!
//! Owns which part of jq there is: what gives another answer tomorrow (`now`, `env`, `input`, …) or may never end (`until`,
//! `repeat`, functions of one's own) is refused when the mapping is read (promise 19: the same change gives the same bytes). `range` stops
//! at 100,000, and `*` repeats no text, so that one odd value cannot fill the memory.
//!
//! Numbers that are only passed on keep every digit; arithmetic on fractions is binary floating point, as everywhere in jq.

mod dialect;

#[cfg(test)]
mod tests;

use crate::pgtype::PgType;
use crate::rejection::{RejectCode, Rejection};
use crate::value::{Encoder, put_null};
use jaq_core::data::JustLut;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, unwrap_valr};
use jaq_json::{Num, Val};
use std::fmt;
use std::sync::Arc;

type Program = jaq_core::Filter<JustLut<Val>>;

/// Longest text of an expression.
const MAX_TEXT: usize = 4_000;

/// A jq expression that compiled.
#[derive(Clone)]
pub struct Expression {
    text: Arc<str>,
    program: Arc<Program>,
}

/// Why a text is not an expression, for people.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidExpression(String);

/// A value made ready for expressions.
#[derive(Clone)]
pub struct Input(Val);

impl Input {
    /// From JSON text that has been checked to be JSON.
    ///
    /// Errors: `ExpressionFailed` when jq reads it in no way (half a surrogate pair).
    pub fn json(text: &[u8]) -> Result<Self, Rejection> {
        let parsed = jaq_json::read::parse_single(text);
        parsed.map(Self).map_err(|_| failed("", "text that jq reads", "half a surrogate pair"))
    }
}

impl fmt::Debug for Input {
    /// Nothing of it: it is a value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Input")
    }
}

impl Expression {
    /// Compiles a text.
    pub fn parse(text: &str) -> Result<Self, InvalidExpression> {
        if text.len() > MAX_TEXT {
            return Err(InvalidExpression(format!("it is longer than {MAX_TEXT} bytes")));
        }
        // The text becomes a definition, so that what it calls can be exchanged before it is compiled.
        let defs = dialect::definitions(text)?;
        let (arena, main) = (Arena::default(), File { code: dialect::MAIN, path: () });
        let modules = Loader::new(defs).load(&arena, main).map_err(|_| InvalidExpression("it is not jq".into()))?;
        let funs = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
        let compiled = Compiler::default().with_funs(funs).compile(modules);
        let program = compiled.map_err(|errors| {
            let unknown = errors.iter().flat_map(|(_, undefined)| undefined).map(|(name, kind)| (name, kind.as_str()));
            let named: Vec<_> =
                unknown.map(|(name, kind)| format!("there is no {kind} `{name}` with these arguments")).collect();
            InvalidExpression(named.join("; "))
        })?;
        Ok(Self { text: text.into(), program: Arc::new(program) })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Names of fields that it may read: words behind a point, or in a list between braces, and texts in it. Rather too many than too few.
    pub fn names(&self) -> Vec<String> {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let word = |part: &str| part.trim_start().split(|c| !is_word(c)).next().unwrap_or_default().to_owned();
        let words = self.text.split(['.', '{', ',']).skip(1).map(word);
        let texts = self.text.split('"').skip(1).map(str::to_owned);
        words.chain(texts).filter(|name| !name.is_empty()).collect()
    }

    /// Whether a record passes: neither `false` nor `null` nor nothing at all came out.
    ///
    /// Errors: `ExpressionFailed`, as [`field`](Self::field) has it.
    pub fn passes(&self, input: &Input) -> Result<bool, Rejection> {
        let value = self.value(input)?;
        Ok(!matches!(value, None | Some(Val::Null | Val::Bool(false))))
    }

    /// The JSON text of what comes out; `None`: nothing does.
    ///
    /// Errors: `ExpressionFailed` for an error inside the expression, more than one value, and values that JSON does not have.
    /// Neither the error's text nor a value is told: both may hold data.
    pub fn json(&self, input: &Input) -> Result<Option<String>, Rejection> {
        match self.value(input)? {
            None => Ok(None),
            Some(value) if is_json(&value) => Ok(Some(value.to_string())),
            Some(_) => Err(failed("", "a JSON value", "one that JSON does not have (NaN, bytes)")),
        }
    }

    /// Appends the field of what comes out; `null` and nothing are NULL.
    ///
    /// Errors: as [`json`](Self::json) has them, and what the type refuses. On error `out` is as before.
    pub fn field(&self, ty: PgType, input: &Input, encoder: &mut Encoder, out: &mut Vec<u8>) -> Result<(), Rejection> {
        match self.json(input)? {
            None => put_null(out),
            Some(text) => encoder.field(ty, text.as_bytes(), out).map_err(|found| Rejection { at: None, ..found })?,
        }
        Ok(())
    }

    fn value(&self, input: &Input) -> Result<Option<Val>, Rejection> {
        let context = Ctx::<JustLut<Val>>::new(&self.program.lut, Vars::new([]));
        let mut values = self.program.id.run((context, input.0.clone())).map(unwrap_valr);
        let first = values.next().transpose().map_err(|_| failed("", "a value", "an error"))?;
        match values.next() {
            None => Ok(first),
            Some(Ok(_)) => Err(failed("", "one value", "several")),
            Some(Err(_)) => Err(failed("", "a value", "an error")),
        }
    }
}

fn failed(path: &str, expected: &str, found: &str) -> Rejection {
    Rejection::new(RejectCode::ExpressionFailed, path, expected, found)
}

/// Whether JSON has it: jq's values are a few more.
fn is_json(value: &Val) -> bool {
    match value {
        Val::Null | Val::Bool(_) | Val::Num(Num::Int(_) | Num::BigInt(_) | Num::Dec(_)) => true,
        Val::Num(Num::Float(number)) => number.is_finite(),
        Val::TStr(text) => std::str::from_utf8(text).is_ok(),
        Val::BStr(_) => false,
        Val::Arr(items) => items.iter().all(is_json),
        Val::Obj(members) => {
            members.iter().all(|(name, value)| matches!(name, Val::TStr(_)) && is_json(name) && is_json(value))
        }
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Expression {}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.text).finish()
    }
}
