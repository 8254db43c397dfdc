//! What the node answers about the records that it holds.

use data_encoding::HEXLOWER;
use prunella_core::Verified;
use prunella_core::gossip::Wanted;
use prunella_core::record::{Body, Kind, ProvenRecord, RecordId};

use super::answers::{Answers, CALL_PATIENCE, answered, away};
use super::error::{Error, ErrorKind};
use super::page::page;
use super::vocabulary::{RecordDetail, RecordInfo, RecordName, Response};
use crate::messages::{GossipQuery, Mail};

impl Answers {
    /// As many records as fit an answer, after the one named.
    pub(super) async fn records(
        &self,
        node: Option<&str>,
        kind: Option<&str>,
        after: Option<RecordName>,
    ) -> Result<Response, Error> {
        let origin = node.map(|node| self.find(node)).transpose()?;
        let kind = kind.map(kind_named).transpose()?;
        let wanted = Wanted { origin, kind, after: after.and_then(|name| name.id()), most: PER_PAGE_MAX + 1 };
        let actor = self.shell().directory.gossip().ok_or_else(|| away("gossip"))?;
        let query = |reply| Mail::Query(GossipQuery::Records { wanted, reply });
        let mut held = answered(actor.call(query, Some(CALL_PATIENCE)).await, "gossip")?;
        let is_cut = held.len() > PER_PAGE_MAX;
        held.truncate(PER_PAGE_MAX);
        let (records, more) = page(held.iter().map(|(proven, endorsed)| self.record_info(proven, *endorsed)));
        Ok(Response::Records { records, more: more || is_cut })
    }

    /// The whole of a record.
    pub(super) async fn record(&self, text: &str) -> Result<Response, Error> {
        let id = self.record_id(text)?;
        let actor = self.shell().directory.gossip().ok_or_else(|| away("gossip"))?;
        let query = |reply| Mail::Query(GossipQuery::Record { id, reply });
        let held = answered(actor.call(query, Some(CALL_PATIENCE)).await, "gossip")?;
        let (proven, endorsed) = held.ok_or_else(|| {
            let text = format!("no record {text} is held; `prunella records` lists those that are");
            Error::new(ErrorKind::InvalidInput, text)
        })?;
        Ok(Response::Record(Box::new(self.detail(&proven, endorsed))))
    }

    fn record_id(&self, text: &str) -> Result<RecordId, Error> {
        let mut parts = text.splitn(3, '/');
        let (node, kind, key) = (parts.next().unwrap_or_default(), parts.next(), parts.next().unwrap_or_default());
        let kind = kind.ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, format!("{text:?} is no record's id: NODE/KIND or NODE/KIND/KEY"))
        })?;
        Ok(RecordId { origin: self.find(node)?, kind: kind_named(kind)?, key: key.to_owned() })
    }

    fn record_info(&self, proven: &Verified<ProvenRecord>, endorsed: bool) -> RecordInfo {
        let record = &proven.record;
        RecordInfo {
            id: RecordName::of(&record.id),
            name: self.shell().known.name(&record.id.origin),
            version: record.version,
            issued_unix_ms: record.issued_ms,
            expires_unix_ms: record.expires_ms,
            bytes: proven.signed.wire_bytes(),
            signatures: 1 + u8::from(endorsed),
            in_batch: proven.signed.path.is_some(),
            withdrawn: record.body == Body::Withdrawn,
        }
    }

    fn detail(&self, proven: &Verified<ProvenRecord>, endorsed: bool) -> RecordDetail {
        let value = |value: Result<serde_json::Value, _>| value.expect("BUG: every record has a JSON form");
        RecordDetail {
            info: self.record_info(proven, endorsed),
            body: value(serde_json::to_value(&proven.record.body)),
            item: HEXLOWER.encode(&proven.item.0),
            signed: HEXLOWER.encode(&proven.signed.bytes),
            signature: HEXLOWER.encode(&proven.signed.signature),
            path: value(serde_json::to_value(&proven.signed.path)),
        }
    }
}

fn kind_named(name: &str) -> Result<Kind, Error> {
    Kind::named(name).ok_or_else(|| {
        let names = Kind::ALL.map(Kind::name).join(", ");
        Error::new(ErrorKind::InvalidInput, format!("there are no records of the kind {name:?}: {names}"))
    })
}

/// Records that the actor hands out at once, at most: about as many as fit an answer.
const PER_PAGE_MAX: usize = 1024;
