//! This node's certificate: an incident while less is left of it than there should be.

use std::time::Duration;

use super::{Effect, Monitor};
use crate::Instant;
use crate::incident::{Evidence, IncidentKind};

impl Monitor {
    pub(super) fn on_certificate_checked(
        &mut self,
        left: Duration,
        life: Duration,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if left * EXPIRES_SOON_PART < life {
            self.desk.raise(IncidentKind::CertificateExpiring, Evidence::Expiry { left }, now, effects);
        } else {
            self.desk.clear(&IncidentKind::CertificateExpiring, effects);
        }
    }
}

/// A certificate expires soon when less than this part of its life is left: it is renewed at half of it.
const EXPIRES_SOON_PART: u32 = 4;
