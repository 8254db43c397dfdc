//! Incidents, as people are told of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that was wrong, and what was done about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IncidentInfo {
    /// Its number on this node.
    pub id: u64,
    /// What kind of thing is wrong, such as `link-down`, `path-lost` or `actor-failed`.
    pub kind: String,
    /// Whom or what it concerns.
    pub subject: String,
    /// How bad it is: `notice`, `minor`, `major` or `critical`; empty if an earlier version wrote it down.
    pub severity: String,
    /// What was seen.
    pub evidence: String,
    /// Since when, in milliseconds since the Unix epoch.
    pub opened_unix_ms: u64,
    /// How long it lasted, in milliseconds; `None` while it is open.
    pub lasted_ms: Option<u64>,
    /// The incident that it follows from, if it was found to follow from one.
    pub follows_from: Option<u64>,
    /// The incidents that follow from it.
    pub explains: Vec<u64>,
    /// How long each phase took.
    pub phases: PhaseInfo,
    /// What was found out, planned and tried, oldest first.
    pub actions: Vec<ActionInfo>,
}

/// How long each phase of an incident took, in microseconds. What has not happened, or cannot be told, is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseInfo {
    /// From the last sign that all was well until it was noticed.
    pub detect_us: Option<u64>,
    /// From noticing it until it was known what it follows from.
    pub analyze_us: Option<u64>,
    /// From noticing it until the last plan was made.
    pub plan_us: Option<u64>,
    /// From that plan until its last step was begun: what the steps before it cost.
    pub execute_us: Option<u64>,
    /// From there until it was measured that the incident is over.
    pub verify_us: Option<u64>,
}

/// Something that was done about an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActionInfo {
    /// How long after the incident was noticed, in microseconds.
    pub after_us: u64,
    /// In which phase: `analyze`, `plan`, `execute`, `verify` or `escalate`.
    pub phase: String,
    /// What, in words. A plan names its candidates with the numbers of their ranking, the best first, with `; ` between.
    pub what: String,
}
