//! Shares of one.

use serde::{Deserialize, Serialize};

/// A share, written as a number from 0 to 1; kept in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "f64", try_from = "f64")]
pub struct Share {
    /// How many of a million.
    pub millionths: u32,
}

impl TryFrom<f64> for Share {
    type Error = &'static str;

    fn try_from(share: f64) -> Result<Self, Self::Error> {
        let millionths = (share * 1e6).round();
        // Not a number is not in the range either.
        if (0.0..=1e6).contains(&millionths) {
            Ok(Self { millionths: millionths as u32 })
        } else {
            Err("a share is 0 to 1")
        }
    }
}

impl From<Share> for f64 {
    fn from(share: Share) -> Self {
        Self::from(share.millionths) / 1e6
    }
}
