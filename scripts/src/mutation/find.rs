// SPDX-License-Identifier: GPL-2.0
//! Finds what can be mutated in a file.
//!
//! Constants are left alone: code that only a compiler runs cannot ask at run
//! time which mutant it is.

use anyhow::{Context as _, Result};
use proc_macro2::{Span, TokenStream};
use std::collections::BTreeSet;
use std::ops::Range;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{BinOp, Block, Expr, Lit, Pat, ReturnType, Signature, Stmt, Type, UnOp};

/// A place and what comes there instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The function that it is in, with the type that this belongs to.
    pub function: String,
    /// Its line.
    pub line: usize,
    /// What the mutation is, such as "== becomes !=: a == b".
    pub what: String,
    /// The bytes of the file that are replaced.
    pub range: Range<usize>,
    /// What they are replaced by.
    pub by: Replacement,
}

/// What a place becomes. The code that is there stays, for when another mutant
/// is the one that is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replacement {
    /// Another expression of the same type.
    Expression(Vec<Piece>),
    /// Nothing: the statement is left out.
    Nothing,
    /// A return right at the start of a function.
    Return(String),
    /// An arm of a match that does not match.
    NoMatch,
}

/// Part of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// New text.
    Text(String),
    /// What is in the file.
    Kept(Range<usize>),
}

/// Finds the mutations of a file.
pub fn find(text: &str) -> Result<Vec<Found>> {
    let file = syn::parse_file(text).context("it is not Rust")?;
    let mut finder = Finder {
        text,
        types: Vec::new(),
        functions: Vec::new(),
        found: Vec::new(),
    };
    finder.visit_file(&file);
    // The same change twice is one mutant.
    let mut seen = BTreeSet::new();
    finder
        .found
        .retain(|found| seen.insert((found.range.start, found.range.end, found.what.clone())));
    Ok(finder.found)
}

struct Finder<'a> {
    text: &'a str,
    types: Vec<String>,
    functions: Vec<String>,
    found: Vec<Found>,
}

fn range(node: &impl Spanned) -> Range<usize> {
    node.span().byte_range()
}

/// One line of at most so many characters.
fn abridged(text: &str) -> String {
    const MOST: usize = 60;
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

impl Finder<'_> {
    fn add(&mut self, span: Span, range: Range<usize>, what: String, by: Replacement) {
        // What is not in a function is a constant.
        let Some(function) = self.functions.last() else {
            return;
        };
        self.found.push(Found {
            function: function.clone(),
            line: span.start().line,
            what,
            range,
            by,
        });
    }

    fn expression(&mut self, node: &Expr, what: &str, pieces: Vec<Piece>) {
        let range = range(node);
        let what = format!("{what}: {}", abridged(&self.text[range.clone()]));
        self.add(node.span(), range, what, Replacement::Expression(pieces));
    }

    fn becomes(&mut self, node: &Expr, values: &[&str]) {
        for value in values {
            let what = format!("becomes {value}");
            self.expression(node, &what, vec![Piece::Text((*value).to_owned())]);
        }
    }

    /// A condition that does not depend on anything any more.
    fn condition(&mut self, condition: &Expr, values: &[&str]) {
        if !has_let(condition) {
            self.becomes(condition, values);
        }
    }

    fn function(&mut self, signature: &Signature, block: &Block) {
        // It may be for the compiler to run.
        if signature.constness.is_some() {
            return;
        }
        let mut name = self.types.concat();
        name.push_str(&signature.ident.to_string());
        self.functions.push(name);
        self.returns(signature, block);
        self.visit_block(block);
        self.functions.pop();
    }

    fn returns(&mut self, signature: &Signature, block: &Block) {
        let values: &[&str] = match &signature.output {
            // A single statement is left out as such.
            ReturnType::Default => match &block.stmts[..] {
                [] => return,
                [one] if is_deletable(one) => return,
                _ => &[""],
            },
            ReturnType::Type(_, returned) => values(returned),
        };
        let body = &self.text[range(block)];
        let body = body.trim_start_matches('{').trim_end_matches('}').trim();
        let body = body.to_owned();
        let start = block.brace_token.span.open().byte_range().end;
        for value in values.iter().filter(|value| **value != body) {
            let what = match *value {
                "" => "does nothing".to_owned(),
                value => format!("returns {value}"),
            };
            let by = Replacement::Return((*value).to_owned());
            self.add(signature.ident.span(), start..start, what, by);
        }
    }

    fn binary(&mut self, node: &Expr, binary: &syn::ExprBinary) {
        if has_let(node) {
            return;
        }
        for operator in others(&binary.op) {
            let (left, right) = (range(&binary.left), range(&binary.right));
            let was = &self.text[range(&binary.op)];
            let what = format!("{was} becomes {operator}");
            let pieces = vec![
                Piece::Kept(left),
                Piece::Text(format!(" {operator} ")),
                Piece::Kept(right),
            ];
            self.expression(node, &what, pieces);
        }
    }

    fn literal(&mut self, node: &Expr, literal: &Lit) {
        match literal {
            Lit::Bool(value) => self.becomes(node, &[if value.value { "false" } else { "true" }]),
            Lit::Int(value) => {
                if let Some(more) = value
                    .base10_parse::<u128>()
                    .ok()
                    .and_then(|n| n.checked_add(1))
                {
                    let more = format!("{more}{}", value.suffix());
                    self.becomes(node, &[&more]);
                }
            }
            _ => {}
        }
    }
}

