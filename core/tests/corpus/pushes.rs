//! Pushes of records for the corpus, as this build encodes and signs them.

use prunella_core::Label;
use prunella_core::identity::Identity;
use prunella_core::record::{
    Body, Equivocation, Kind, LIFE_BITS, LinkBody, LinksBody, Place, Record, RecordId, SignedRecord,
};
use prunella_core::wire::{Control, codec};

const UNIX_MS: u64 = 1_800_000_000_000;

/// Each by the name of its file.
pub(crate) fn pushes() -> [(&'static str, Vec<u8>); 6] {
    let me = Identity::from_secret(&[1; 32]);
    let single = said(&me, Kind::Service, "web", Body::Service).sign(&me).signed.clone();
    let batch = batch(&me);
    let mut bent = batch.clone();
    bent[1].path.as_mut().expect("it is one of three").index = 2;
    [
        ("push-single", push(vec![single.clone()])),
        ("push-batch", push(batch)),
        ("push-batch-bent", push(bent)),
        ("push-equivocation", push(vec![proof(&me)])),
        ("push-place", push(vec![place(&me)])),
        ("push-non-canonical", push(vec![non_canonical(&me, &single)])),
    ]
}

fn push(records: Vec<SignedRecord>) -> Vec<u8> {
    codec::encode_message(&Control::Push(records))
}

fn said(me: &Identity, kind: Kind, key: &str, body: Body) -> Record {
    Record {
        id: RecordId { origin: me.peer(), kind, key: key.to_owned() },
        version: UNIX_MS << LIFE_BITS,
        issued_ms: UNIX_MS,
        expires_ms: UNIX_MS + 60_000,
        body,
    }
}

fn batch(me: &Identity) -> Vec<SignedRecord> {
    let records = ["web", "api", "db"].map(|key| said(me, Kind::Service, key, Body::Service)).to_vec();
    Record::sign_batch(records, me).into_iter().map(|proven| proven.signed.clone()).collect()
}

fn proof(me: &Identity) -> SignedRecord {
    let liar = Identity::from_secret(&[2; 32]);
    let two = [Body::Service, Body::Withdrawn].map(|body| said(&liar, Kind::Service, "web", body).sign(&liar));
    let proof = Equivocation::of(&two[0], &two[1]).expect("it said two things at once");
    let key = liar.peer().to_string();
    said(me, Kind::Equivocation, &key, Body::Equivocation(Box::new(proof))).sign(me).signed.clone()
}

fn place(me: &Identity) -> SignedRecord {
    let host = Identity::from_secret(&[3; 32]);
    let link = LinkBody { neighbor: me.peer(), label: Label(7), rtt_us: 1500, loss_permille: 3 };
    let links = said(&host, Kind::Links, "", Body::Links(LinksBody { links: vec![link] })).sign(&host);
    let place = Place::of(&links, &me.peer()).expect("it is named there");
    said(me, Kind::Place, &host.peer().to_string(), Body::Place(Box::new(place))).sign(me).signed.clone()
}

/// The record's kind in three bytes instead of one, and signed so.
fn non_canonical(me: &Identity, record: &SignedRecord) -> SignedRecord {
    let (origin, rest) = record.bytes.split_at(32);
    let bytes = [origin, &[251, rest[0], 0], &rest[1..]].concat();
    let signature = me.sign(&[b"prunella record v1\0".as_slice(), &bytes].concat()).to_vec();
    SignedRecord { bytes, signature, path: None }
}
