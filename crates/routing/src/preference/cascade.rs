//! stub
use super::{Route, Turn};
#[derive(Debug)]
pub struct Cascade;
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    pub route: Option<usize>,
    pub confidence: f32,
    pub scores: Vec<(usize, f32)>,
    pub none_probability: f32,
    pub scorer: ScorerKind,
    pub reason: String,
    pub notes: Vec<String>,
}
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ScorerKind {
    Embedded,
}
impl ScorerKind {
    pub fn name(self) -> &'static str {
        ""
    }
}
#[derive(Debug)]
pub struct Question {
    pub body: Vec<u8>,
}
#[derive(Debug)]
pub enum Step {
    Ask(Question),
    Decided(Verdict),
}
#[derive(Debug, Clone)]
pub enum Failure {
    Deadline,
    Status(u16),
    Unreachable(String),
}
impl Cascade {
    pub fn new(_: Vec<Route>, _: Option<String>) -> Self {
        Self
    }
    pub fn start(&self, _: &[Turn<'_>]) -> Step {
        todo!()
    }
    pub fn resume(&self, _: Question, _: Result<&[u8], Failure>) -> Step {
        todo!()
    }
    pub fn scorers(&self) -> impl Iterator<Item = ScorerKind> {
        std::iter::empty()
    }
}
