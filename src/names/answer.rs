//! What is answered to a question: no socket, no clock (RFC 1034, section 4.3.2, for a zone without cuts).

use std::net::Ipv6Addr;

use simple_dns::rdata::{AAAA, PTR, RData, SOA};
use simple_dns::{CLASS, Name, OPCODE, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, ResourceRecord, TYPE};

/// Who is called what.
pub trait Directory: Send + Sync {
    /// The addresses of the node with this name or peer id, if there is just one; else of the nodes that provide the service
    /// with this name.
    fn addresses(&self, name: &str) -> Vec<Ipv6Addr>;

    /// The name of the node at this address.
    fn name_at(&self, address: Ipv6Addr) -> Option<String>;
}

/// What the responder speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    domain: Vec<String>,
}

/// What was found for a name.
enum Found {
    /// These, which may be none: the name is there, but has nothing of the kind.
    Records(Vec<RData<'static>>),
    /// There is no such name.
    Nothing,
    /// It is none of ours.
    Elsewhere,
}

impl Zone {
    /// The zone of this domain, which may have several labels.
    pub fn new(domain: &str) -> Self {
        Self { domain: domain.split('.').map(str::to_ascii_lowercase).collect() }
    }

    /// The labels before the domain, in lower case; `None` if the name is not in it.
    fn labels(&self, name: &Name<'_>) -> Option<Vec<String>> {
        let labels: Vec<String> =
            name.get_labels().iter().map(|label| label.to_string().to_ascii_lowercase()).collect();
        let at = labels.len().checked_sub(self.domain.len())?;
        (labels[at..] == self.domain).then(|| labels[..at].to_vec())
    }

    fn full(&self, name: &str) -> Option<Name<'static>> {
        Name::new(&format!("{name}.{}", self.domain.join("."))).ok().map(Name::into_owned)
    }
}

/// The answer to `query`, of at most `bytes_max` bytes: one that does not fit says so. `None` if it is nothing that could be
/// answered.
pub fn answer(query: &[u8], zone: &Zone, directory: &dyn Directory, bytes_max: usize) -> Option<Vec<u8>> {
    let Ok(asked) = Packet::parse(query) else { return malformed(query) };
    if asked.has_flags(PacketFlag::RESPONSE) {
        return None;
    }
    let mut reply = Packet::new_reply(asked.id());
    *reply.opcode_mut() = asked.opcode();
    reply.questions.extend(asked.questions.first().cloned());
    if asked.has_flags(PacketFlag::RECURSION_DESIRED) {
        reply.set_flags(PacketFlag::RECURSION_DESIRED);
    }
    match (&asked.questions[..], asked.opcode()) {
        ([question], OPCODE::StandardQuery) => resolve(question, zone, directory, &mut reply),
        ([_], _) => *reply.rcode_mut() = RCODE::NotImplemented,
        _ => *reply.rcode_mut() = RCODE::FormatError,
    }
    let bytes = reply.build_bytes_vec_compressed().ok()?;
    if bytes.len() <= bytes_max {
        return Some(bytes);
    }
    reply.answers.clear();
    reply.set_flags(PacketFlag::TRUNCATION);
    reply.build_bytes_vec_compressed().ok()
}

/// The answer to what cannot be read, if at least its number can.
fn malformed(query: &[u8]) -> Option<Vec<u8>> {
    let id = u16::from_be_bytes(*query.first_chunk()?);
    // One whose header cannot be read may be an answer: two of us must not answer each other for ever.
    if query.len() < 12 || query[2] & 0x80 != 0 {
        return None;
    }
    let mut reply = Packet::new_reply(id);
    *reply.rcode_mut() = RCODE::FormatError;
    reply.build_bytes_vec().ok()
}

fn resolve<'a>(question: &Question<'a>, zone: &Zone, directory: &dyn Directory, reply: &mut Packet<'a>) {
    let is_internet = matches!(question.qclass, QCLASS::CLASS(CLASS::IN) | QCLASS::ANY);
    let found = if is_internet { find(question, zone, directory) } else { Found::Elsewhere };
    let records = match found {
        Found::Elsewhere => return *reply.rcode_mut() = RCODE::Refused,
        Found::Nothing => {
            *reply.rcode_mut() = RCODE::NameError;
            Vec::new()
        }
        Found::Records(records) => records,
    };
    reply.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
    if records.is_empty() {
        reply.name_servers.extend(authority(zone));
    }
    let record = |data| ResourceRecord::new(question.qname.clone(), CLASS::IN, TTL_SECONDS, data);
    reply.answers.extend(records.into_iter().map(record));
}

fn find(question: &Question<'_>, zone: &Zone, directory: &dyn Directory) -> Found {
    let wants = |of: TYPE| question.qtype == QTYPE::TYPE(of) || question.qtype == QTYPE::ANY;
    if let Some(address) = reverse(&question.qname) {
        let name = directory.name_at(address).and_then(|name| zone.full(&name));
        return match name {
            Some(name) if wants(TYPE::PTR) => Found::Records(vec![RData::PTR(PTR(name))]),
            Some(_) => Found::Records(Vec::new()),
            None => Found::Nothing,
        };
    }
    let Some(labels) = zone.labels(&question.qname) else { return Found::Elsewhere };
    match labels.as_slice() {
        [] => Found::Records(
            authority(zone).filter(|_| wants(TYPE::SOA)).map(|record| record.rdata).into_iter().collect(),
        ),
        [name] => match directory.addresses(name) {
            addresses if addresses.is_empty() => Found::Nothing,
            addresses if wants(TYPE::AAAA) => {
                Found::Records(addresses.into_iter().map(|address| RData::AAAA(AAAA::from(address))).collect())
            }
            _ => Found::Records(Vec::new()),
        },
        _ => Found::Nothing,
    }
}

