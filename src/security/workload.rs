//! Workloads of SPIFFE trust domains: on whose word one is believed, and how a host proves that it runs one.
//!
//! An X.509-SVID has a key of its own, which is no node's. It is shown once, when its host asks to be admitted; after that
//! the node is its Ed25519 key, as every other, and its certificate says as which workload it came.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use data_encoding::BASE64;
use prunella_core::PeerId;
use prunella_core::limits::{
    BUNDLE_CERTIFICATES_MAX, BUNDLE_FILE_BYTES_MAX, SVID_BYTES_MAX, SVID_CHAIN_MAX, TRUST_DOMAINS_MAX,
};
use prunella_core::wire::admission::Refusal;
use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, SignatureVerificationAlgorithm, UnixTime};
use rustls::sign::SigningKey;
use serde::Deserialize;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert, aws_lc_rs as algorithms};

use crate::security::certificate::{only_uri, refused};
use crate::security::{Refused, SecurityError, TrustDomain, WorkloadId};

/// The SPIFFE trust domains on whose word this node, as an issuer, may admit hosts: what it knows of their authorities.
/// That one is known lets nobody in: policy decides that.
#[derive(Debug, Default)]
pub struct Federation {
    /// Files that an operator names; they count instead of what an agent says about the same trust domain.
    files: Vec<(TrustDomain, PathBuf)>,
    heard: ArcSwap<BTreeMap<TrustDomain, Vec<Vec<u8>>>>,
}

impl Federation {
    /// Knows the bundles in these files, which are read each time that somebody shows an SVID, so that a change counts at
    /// once: certificates in PEM, or a SPIFFE bundle in JSON.
    pub fn new(files: Vec<(TrustDomain, PathBuf)>) -> Self {
        Self { files, heard: ArcSwap::default() }
    }

    /// Takes what an agent says now: the authorities' certificates, DER, by trust domain. What it said before is over.
    /// What is beyond a limit is left out, and its trust domain returned.
    pub fn hear(&self, mut bundles: BTreeMap<TrustDomain, Vec<Vec<u8>>>) -> Vec<TrustDomain> {
        let mut left_out: Vec<TrustDomain> = bundles.keys().skip(TRUST_DOMAINS_MAX).cloned().collect();
        let long = bundles.iter().filter(|(_, certificates)| certificates.len() > BUNDLE_CERTIFICATES_MAX);
        left_out.extend(long.map(|(domain, _)| domain.clone()));
        left_out.iter().for_each(|domain| drop(bundles.remove(domain)));
        self.heard.store(Arc::new(bundles));
        left_out
    }

