//! Which jq an expression may be written in.

use super::InvalidExpression;
use jaq_core::load::lex::{Lexer, StrPart, Token};
use jaq_core::load::parse::{BinaryOp, Def, Parser, Pattern, Term};
use jaq_core::ops::Math;
use jaq_core::path::{Part, Path};

/// The program that is run: the definition that the expression became.
pub(super) const MAIN: &str = "landfall_expression";
const TIMES: &str = "landfall_times";

/// Bounded versions of what jq has without bounds. They stand behind jq's own definitions, so that only expressions see them.
const BOUNDED: &str = r#"
def landfall_times($l; $r):
  if ($l | isstring) or ($r | isstring) then error("text cannot be multiplied") else $l * $r end;
def landfall_range($from; $to; $by):
  if ($from | isnumber) and ($to | isnumber) and ($by | isnumber) and $by != 0 and ($to - $from) / $by <= 100000
  then range($from; $to; $by) else error("range is too long") end;
def range($from; $to; $by): landfall_range($from; $to; $by);
def range($from; $to): landfall_range($from; $to; 1);
def range($to): landfall_range(0; $to; 1);
"#;

/// Answers that depend on more than the record.
const NOT_THE_RECORD: [&str; 16] = [
    "now",
    "env",
    "input",
    "inputs",
    "input_filename",
    "input_line_number",
    "localtime",
    "strflocaltime",
    "debug",
    "stderr",
    "debug_empty",
    "stderr_empty",
    "halt",
    "halt_error",
    "get_search_list",
    "get_prog_origin",
];
/// Loops without an end of their own.
const ENDLESS: [&str; 6] = ["repeat", "while", "until", "combinations", "landfall_range", "landfall_times"];

/// jq's definitions, the bounded ones, and the expression as [`MAIN`].
pub(super) fn definitions(text: &str) -> Result<Vec<Def<&str>>, InvalidExpression> {
    let mut term = parsed(text)?;
    adapt(&mut term)?;
    let bounded = jaq_core::load::parse(BOUNDED, |parser| parser.defs());
    let own = Def { name: MAIN, args: Vec::new(), body: term };
    let theirs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs()).chain(bounded.unwrap_or_default());
    let mut definitions: Vec<Def<&str>> = theirs.map(|definition| definition as Def<&str>).collect();
    definitions.push(own);
    Ok(definitions)
}

fn parsed(text: &str) -> Result<Term<&str>, InvalidExpression> {
    let tokens = Lexer::new(text).lex().map_err(|errors| {
        let first = errors.first().map(|(expected, found)| (expected.as_str(), *found));
        not_jq(text, first)
    })?;
    Parser::new(&tokens).parse(|parser| parser.term()).map_err(|errors| {
        let first = errors.first().map(|(expected, found)| (expected.as_str(), Token::opt_as_str(*found, text)));
        not_jq(text, first)
    })
}

/// What was expected, and how far into the text.
fn not_jq(text: &str, fault: Option<(&str, &str)>) -> InvalidExpression {
    InvalidExpression(match fault {
        None => "it is not jq".to_owned(),
        Some((expected, "")) => format!("it is not jq: {expected} expected at its end"),
        Some((expected, found)) => {
            let at = jaq_core::load::span(text, found).start;
            format!("it is not jq: {expected} expected at character {}", text[..at].chars().count() + 1)
        }
    })
}

/// Refuses what is not in the dialect, and puts the bounded product in the place of jq's.
fn adapt(term: &mut Term<&str>) -> Result<(), InvalidExpression> {
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) => Ok(()),
        Term::Var(name) if *name == "$ENV" => Err(refused("$ENV", "asks for more than the record holds")),
        Term::Var(_) => Ok(()),
        Term::Def(..) => Err(InvalidExpression("functions of its own are not allowed (they may never end)".into())),
        Term::Str(_, parts) => parts.iter_mut().try_for_each(|part| match part {
            StrPart::Term(inner) => adapt(inner),
            StrPart::Str(_) | StrPart::Char(_) => Ok(()),
        }),
        Term::Arr(inner) => inner.iter_mut().try_for_each(|inner| adapt(inner)),
        Term::Obj(members) => members.iter_mut().try_for_each(|(name, value)| {
            adapt(name)?;
            value.iter_mut().try_for_each(adapt)
        }),
        Term::Neg(inner) | Term::Label(_, inner) => adapt(inner),
        Term::BinOp(left, operator, right) => {
            adapt(left)?;
            adapt(right)?;
            match operator {
                BinaryOp::Pipe(Some(pattern)) => adapt_pattern(pattern),
                BinaryOp::UpdateMath(Math::Mul) => {
                    Err(InvalidExpression("`*=` is not in this dialect: write `.a |= . * 2`".into()))
                }
                BinaryOp::Math(Math::Mul) => {
                    let sides = vec![std::mem::take(&mut **left), std::mem::take(&mut **right)];
                    *term = Term::Call(TIMES, sides);
                    Ok(())
                }
                _ => Ok(()),
            }
        }
        Term::Fold(_, over, pattern, rest) => {
            adapt(over)?;
            adapt_pattern(pattern)?;
            rest.iter_mut().try_for_each(adapt)
        }
        Term::TryCatch(inner, handler) => {
            adapt(inner)?;
            handler.iter_mut().try_for_each(|handler| adapt(handler))
        }
        Term::IfThenElse(branches, otherwise) => {
            branches.iter_mut().try_for_each(|(test, then)| {
                adapt(test)?;
                adapt(then)
            })?;
            otherwise.iter_mut().try_for_each(|otherwise| adapt(otherwise))
        }
        Term::Call(name, arguments) => {
            allowed(name, arguments.len())?;
            arguments.iter_mut().try_for_each(adapt)
        }
        Term::Path(from, Path(parts)) => {
            adapt(from)?;
            parts.iter_mut().try_for_each(|(part, _)| match part {
                Part::Index(index) => adapt(index),
                Part::Range(from, to) => from.iter_mut().chain(to).try_for_each(adapt),
            })
        }
    }
}

/// Whether a function may be called.
fn allowed(name: &str, arguments: usize) -> Result<(), InvalidExpression> {
    if NOT_THE_RECORD.contains(&name) {
        return Err(refused(name, "asks for more than the record holds"));
    }
    if ENDLESS.contains(&name) || (name == "recurse" && arguments > 0) {
        return Err(refused(name, "may never end"));
    }
    Ok(())
}

fn adapt_pattern(pattern: &mut Pattern<&str>) -> Result<(), InvalidExpression> {
    match pattern {
        Pattern::Var(_) => Ok(()),
        Pattern::Arr(patterns) => patterns.iter_mut().try_for_each(adapt_pattern),
        Pattern::Obj(members) => members.iter_mut().try_for_each(|(name, pattern)| {
            adapt(name)?;
            adapt_pattern(pattern)
        }),
    }
}

fn refused(name: &str, why: &str) -> InvalidExpression {
    InvalidExpression(format!("`{name}` {why}"))
}
