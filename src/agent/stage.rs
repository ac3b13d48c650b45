//! What an agent is told beside its brief where it plans before it builds.
//!
//! **Invariant:** stands before the preamble and leaves preamble and brief as they are. Must not
//! know: how its answer is read.

/// Which part of the work a start is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage<'a> {
    /// All of it.
    Whole,
    /// Only the plan.
    Plan {
        /// Where an agent may write it that cannot say it.
        file: &'a str,
    },
    /// What a person approved.
    Approved {
        /// The plan; may be empty.
        plan: &'a str,
    },
}

/// A prompt for this part.
#[must_use]
pub fn prompt(stage: Stage<'_>, prompt: String) -> String {
    match stage {
        Stage::Whole => prompt,
        Stage::Plan { file } => format!(
            "Only plan for now, and change nothing in the repository. Work out how to carry out the brief below, then \
             end your turn with the plan: through your plan tool if you have one, else as your last message, and only \
             if neither can be read as Markdown in {file}. A person reads it, then lets you build or tells you what to \
             change.\n\n{prompt}"
        ),
        Stage::Approved { plan } if plan.is_empty() => format!("Your plan is approved: carry it out.\n\n{prompt}"),
        Stage::Approved { plan } => {
            format!("Your plan is approved: carry it out. This is it:\n\n{plan}\n\n---\n\n{prompt}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brief_stays_as_it_is_at_the_end() {
        for stage in [Stage::Whole, Stage::Plan { file: "/x/plan.md" }, Stage::Approved { plan: "1. do" }] {
            assert!(prompt(stage, "BRIEF\n".into()).ends_with("BRIEF\n"), "{stage:?}");
        }
        assert!(prompt(Stage::Plan { file: "/x/plan.md" }, String::new()).contains("Markdown in /x/plan.md."));
        assert!(prompt(Stage::Approved { plan: "1. do" }, String::new()).contains("\n1. do\n"));
    }
}
