//! `portbook doctor`: is this machine fit, and what to change.

mod findings;
mod self_test;

use serde::Serialize;

use super::{Answer, Ending, configure};
use crate::arguments::{Doctor, Global};
use crate::output::{BAD, FAINT, GOOD, NOTABLE, Output};
use crate::progress::Progress;

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Health {
    /// As it should be.
    Fine,
    /// It works, with something to know or to change.
    Warning,
    /// It does not work.
    Unfit,
}

/// What the doctor found on one matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    matter: &'static str,
    health: Health,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Finding {
    fn fine(matter: &'static str, message: impl Into<String>) -> Self {
        Self {
            matter,
            health: Health::Fine,
            message: message.into(),
            remedy: None,
        }
    }

    fn warning(
        matter: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            matter,
            health: Health::Warning,
            message: message.into(),
            remedy: Some(remedy.into()),
        }
    }

    fn unfit(matter: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            health: Health::Unfit,
            ..Self::warning(matter, message, remedy)
        }
    }

    fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// Tells how the machine stands; the answer is no where something makes it unfit.
pub(crate) fn run(arguments: &Doctor, global: &Global, output: &Output) -> Ending {
    let configuration = configure(global)?;
    let findings = if arguments.self_test {
        let progress = Progress::of(output, "testing on a temporary book");
        let findings = self_test::findings()?;
        drop(progress);
        findings
    } else {
        findings::of_machine(&configuration)
    };
    if output.is_json() {
        output.answer_json(&findings)?;
    } else {
        output.answer(&report(&findings))?;
    }
    let unfit = findings
        .iter()
        .any(|finding| finding.health == Health::Unfit);
    Ok(if unfit { Answer::No } else { Answer::Yes })
}

fn report(findings: &[Finding]) -> String {
    let width = findings
        .iter()
        .map(|finding| finding.matter.len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for finding in findings {
        let (style, mark) = match finding.health {
            Health::Fine => (GOOD, "ok  "),
            Health::Warning => (NOTABLE, "warn"),
            Health::Unfit => (BAD, "FAIL"),
        };
        let (matter, message) = (finding.matter, &finding.message);
        text.push_str(&format!(
            "{style}{mark}{style:#} {matter:width$}  {message}\n"
        ));
        for line in finding.remedy.iter().flat_map(|remedy| remedy.lines()) {
            text.push_str(&format!("     {:width$}  {FAINT}{line}{FAINT:#}\n", ""));
        }
    }
    text
}
