//! What a command comes to, and its exit status. Fixed by the design's section 11; scripts depend on it.

use lifeboat_core::Error;

/// How a command ended, where that is no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It succeeded: 0.
    Success,
    /// The run failed or was cancelled: 1.
    RunFailed,
    /// An objective is not met, or nobody can tell; there are differences, or branches that nobody handles: 1.
    NotMet,
    /// Evidence does not prove what it is to prove: 1.
    NotVerified,
    /// The runbook was refused, and the diagnostics are printed: 2.
    Refused,
    /// The run waits for a person: 3.
    Waits,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::RunFailed | Exit::NotMet | Exit::NotVerified => 1,
            Exit::Refused => 2,
            Exit::Waits => 3,
        }
    }
}

/// The exit status of an error: 2 where the person can mend it (usage, runbook, operator file, an impossible verb),
/// 1 where a server does not do what it is asked, 4 else.
pub fn code_of(error: &Error) -> u8 {
    let family = error.code.0.get(2..4).unwrap_or_default();
    match family {
        "01" | "02" | "03" | "04" | "09" => 2,
        "05" if error.code.0 != "LB0503" => 2,
        "06" if matches!(&*error.code.0, "LB0601" | "LB0608" | "LB0615" | "LB0616" | "LB0617" | "LB0619") => 2,
        // The command is right, and the world is not: a server is away, or it does not take the key.
        "07" if matches!(&*error.code.0, "LB0723" | "LB0724" | "LB0740" | "LB0760") => 1,
        "07" if matches!(&*error.code.0, "LB0701" | "LB0702" | "LB0707" | "LB0710") => 2,
        "10" if !matches!(&*error.code.0, "LB1066" | "LB1071") => 2,
        "11" if matches!(&*error.code.0, "LB1120" | "LB1121" | "LB1129" | "LB1130" | "LB1131") => 2,
        // Drills, plans that were saved, attestations.
        "11" if &*error.code.0 >= "LB1150" && error.code.0 != "LB1194" => 2,
        // A run that is to go on in another mode.
        "12" if ("LB1220"..="LB1228").contains(&&*error.code.0) => 2,
        "08" if matches!(&*error.code.0, "LB0801" | "LB0802" | "LB0804" | "LB0810" | "LB0811") => 2,
        _ => 4,
    }
}