    /// The trust domains that are known.
    pub fn known(&self) -> Vec<TrustDomain> {
        let files = self.files.iter().map(|(domain, _)| domain.clone());
        let mut all: Vec<TrustDomain> = files.chain(self.heard.load().keys().cloned()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Which workload an SVID names (DER, itself first, then what stands above it), if its trust domain's authorities have
    /// issued it and it is valid at `now`, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// The reason to tell whoever showed it.
    pub fn check(&self, svid: &[Vec<u8>], now: u64) -> Result<WorkloadId, Refusal> {
        if svid.is_empty() || svid.len() > SVID_CHAIN_MAX || svid.iter().map(Vec::len).sum::<usize>() > SVID_BYTES_MAX {
            return Err(Refusal::NotAnSvid);
        }
        let chain: Vec<CertificateDer<'_>> = svid.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        let leaf = EndEntityCert::try_from(&chain[0]).map_err(|_| Refusal::NotAnSvid)?;
        let id: WorkloadId = only_uri(&leaf).and_then(|uri| uri.parse().ok()).ok_or(Refusal::NotAnSvid)?;
        let authorities = self.authorities_of(id.trust_domain())?;
        let authorities: Vec<CertificateDer<'_>> = authorities.into_iter().map(CertificateDer::from).collect();
        let anchors: Vec<_> = authorities.iter().filter_map(|der| anchor_from_trusted_cert(der).ok()).collect();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
        let verified =
            leaf.verify_for_usage(CERTIFIED_WITH, &anchors, &chain[1..], now, KeyUsage::client_auth(), None, None);
        verified.map(drop).map_err(|error| match refused(error) {
            Refused::Expired | Refused::NotYetValid => Refusal::SvidExpired,
            Refused::Malformed => Refusal::NotAnSvid,
            _ => Refusal::SvidForged,
        })?;
        Ok(id)
    }

    fn authorities_of(&self, domain: &TrustDomain) -> Result<Vec<Vec<u8>>, Refusal> {
        let files: Vec<&PathBuf> = self.files.iter().filter(|(of, _)| of == domain).map(|(_, file)| file).collect();
        if files.is_empty() {
            return self.heard.load().get(domain).cloned().ok_or(Refusal::UnknownTrustDomain);
        }
        let mut all = Vec::new();
        for file in files {
            all.extend(read_bundle(file).map_err(|error| {
                tracing::error!(%error, %domain, "a bundle cannot be used");
                Refusal::Failed
            })?);
        }
        Ok(all)
    }
}

/// The authorities' certificates in a file, DER: PEM, or a SPIFFE bundle (SPIFFE Trust Domain and Bundle, section 4).
///
/// # Errors
/// [`SecurityError::File`] if it cannot be read, [`SecurityError::NotABundle`] if it holds none, or too many.
pub fn read_bundle(path: &Path) -> Result<Vec<Vec<u8>>, SecurityError> {
    let mut content = Vec::new();
    let file = File::open(path).map_err(SecurityError::file("read", path))?;
    file.take(BUNDLE_FILE_BYTES_MAX as u64 + 1).read_to_end(&mut content).map_err(SecurityError::file("read", path))?;
    let not_a_bundle = || SecurityError::NotABundle { path: path.to_owned() };
    if content.len() > BUNDLE_FILE_BYTES_MAX {
        return Err(not_a_bundle());
    }
    let certificates = if content.trim_ascii_start().starts_with(b"{") {
        of_json(&content)
    } else {
        CertificateDer::pem_slice_iter(&content).map(|der| der.ok().map(|der| der.to_vec())).collect()
    };
    let certificates: Vec<Vec<u8>> = certificates.ok_or_else(not_a_bundle)?;
    let fits = (1..=BUNDLE_CERTIFICATES_MAX).contains(&certificates.len());
    let parse = |der: &Vec<u8>| anchor_from_trusted_cert(&CertificateDer::from(der.as_slice())).is_ok();
    if fits && certificates.iter().all(parse) { Ok(certificates) } else { Err(not_a_bundle()) }
}

fn of_json(content: &[u8]) -> Option<Vec<Vec<u8>>> {
    #[derive(Deserialize)]
    struct Bundle {
        keys: Vec<Key>,
    }
    #[derive(Deserialize)]
    struct Key {
        r#use: Option<String>,
        #[serde(default)]
        x5c: Vec<String>,
    }
    let bundle: Bundle = serde_json::from_slice(content).ok()?;
    let ours = bundle.keys.into_iter().filter(|key| key.r#use.as_deref() == Some("x509-svid"));
    // One certificate, and no more, stands in each of these keys.
    ours.map(|key| BASE64.decode(key.x5c.first()?.as_bytes()).ok()).collect()
}

/// A workload's X.509-SVID with its key.
#[derive(Clone)]
pub struct Svid {
    id: WorkloadId,
    chain: Vec<Vec<u8>>,
    key: Arc<dyn SigningKey>,
}

/// Without the key.
impl fmt::Debug for Svid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Svid").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Svid {
    /// The SVID of this chain (DER, the SVID first) and this key (PKCS#8, DER).
    ///
    /// # Errors
    /// [`SecurityError::NotAnSvid`] if it names no workload, or its key is of no kind that signs here.
    pub fn new(chain: Vec<Vec<u8>>, key: &[u8]) -> Result<Self, SecurityError> {
        let leaf = CertificateDer::from(chain.first().ok_or(SecurityError::NotAnSvid)?.as_slice());
        let leaf = EndEntityCert::try_from(&leaf).map_err(|_| SecurityError::NotAnSvid)?;
        let id = only_uri(&leaf).and_then(|uri| uri.parse().ok()).ok_or(SecurityError::NotAnSvid)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
        let key = any_supported_type(&key).map_err(|_| SecurityError::NotAnSvid)?;
        Ok(Self { id, chain, key })
    }

    /// Which workload it is of.
    pub fn id(&self) -> &WorkloadId {
        &self.id
    }

    /// The SVID and what stands above it, DER.
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// The `svid_proof` of an [`Admission::Vouched`](prunella_core::wire::Admission::Vouched): shows that whoever asks
    /// `inviter`, on the connection with this [`join_exporter`](crate::security::join_exporter), to certify `node` holds the
    /// SVID's key.
    ///
    /// # Errors
    /// [`SecurityError::NotAnSvid`] if the key cannot sign.
    pub fn vouch(&self, exporter: &[u8], inviter: &PeerId, node: &PeerId) -> Result<Vec<u8>, SecurityError> {
        let signer = self.key.choose_scheme(SCHEMES).ok_or(SecurityError::NotAnSvid)?;
        signer.sign(&vouched_bytes(exporter, inviter, node)).map_err(|_| SecurityError::NotAnSvid)
    }
}

/// Whether the key of this SVID (DER), which must have been checked, made this `svid_proof`; see [`Svid::vouch`].
///
/// # Errors
/// [`Refusal::SvidNotProven`] if it did not.
pub fn check_vouched(
    svid: &[u8],
    proof: &[u8],
    exporter: &[u8],
    (inviter, node): (&PeerId, &PeerId),
) -> Result<(), Refusal> {
    let der = CertificateDer::from(svid);
    let leaf = EndEntityCert::try_from(&der).map_err(|_| Refusal::NotAnSvid)?;
    let message = vouched_bytes(exporter, inviter, node);
    // Of the algorithms only the one of the key can succeed.
    let is_proven = PROVEN_WITH.iter().any(|algorithm| leaf.verify_signature(*algorithm, &message, proof).is_ok());
    if is_proven { Ok(()) } else { Err(Refusal::SvidNotProven) }
}

/// The prefix keeps the signature from meaning anything in another protocol that the SVID's key signs for.
fn vouched_bytes(exporter: &[u8], inviter: &PeerId, node: &PeerId) -> Vec<u8> {
    [b"prunella vouched admission v1\0".as_slice(), exporter, &inviter.to_bytes(), &node.to_bytes()].concat()
}

/// What trust domains may sign certificates with.
static CERTIFIED_WITH: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ED25519,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
];

/// What workloads sign a request with: one for each kind of key.
static PROVEN_WITH: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ED25519,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
];