/// Whether there is a `let` in a condition, which is no expression of its own.
fn has_let(condition: &Expr) -> bool {
    match condition {
        Expr::Let(_) => true,
        Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

/// Operators that may be there by mistake instead of this one. For bits that do
/// not overlap, `^` is as good as `|`, so it is not among them.
fn others(operator: &BinOp) -> &'static [&'static str] {
    match operator {
        BinOp::Eq(_) => &["!="],
        BinOp::Ne(_) => &["=="],
        BinOp::Lt(_) => &["<=", ">="],
        BinOp::Le(_) => &["<", ">"],
        BinOp::Gt(_) => &[">=", "<="],
        BinOp::Ge(_) => &[">", "<"],
        BinOp::And(_) => &["||"],
        BinOp::Or(_) => &["&&"],
        BinOp::BitAnd(_) => &["|"],
        BinOp::BitOr(_) => &["&"],
        BinOp::BitXor(_) => &["|", "&"],
        BinOp::Shl(_) => &[">>"],
        BinOp::Shr(_) => &["<<"],
        BinOp::Add(_) => &["-"],
        BinOp::Sub(_) => &["+"],
        BinOp::Mul(_) => &["+"],
        BinOp::Div(_) | BinOp::Rem(_) => &["*"],
        BinOp::BitAndAssign(_) => &["|="],
        BinOp::BitOrAssign(_) => &["&="],
        BinOp::BitXorAssign(_) => &["|=", "&="],
        BinOp::AddAssign(_) => &["-="],
        BinOp::SubAssign(_) => &["+="],
        _ => &[],
    }
}

/// Values that a function of this type may return by mistake. Those of a type
/// that turns out to have none do not compile.
fn values(returned: &Type) -> &'static [&'static str] {
    let Type::Path(path) = returned else {
        return &[];
    };
    let Some(last) = path.path.segments.last() else {
        return &[];
    };
    match last.ident.to_string().as_str() {
        "bool" => &["true", "false"],
        "u8" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64" => &["0", "1"],
        "Option" => &["None"],
        "Result" => &["Ok(())"],
        // A register.
        _ => &["0u64.into()"],
    }
}

