//! Detectors: each turns a stream of samples into the news that something is wrong, or well again.
//!
//! They are small, pure and of fixed memory, and calculate in whole numbers, so that a replay tells the same on
//! every machine. A detector tells an *edge* once: [`Edge::Wrong`] when it becomes sure, [`Edge::Well`] when it is
//! sure of the opposite, and between the two it is silent (hysteresis). What it is told while this process was starved
//! says nothing about others: whoever feeds a detector asks [`Doubt`] first.

mod accrual;
mod backlog;
mod doubt;
mod forecast;
mod growth;
mod hold;
mod latency_shift;
mod learned;
mod loss_shift;
mod one_way;
mod payload;
mod standstill;
mod timeout;
mod trend;

pub use accrual::Accrual;
pub use backlog::Backlog;
pub use doubt::Doubt;
pub use forecast::Forecast;
pub use growth::{Growth, Leaks};
pub use hold::Hold;
pub use latency_shift::{LatencyShift, Tolerance};
pub(super) use learned::Slot;
pub use learned::{Learned, UNUSUAL_PERMILLE};
pub use loss_shift::LossShift;
pub use one_way::OneWay;
pub use payload::PayloadGap;
pub use standstill::Standstill;
pub use timeout::Timeout;
pub use trend::Trend;

use crate::incident::Evidence;

/// What a detector has become sure of.
#[derive(Clone, Debug, PartialEq)]
pub enum Edge {
    /// Something is wrong.
    Wrong(Evidence),
    /// It is well again.
    Well,
}