/// The same, as the side that signs calls them.
const SCHEMES: &[SignatureScheme] = &[
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_SHA256,
];

#[cfg(test)]
mod tests {
    use prunella_core::identity::Identity;
    use rcgen::string::Ia5String;
    use rcgen::{
        BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
        SanType,
    };
    use time::OffsetDateTime;

    use super::*;

    const NOW: u64 = 1_800_000_000;
    const WEB: &str = "spiffe://partner.example/ns/web";

    /// The authority of a SPIFFE trust domain, with a P-256 key as SPIRE has one.
    struct Domain {
        issuer: Issuer<'static, KeyPair>,
        der: Vec<u8>,
    }

    impl Domain {
        fn new() -> Self {
            Self::with_key(KeyPair::generate().unwrap())
        }

        fn with_key(key: KeyPair) -> Self {
            let mut params = params(NOW + 86_400);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            params.distinguished_name.push(DnType::CommonName, "authority");
            let der = params.self_signed(&key).unwrap().der().to_vec();
            Self { issuer: Issuer::new(params, key), der }
        }

        /// An SVID that ends at this second, and its key.
        fn svid(&self, ids: &[&str], until: u64) -> (Vec<u8>, KeyPair) {
            self.sign(ids, until, KeyPair::generate().unwrap())
        }

        fn sign(&self, ids: &[&str], until: u64, key: KeyPair) -> (Vec<u8>, KeyPair) {
            let mut params = params(until);
            params.subject_alt_names = ids.iter().map(|id| SanType::URI(Ia5String::try_from(*id).unwrap())).collect();
            params.is_ca = IsCa::ExplicitNoCa;
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
            (params.signed_by(&key, &self.issuer).unwrap().der().to_vec(), key)
        }

        /// An authority below this one.
        fn below(&self) -> Domain {
            let key = KeyPair::generate().unwrap();
            let mut params = params(NOW + 86_400);
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            params.distinguished_name.push(DnType::CommonName, "below");
            let der = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
            Domain { issuer: Issuer::new(params, key), der }
        }
    }