/// The overlay address that a name below `ip6.arpa` stands for (RFC 3596, section 2.5).
fn reverse(name: &Name<'_>) -> Option<Ipv6Addr> {
    let labels: Vec<String> = name.get_labels().iter().map(|label| label.to_string().to_ascii_lowercase()).collect();
    let (digits, domain) = labels.split_at_checked(32)?;
    if domain != ["ip6", "arpa"] {
        return None;
    }
    let digit = |label: &String| (label.len() == 1).then(|| u128::from_str_radix(label, 16).ok()).flatten();
    let bits = digits.iter().rev().try_fold(0u128, |bits, label| Some(bits << 4 | digit(label)?))?;
    let address = Ipv6Addr::from_bits(bits);
    prunella_core::Tag::from_address(&address).map(|_| address)
}

/// What says how long it may be remembered that there is nothing (RFC 2308, section 3).
fn authority(zone: &Zone) -> Option<ResourceRecord<'static>> {
    let name = Name::new(&zone.domain.join(".")).ok()?.into_owned();
    let soa = SOA {
        mname: name.clone(),
        rname: name.clone(),
        serial: 1,
        refresh: 60,
        retry: 60,
        expire: 3600,
        minimum: TTL_SECONDS,
    };
    Some(ResourceRecord::new(name, CLASS::IN, TTL_SECONDS, RData::SOA(soa)))
}

/// How long an answer may be remembered: nodes come and go.
const TTL_SECONDS: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    struct Two;

    const ADA: Ipv6Addr = Ipv6Addr::new(0xfd70, 0x7275, 0x6e65, 0, 0, 0, 0, 0xa);
    const BEA: Ipv6Addr = Ipv6Addr::new(0xfd70, 0x7275, 0x6e65, 0, 0, 0, 0, 0xb);

    impl Directory for Two {
        fn addresses(&self, name: &str) -> Vec<Ipv6Addr> {
            match name {
                "ada" => vec![ADA],
                "web" => vec![ADA, BEA],
                "many" => vec![BEA; 100],
                _ => Vec::new(),
            }
        }

        fn name_at(&self, address: Ipv6Addr) -> Option<String> {
            (address == ADA).then(|| "ada".to_owned())
        }
    }

    fn ask(name: &str, kind: TYPE) -> Packet<'static> {
        let mut query = Packet::new_query(7);
        query.questions.push(Question::new(Name::new(name).unwrap(), kind.into(), CLASS::IN.into(), false));
        let bytes = answer(&query.build_bytes_vec().unwrap(), &Zone::new("mesh"), &Two, 512).unwrap();
        let reply = Packet::parse(Vec::leak(bytes)).unwrap();
        assert_eq!((reply.id(), reply.questions.len()), (7, 1));
        reply
    }

    #[test]
    fn a_name_has_its_addresses_and_nothing_of_another_kind() {
        let found = ask("Ada.mesh", TYPE::AAAA);
        assert_eq!(found.answers[0].rdata, RData::AAAA(AAAA::from(ADA)));
        assert!(found.has_flags(PacketFlag::AUTHORITATIVE_ANSWER));
        let four = ask("ada.mesh", TYPE::A);
        assert_eq!((four.rcode(), four.answers.len(), four.name_servers.len()), (RCODE::NoError, 0, 1));
        assert_eq!(ask("web.mesh", TYPE::AAAA).answers.len(), 2);
    }

    #[test]
    fn there_is_no_such_name_or_it_is_none_of_ours() {
        assert_eq!(ask("eve.mesh", TYPE::AAAA).rcode(), RCODE::NameError);
        assert_eq!(ask("a.b.mesh", TYPE::AAAA).rcode(), RCODE::NameError);
        for name in ["ada.example", "ada.meshes", "example.org"] {
            assert_eq!(ask(name, TYPE::AAAA).rcode(), RCODE::Refused, "{name}");
        }
    }

    #[test]
    fn addresses_have_names() {
        let arpa = |address: Ipv6Addr| {
            let digits = format!("{:032x}", address.to_bits());
            digits.chars().rev().map(|digit| format!("{digit}.")).collect::<String>() + "ip6.arpa"
        };
        let RData::PTR(PTR(name)) = &ask(&arpa(ADA), TYPE::PTR).answers[0].rdata else { panic!() };
        assert_eq!(name.to_string(), "ada.mesh");
        assert_eq!(ask(&arpa(BEA), TYPE::PTR).rcode(), RCODE::NameError);
        assert_eq!(ask(&arpa(Ipv6Addr::LOCALHOST), TYPE::PTR).rcode(), RCODE::Refused);
    }

    #[test]
    fn what_does_not_fit_is_asked_for_again_over_tcp() {
        let reply = ask("many.mesh", TYPE::AAAA);
        assert!(reply.has_flags(PacketFlag::TRUNCATION) && reply.answers.is_empty());
    }

    #[test]
    fn garbage_is_answered_as_such_and_answers_are_not_answered() {
        let zone = Zone::new("mesh");
        let mut garbage = vec![0; 12];
        garbage[5] = 9;
        let reply = answer(&garbage, &zone, &Two, 512).unwrap();
        assert_eq!(Packet::parse(&reply).unwrap().rcode(), RCODE::FormatError);
        garbage[2] = 0x80;
        assert_eq!(answer(&garbage, &zone, &Two, 512), None);
        assert_eq!(answer(&Packet::new_reply(1).build_bytes_vec().unwrap(), &zone, &Two, 512), None);
        for length in 0..12 {
            assert_eq!(answer(&garbage[..length], &zone, &Two, 512), None);
        }
    }
}
