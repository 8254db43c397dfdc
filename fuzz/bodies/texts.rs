//! Whatever comes as a token, a configuration, a line on the control socket, a request of another node or a statement of
//! the authority: it is read or refused with a reason of one line, and what was read comes out as it went in.

use std::path::Path;
use std::sync::OnceLock;

use prunella::api::{Request, Response};
use prunella::policy::Command;
use prunella::security::{Authority, CERTIFICATE_LIFE, Credentials, IssuingKey, Statement, Token};
use prunella::{MeshConfig, PeerId};
use prunella_core::limits::REMOTE_REQUEST_BYTES_MAX;

/// When the mesh was founded whose statements are heard, in seconds since the Unix epoch.
const UNIX: u64 = 1_800_000_000;

/// What the bytes were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Read {
    /// Whether they are a token.
    pub(crate) token: bool,
    /// Whether they are a configuration.
    pub(crate) config: bool,
    /// Whether they are a request, or a response, of the control socket.
    pub(crate) control: bool,
    /// Whether they are a request that a node performs for another one, if its policy allows it.
    pub(crate) remote: bool,
}

/// Gives the bytes to everything that reads texts.
pub(crate) fn read(bytes: &[u8]) -> Read {
    let text = String::from_utf8_lossy(bytes);
    let token = text.parse::<Token>().map_err(|error| error.to_string()).or_else(|why| {
        assert_eq!(why.lines().count(), 1, "{why}");
        Token::from_bytes(bytes).map_err(|error| error.to_string())
    });
    if let Ok(token) = &token {
        assert_eq!(token.to_string().parse().as_ref(), Ok(token));
    }
    let config = MeshConfig::parse(&text, Path::new("fuzz.toml"));
    if let Err(error) = &config {
        assert_eq!(error.to_string().lines().count(), 1, "{error}");
    }
    let request = serde_json::from_slice::<Request>(bytes);
    if let Ok(request) = &request {
        let again = serde_json::to_vec(request).expect("what was read can be written");
        assert!(serde_json::from_slice::<Request>(&again).is_ok());
    }
    let control = request.is_ok() || serde_json::from_slice::<Response>(bytes).is_ok();
    statement(bytes);
    Read { token: token.is_ok(), config: config.is_ok(), control, remote: remote(bytes) }
}

/// A node reads them as a request of another one: it is the command that the stream was opened for, or nothing.
fn remote(bytes: &[u8]) -> bool {
    let read = Request::from_afar(bytes, None);
    let other = Command::ALL[bytes.len() % Command::ALL.len()];
    match &read {
        Ok(request) => {
            let command = request.command();
            assert!(command.from_afar().is_ok() && bytes.len() <= REMOTE_REQUEST_BYTES_MAX, "{command}");
            assert_eq!(Request::from_afar(bytes, Some(command)).as_ref(), Ok(request));
            assert_eq!(Request::from_afar(bytes, Some(other)).is_ok(), other == command);
        }
        Err(refused) => {
            assert_eq!(refused.to_string().lines().count(), 1, "{refused}");
            assert!(Request::from_afar(bytes, Some(other)).is_err());
        }
    }
    read.is_ok()
}

/// A member hears it as a statement: as it came, and as the rest of a genuine one. It endorses nothing either.
fn statement(bytes: &[u8]) {
    let (member, genuine) = mesh();
    assert!(member.check_endorsement(member.peer(), bytes).is_err(), "nobody in this mesh endorses anything");
    if bytes != genuine {
        assert!(member.hear(bytes, UNIX).is_err(), "nobody else speaks for the authority");
    }
    let mut bent = genuine.clone();
    for (at, byte) in bytes.iter().take(64).enumerate() {
        let place = (at * 31 + usize::from(*byte)) % bent.len();
        bent[place] ^= byte;
    }
    if bent != *genuine {
        assert!(member.hear(&bent, UNIX).is_err(), "a statement with a changed byte is none");
    }
}

/// A member, and a statement of its mesh's authority that it has not heard.
fn mesh() -> &'static (Credentials, Vec<u8>) {
    static MESH: OnceLock<(Credentials, Vec<u8>)> = OnceLock::new();
    MESH.get_or_init(|| {
        let authority = Authority::found(&"fuzz".parse().expect("a name"), UNIX).expect("a mesh");
        let issuing = IssuingKey::appointed_by(&authority, UNIX).expect("an issuer");
        let identity = prunella_core::identity::Identity::from_secret(&[3; 32]);
        let chain = issuing.issue(identity.peer(), UNIX, CERTIFICATE_LIFE).expect("a certificate");
        let member = Credentials::new(identity, chain, &authority.certificate_ders()).expect("a member");
        let revoked = Statement::Reinstated { peer: PeerId::from_public_key([9; 32]) };
        let said = authority.say(revoked, UNIX).expect("a statement");
        (member, said.to_bytes())
    })
}
