//! What is measured, once for all who measure it: the program `counts` counts instructions of each case, `cargo bench`
//! its time, and a test the allocations of some.
#![expect(clippy::expect_used, reason = "it reads what it wrote itself")]

pub mod input;

mod dialects;
mod routing;

use std::fmt;
use std::hint::black_box;

/// What a case does again and again.
pub type Work = Box<dyn FnMut()>;

/// One thing that is measured.
pub struct Case {
    /// What it is called, such as `peek/openai_chat/32k`.
    pub name: String,
    prepare: Box<dyn Fn() -> Work>,
}

impl Case {
    /// A case whose input is made by `prepare`, which does not count, and lives as long as the program: then work can
    /// borrow it.
    fn new<I: 'static, O>(
        name: impl Into<String>,
        prepare: impl Fn() -> I + 'static,
        work: impl Fn(&'static I) -> O + Copy + 'static,
    ) -> Self {
        let prepare = move || -> Work {
            let input: &'static I = Box::leak(Box::new(prepare()));
            Box::new(move || {
                black_box(work(black_box(input)));
            })
        };
        Self { name: name.into(), prepare: Box::new(prepare) }
    }

    /// Makes the input.
    #[must_use]
    pub fn prepare(&self) -> Work {
        (self.prepare)()
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Every case, in the order in which a request meets them.
#[must_use]
pub fn cases() -> Vec<Case> {
    let mut cases = dialects::requests();
    cases.extend(routing::cases());
    cases.extend(dialects::translated_requests());
    cases.extend(dialects::answers());
    cases.extend(dialects::streams());
    cases
}

/// Runs the work once. `counts` finds this function by its name, so it is one of its own.
#[inline(never)]
pub fn counted_work(work: &mut Work) {
    work();
    // Not the last thing here: a jump into the work would not be a call.
    black_box(());
}