    fn params(until: u64) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let moment = |unix: u64| OffsetDateTime::from_unix_timestamp(unix as i64).unwrap();
        (params.not_before, params.not_after) = (moment(NOW - 3600), moment(until));
        params
    }

    fn domain(name: &str) -> TrustDomain {
        name.parse().unwrap()
    }

    fn knowing(bundles: &[(&str, &Domain)]) -> Federation {
        let federation = Federation::default();
        let bundles = bundles.iter().map(|(name, of)| (domain(name), vec![of.der.clone()])).collect();
        assert_eq!(federation.hear(bundles), []);
        federation
    }

    fn peer(first: u8) -> PeerId {
        Identity::from_secret(&[first; 32]).peer()
    }

    #[test]
    fn an_svid_of_a_known_trust_domain_names_its_workload_within_its_time() {
        let partner = Domain::new();
        let federation = knowing(&[("partner.example", &partner)]);
        let (svid, _) = partner.svid(&[WEB], NOW + 60);
        assert_eq!(federation.check(std::slice::from_ref(&svid), NOW + 60), Ok(WEB.parse().unwrap()));
        assert_eq!(federation.check(std::slice::from_ref(&svid), NOW + 61), Err(Refusal::SvidExpired));
        assert_eq!(federation.check(&[svid], NOW - 3601), Err(Refusal::SvidExpired));

        let below = partner.below();
        let (svid, _) = below.svid(&[WEB], NOW + 60);
        assert_eq!(federation.check(&[svid.clone(), below.der.clone()], NOW), Ok(WEB.parse().unwrap()));
        assert_eq!(federation.check(&[svid], NOW), Err(Refusal::SvidForged), "what stands between is missing");
    }

    #[test]
    fn no_trust_domain_speaks_for_another() {
        let (partner, other) = (Domain::new(), Domain::new());
        let federation = knowing(&[("partner.example", &partner), ("other.example", &other)]);
        let (forged, _) = other.svid(&[WEB], NOW + 60);
        assert_eq!(federation.check(&[forged], NOW), Err(Refusal::SvidForged));
        let (unknown, _) = partner.svid(&["spiffe://unknown.example/web"], NOW + 60);
        assert_eq!(federation.check(&[unknown], NOW), Err(Refusal::UnknownTrustDomain));
        // What it brings along is believed no more than itself.
        let (forged, _) = other.svid(&[WEB], NOW + 60);
        assert_eq!(federation.check(&[forged, other.der.clone()], NOW), Err(Refusal::SvidForged));
    }

    #[test]
    fn what_is_no_svid_is_refused() {
        let partner = Domain::new();
        let federation = knowing(&[("partner.example", &partner)]);
        for ids in [&[][..], &[WEB, WEB], &["spiffe://partner.example"], &["https://partner.example/web"]] {
            assert_eq!(federation.check(&[partner.svid(ids, NOW + 60).0], NOW), Err(Refusal::NotAnSvid), "{ids:?}");
        }
        let (svid, _) = partner.svid(&[WEB], NOW + 60);
        let authority = partner.der.clone();
        let long = std::iter::once(svid.clone()).chain(vec![authority.clone(); SVID_CHAIN_MAX]).collect();
        let large = vec![svid, vec![0; SVID_BYTES_MAX]];
        for chain in [vec![], vec![b"garbage".to_vec()], vec![authority], long, large] {
            assert_eq!(federation.check(&chain, NOW), Err(Refusal::NotAnSvid), "{} certificates", chain.len());
        }
    }

    #[test]
    fn a_request_is_worth_nothing_elsewhere_nor_for_another_node_nor_from_another_key() {
        let partner = Domain::new();
        let keys = [
            KeyPair::generate().unwrap(),
            KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap(),
            KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap(),
            KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap(),
        ];
        for key in keys {
            let (der, key) = partner.sign(&[WEB], NOW + 60, key);
            let svid = Svid::new(vec![der.clone()], &key.serialize_der()).unwrap();
            let proof = svid.vouch(&[7; 32], &peer(1), &peer(2)).unwrap();
            let check = |exporter: &[u8], inviter, node, proof: &[u8]| {
                check_vouched(&der, proof, exporter, (&peer(inviter), &peer(node)))
            };
            assert_eq!(check(&[7; 32], 1, 2, &proof), Ok(()), "{:?}", key.algorithm());
            for (exporter, inviter, node) in [([8; 32], 1, 2), ([7; 32], 3, 2), ([7; 32], 1, 3)] {
                assert_eq!(check(&exporter, inviter, node, &proof), Err(Refusal::SvidNotProven));
            }
            for proof in [vec![], vec![0; 64], vec![0x30; 72]] {
                assert_eq!(check(&[7; 32], 1, 2, &proof), Err(Refusal::SvidNotProven));
            }
            let thief = Svid::new(vec![der.clone()], &KeyPair::generate().unwrap().serialize_der()).unwrap();
            let stolen = thief.vouch(&[7; 32], &peer(1), &peer(2)).unwrap();
            assert_eq!(check(&[7; 32], 1, 2, &stolen), Err(Refusal::SvidNotProven));
        }
    }

    #[test]
    fn the_last_word_of_an_agent_counts_and_a_file_counts_more() {
        let (old, new, pinned) = (Domain::new(), Domain::new(), Domain::new());
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("partner.pem");
        let may =
            |federation: &Federation, of: &Domain| federation.check(&[of.svid(&[WEB], NOW + 60).0], NOW).map(drop);

        let federation = knowing(&[("partner.example", &old)]);
        assert_eq!((may(&federation, &old), may(&federation, &new)), (Ok(()), Err(Refusal::SvidForged)));
        federation.hear([(domain("partner.example"), vec![new.der.clone(), old.der.clone()])].into());
        assert_eq!((may(&federation, &old), may(&federation, &new)), (Ok(()), Ok(())));
        federation.hear([(domain("partner.example"), vec![new.der.clone()])].into());
        assert_eq!((may(&federation, &old), may(&federation, &new)), (Err(Refusal::SvidForged), Ok(())));
        federation.hear(BTreeMap::new());
        assert_eq!(may(&federation, &new), Err(Refusal::UnknownTrustDomain));

        let federation = Federation::new(vec![(domain("partner.example"), file.clone())]);
        federation.hear([(domain("partner.example"), vec![new.der.clone()])].into());
        assert_eq!(may(&federation, &pinned), Err(Refusal::Failed), "the file is not there");
        std::fs::write(&file, pem(&pinned.der)).unwrap();
        assert_eq!((may(&federation, &pinned), may(&federation, &new)), (Ok(()), Err(Refusal::SvidForged)));
        std::fs::write(&file, json(&old.der)).unwrap();
        assert_eq!((may(&federation, &pinned), may(&federation, &old)), (Err(Refusal::SvidForged), Ok(())));
        assert_eq!(federation.known(), [domain("partner.example")]);
    }

    #[test]
    fn what_is_no_bundle_is_refused_and_what_an_agent_says_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("bundle");
        let one = Domain::new();
        let many = pem(&one.der).repeat(BUNDLE_CERTIFICATES_MAX + 1);
        let garbage = pem(b"garbage");
        for bad in
            ["", "{}", "{\"keys\": []}", "no certificate", &many, &garbage, &" ".repeat(BUNDLE_FILE_BYTES_MAX + 1)]
        {
            std::fs::write(&file, bad).unwrap();
            assert!(matches!(read_bundle(&file), Err(SecurityError::NotABundle { .. })), "{bad:.40}");
        }
        std::fs::write(&file, json(&one.der).replace("x509-svid", "jwt-svid")).unwrap();
        assert!(matches!(read_bundle(&file), Err(SecurityError::NotABundle { .. })));

        let federation = Federation::default();
        let mut bundles: BTreeMap<TrustDomain, Vec<Vec<u8>>> =
            (0..=TRUST_DOMAINS_MAX).map(|i| (domain(&format!("d{i:03}")), vec![one.der.clone()])).collect();
        bundles.insert(domain("a"), vec![one.der.clone(); BUNDLE_CERTIFICATES_MAX + 1]);
        let left_out = federation.hear(bundles);
        assert_eq!(left_out, [domain("d063"), domain("d064"), domain("a")]);
        assert_eq!(federation.known().len(), TRUST_DOMAINS_MAX - 1);
    }

    #[test]
    fn the_key_of_an_svid_is_not_printed() {
        let (der, key) = Domain::new().svid(&[WEB], NOW + 60);
        let svid = Svid::new(vec![der], &key.serialize_der()).unwrap();
        assert_eq!(format!("{svid:?}").matches("partner.example").count(), 1);
        assert!(format!("{svid:?}").len() < 200);
    }

    fn pem(der: &[u8]) -> String {
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", BASE64.encode(der))
    }

    fn json(der: &[u8]) -> String {
        serde_json::json!({ "keys": [
            { "use": "jwt-svid", "kid": "1", "kty": "EC" },
            { "use": "x509-svid", "kty": "EC", "x5c": [BASE64.encode(der)] },
        ], "spiffe_sequence": 1 })
        .to_string()
    }
}