/// Whether a statement can be left out, for all that the syntax says.
fn is_deletable(statement: &Stmt) -> bool {
    match statement {
        Stmt::Expr(expression, Some(_)) => matches!(
            expression,
            Expr::Assign(_) | Expr::Binary(_) | Expr::Call(_) | Expr::MethodCall(_) | Expr::Try(_)
        ),
        // What goes to the log is for people.
        Stmt::Macro(statement) => !statement
            .mac
            .path
            .segments
            .last()
            .is_some_and(|name| name.ident.to_string().starts_with("pr_")),
        _ => false,
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let tokens = match &attribute.meta {
            syn::Meta::List(list) => list.tokens.clone(),
            _ => TokenStream::new(),
        };
        attribute.path().is_ident("cfg") && tokens.to_string() == "test"
    })
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_test(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let name = match &*item.self_ty {
            Type::Path(path) => path.path.segments.last(),
            _ => None,
        };
        let name = name.map_or_else(String::new, |last| format!("{}::", last.ident));
        self.types.push(name);
        visit::visit_item_impl(self, item);
        self.types.pop();
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.types.push(format!("{}::", item.ident));
        visit::visit_item_trait(self, item);
        self.types.pop();
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
    }

    fn visit_block(&mut self, block: &'ast Block) {
        for statement in &block.stmts {
            if is_deletable(statement) {
                let range = range(statement);
                let what = format!("left out: {}", abridged(&self.text[range.clone()]));
                self.add(statement.span(), range, what, Replacement::Nothing);
            }
        }
        visit::visit_block(self, block);
    }

    fn visit_expr(&mut self, node: &'ast Expr) {
        match node {
            Expr::Binary(binary) => self.binary(node, binary),
            Expr::Unary(unary) if matches!(unary.op, UnOp::Not(_)) => {
                self.expression(node, "! left out", vec![Piece::Kept(range(&unary.expr))]);
            }
            Expr::Lit(literal) => self.literal(node, &literal.lit),
            Expr::If(branch) => self.condition(&branch.cond, &["true", "false"]),
            // With `true` it would not end.
            Expr::While(repeated) => self.condition(&repeated.cond, &["false"]),
            Expr::Macro(called) if called.mac.path.is_ident("matches") => {
                self.becomes(node, &["true", "false"]);
            }
            Expr::Match(matched) => self.arms(matched),
            // For the compiler to run.
            Expr::Const(_) | Expr::Repeat(_) => return,
            _ => {}
        }
        visit::visit_expr(self, node);
    }

    // In these, expressions are for the compiler to run.
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
    fn visit_generic_argument(&mut self, _: &'ast syn::GenericArgument) {}
    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_item_enum(&mut self, _: &'ast syn::ItemEnum) {}
    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}
    fn visit_trait_item_const(&mut self, _: &'ast syn::TraitItemConst) {}
    fn visit_type(&mut self, _: &'ast Type) {}

    fn visit_pat(&mut self, pattern: &'ast Pat) {
        if let Pat::Guard(guarded) = pattern {
            self.condition(&guarded.guard, &["true", "false"]);
            self.visit_expr(&guarded.guard);
        }
    }
}

impl Finder<'_> {
    /// Arms that are not there, where the last one takes what is left.
    fn arms(&mut self, matched: &syn::ExprMatch) {
        let takes_all = |arm: &syn::Arm| match &arm.pat {
            Pat::Wild(_) => true,
            // A constant or a variant, such as None, is written in capitals.
            Pat::Ident(pattern) => pattern.ident.to_string().starts_with(char::is_lowercase),
            _ => false,
        };
        let Some((last, others)) = matched.arms.split_last() else {
            return;
        };
        if !takes_all(last) {
            return;
        }
        for arm in others {
            // With a guard, that is mutated.
            if !matches!(&arm.pat, Pat::Guard(_)) {
                let pattern = range(&arm.pat);
                let what = format!("no arm for {}", abridged(&self.text[pattern.clone()]));
                let end = pattern.end;
                self.add(arm.pat.span(), end..end, what, Replacement::NoMatch);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let all = find(text).unwrap();
        all.into_iter()
            .map(|found| format!("{} {}", found.function, found.what))
            .collect()
    }

    #[test]
    fn operators_conditions_and_values_are_found() {
        let text =
            "impl A { fn f(a: u32) -> bool { if !(a == 1) && g() { return true; } a & 2 != 0 } }";
        assert_eq!(
            found(text),
            [
                "A::f returns true",
                "A::f returns false",
                "A::f becomes true: !(a == 1) && g()",
                "A::f becomes false: !(a == 1) && g()",
                "A::f && becomes ||: !(a == 1) && g()",
                "A::f ! left out: !(a == 1)",
                "A::f == becomes !=: a == 1",
                "A::f becomes 2: 1",
                "A::f becomes false: true",
                "A::f != becomes ==: a & 2 != 0",
                "A::f & becomes |: a & 2",
                "A::f becomes 3: 2",
                "A::f becomes 1: 0",
            ]
        );
    }

    #[test]
    fn statements_and_arms_are_left_out() {
        let text = "fn f(a: u32) { g(a); match a { 1 => h(), n if n > 2 => {} _ => a |= 4, } pr_warn!(\"x\"); let b = 5; }";
        assert_eq!(
            found(text),
            [
                "f does nothing",
                "f left out: g(a);",
                "f no arm for 1",
                "f becomes true: n > 2",
                "f becomes false: n > 2",
                "f > becomes >=: n > 2",
                "f > becomes <=: n > 2",
                "f becomes 3: 2",
                "f |= becomes &=: a |= 4",
                "f becomes 5: 4",
                "f becomes 6: 5",
            ]
        );
    }

    #[test]
    fn without_an_arm_that_takes_all_none_can_be_left_out() {
        let text = |last| format!("fn f() {{ match g() {{ A::B => h(), {last} => i() }} }}");
        assert_eq!(found(&text("None")), ["f does nothing"]);
        assert_eq!(
            found(&text("other")),
            ["f does nothing", "f no arm for A::B"]
        );
    }

    #[test]
    fn what_the_compiler_runs_stays() {
        for text in [
            "const A: u32 = 1 + 2;",
            "const fn f() -> u32 { 1 + 2 }",
            "fn f() { let a = [0; 1 + 2]; }",
            "fn f() { const { assert!(1 < 2) } }",
            "fn f(a: [u8; 1 + 2]) {}",
            "enum E { A = 1 + 2 }",
            "#[cfg(test)] mod tests { fn f() -> u32 { 1 } }",
        ] {
            let found: Vec<String> = found(text)
                .into_iter()
                .filter(|found| found != "f does nothing")
                .collect();
            assert!(found.is_empty(), "{text}: {found:?}");
        }
    }

    #[test]
    fn conditions_with_patterns_stay() {
        let text = "fn f(a: Option<u8>) { if let Some(b) = a { g(b) } }";
        assert_eq!(found(text), ["f does nothing"]);
    }
}
