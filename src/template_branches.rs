//! Marks the branches of a template, so that a test knows which of them were rendered.
//!
//! A template engine reports an unknown filter or variable only when it renders it. So a test that renders every branch finds all
//! of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The branches that were not rendered yet.
#[derive(Default)]
pub struct Branches {
    /// The marks with their places.
    left: BTreeMap<String, String>,
    count: usize,
}

impl Branches {
    /// Adds a mark to each branch: after `if`, `elif`, `else` and `for`, and on both sides of an `if` in an expression.
    ///
    /// # Panics
    /// If a tag has no end.
    pub fn mark(&mut self, name: &str, template: &str) -> String {
        let mut marked = String::with_capacity(template.len());
        let mut rest = template;
        while let Some(start) = rest.find("{%").into_iter().chain(rest.find("{{")).chain(rest.find("{#")).min() {
            let (before, tag) = rest.split_at(start);
            marked.push_str(before);
            let end = match &tag[..2] {
                "{%" => "%}",
                "{{" => "}}",
                _ => "#}",
            };
            let length = tag.find(end).unwrap_or_else(|| panic!("{name}: a tag without an end")) + end.len();
            let (tag, after) = tag.split_at(length);
            let content = tag[2..length - 2].trim_matches('-').trim();
            match end {
                "%}" => {
                    marked.push_str(tag);
                    let word = content.split(' ').next().unwrap_or_default();
                    if ["if", "elif", "else", "for"].contains(&word) {
                        marked.push_str(&self.next(name, tag));
                    }
                }
                "}}" => match either(content) {
                    Some((yes, condition, no)) => {
                        let (first, second) = (self.next(name, tag), self.next(name, tag));
                        let _ = write!(
                            marked,
                            "{{% if {condition} %}}{first}{{{{ {yes} }}}}{{% else %}}{second}{{{{ {no} }}}}{{% endif %}}"
                        );
                    }
                    None => marked.push_str(tag),
                },
                _ => {}
            }
            rest = after;
        }
        marked.push_str(rest);
        marked
    }

    fn next(&mut self, name: &str, tag: &str) -> String {
        self.count += 1;
        // Private-use characters: engines do not escape them, and no text has them.
        let mark = format!("\u{e000}{}\u{e001}", self.count);
        self.left.insert(mark.clone(), format!("{name}: {tag} (mark {})", self.count));
        mark
    }

    /// Notes the marks in a rendered text.
    pub fn rendered(&mut self, text: &str) {
        self.left.retain(|mark, _| !text.contains(mark.as_str()));
    }

    /// # Panics
    /// If a branch was never rendered.
    #[track_caller]
    pub fn assert_all_rendered(&self) {
        assert!(self.count > 0, "there is no branch");
        let left: Vec<_> = self.left.values().map(String::as_str).collect();
        assert!(left.is_empty(), "never rendered:\n{}", left.join("\n"));
    }
}

/// Returns the parts of `a if b else c`, if that is the whole expression.
fn either(expression: &str) -> Option<(&str, &str, &str)> {
    let (yes, rest) = expression.split_once(" if ")?;
    let (condition, no) = rest.split_once(" else ")?;
    let is_whole = |part: &str| part.matches('(').count() == part.matches(')').count();
    [yes, condition, no].into_iter().all(is_whole).then_some((yes, condition, no))
}

#[test]
fn each_side_of_each_condition_is_a_branch() {
    let template = "{# if #}{% if a %}1{% elif b %}2{% else %}3{% endif %}{% for c in d %}4{% else %}5{% endfor %}{{ e if f else g }}{{ h }}";
    let mut branches = Branches::default();
    let marked = branches.mark("t", template);
    assert_eq!(branches.count, 7);
    assert!(
        marked.contains("{% if f %}\u{e000}6\u{e001}{{ e }}{% else %}\u{e000}7\u{e001}{{ g }}{% endif %}"),
        "{marked}"
    );
    branches.rendered(&marked.replace("\u{e000}3\u{e001}", ""));
    assert_eq!(branches.left.values().collect::<Vec<_>>(), ["t: {% else %} (mark 3)"]);
}
