//! What stands in for the program where the feature `ebpf` is off: nothing, which cannot be had.

use std::net::SocketAddr;

use prunella_core::Tag;

use super::{Attached, GuardedSource, KernelError, Observed};
use crate::datapath::counters::{Counters, LinkStats};
use crate::datapath::tables::Tables;

/// No value of it exists.
#[derive(Debug)]
pub(in crate::datapath) enum Kernel {}

impl Kernel {
    pub(super) fn load(_bound: SocketAddr) -> Result<Self, KernelError> {
        Err(KernelError::NotBuilt)
    }

    pub(super) fn attach(&self, _interfaces: &[String]) -> Result<Attached, KernelError> {
        match *self {}
    }

    pub(super) fn mirror(&self, _tables: &Tables, _is_impaired: bool) -> Result<(), String> {
        match *self {}
    }

    pub(super) fn detach(&self) {
        match *self {}
    }

    pub(super) fn add_to_counters(&self, _counters: &mut Counters) {
        match *self {}
    }

    pub(super) fn add_to_stats(&self, _stats: &mut [LinkStats]) {
        match *self {}
    }

    pub(super) fn attached(&self) -> Option<Attached> {
        match *self {}
    }

    pub(super) fn observed(&self) -> Vec<Observed> {
        match *self {}
    }

    pub(super) fn sent_anew(&self) -> Vec<(Tag, u64)> {
        match *self {}
    }

    pub(super) fn sources(&self) -> Vec<GuardedSource> {
        match *self {}
    }
}
