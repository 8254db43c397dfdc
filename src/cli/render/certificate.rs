//! Certificates, and what the authority of the mesh has said.

use super::page::Page;
use super::quantity::{moment, round_trip, span};
use super::table::{Column, Table};
use crate::api::vocabulary::{CertificateInfo, CertificatesInfo, HandshakeInfo, SmokeInfo, StatementInfo};

pub(super) fn list(info: &CertificatesInfo, now_unix_ms: u64, page: &mut Page) {
    let mut table = Table::new(["ROLE", "NAME", "ALGORITHM", "EXPIRES", "IN", "PROBLEM"].map(Column::Left));
    for certificate in &info.certificates {
        let CertificateInfo { role, name, algorithm, until_unix, problem, .. } = certificate;
        let left_ms = (until_unix * 1000).saturating_sub(now_unix_ms);
        let problem = problem.clone().unwrap_or_default();
        let expires = moment(until_unix * 1000);
        table.row([role.clone(), name.clone(), algorithm.clone(), expires, span(left_ms), problem]);
    }
    table.write(page, "no certificate");
    for StatementInfo { at_unix, kind, subject, name, reason } in &info.statements {
        let short: String = subject.chars().take(10).collect();
        let named = if name.is_empty() || *name == short { String::new() } else { format!(" ({name})") };
        let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        page.line(&format!("{}  {short}{named} {kind}{reason}", moment(at_unix * 1000)));
    }
}

pub(super) fn one(info: &CertificateInfo, page: &mut Page) {
    page.line(&format!("{} {}", info.role, info.name));
    page.line(&format!("  algorithm    {}", info.algorithm));
    page.line(&format!("  spiffe id    {}", info.spiffe_id));
    page.line(&format!("  valid        {} to {}", moment(info.from_unix * 1000), moment(info.until_unix * 1000)));
    page.line(&format!("  fingerprint  {}", info.fingerprint));
    page.line(&format!("  problem      {}", info.problem.as_deref().unwrap_or("none")));
}

pub(super) fn smoke(info: &SmokeInfo, page: &mut Page) {
    page.line(&format!("{} at {}", info.peer, info.address));
    info.certificates.iter().for_each(|certificate| one(certificate, page));
    for HandshakeInfo { offered, took_us, sent_bytes, received_bytes, refused, ok } in &info.handshakes {
        let outcome = match (took_us, refused) {
            (Some(took_us), _) => {
                let took = round_trip(*took_us);
                format!("accepted in {took}, {sent_bytes} bytes sent, {received_bytes} received")
            }
            (None, reason) => format!("refused: {}", reason.as_deref().unwrap_or("no reason is told")),
        };
        page.line(&format!("{} {offered}: {outcome}", if *ok { "ok " } else { "BAD" }));
    }
}

pub(super) fn problems(problems: &[String], page: &mut Page) {
    problems.iter().for_each(|problem| page.line(problem));
    if problems.is_empty() {
        page.line("nothing is wrong with the certificates that this node sees");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_and_statements_are_listed() {
        let certificate = CertificateInfo {
            role: "node".into(),
            name: "a".into(),
            peer: None,
            algorithm: "ed25519".into(),
            spiffe_id: "spiffe://lab/node/x".into(),
            from_unix: 1_800_000_000,
            until_unix: 1_800_086_400,
            fingerprint: "ab".repeat(32),
            problem: None,
        };
        let statement = StatementInfo {
            at_unix: 1_800_000_000,
            kind: "revoked".into(),
            subject: "lentaaaaaaaaaaaa".into(),
            name: "b".into(),
            reason: "stolen".into(),
        };
        let info = CertificatesInfo { certificates: vec![certificate], statements: vec![statement], problems: vec![] };
        let mut page = Page::default();
        list(&info, 1_800_000_000_000, &mut page);
        let expected = "\
ROLE  NAME  ALGORITHM  EXPIRES               IN       PROBLEM
node  a     ed25519    2027-01-16 08:00:00Z  1 d 0 h  -
2027-01-15 08:00:00Z  lentaaaaaa (b) revoked: stolen
";
        assert_eq!(page.into_text(), expected);
    }
}
