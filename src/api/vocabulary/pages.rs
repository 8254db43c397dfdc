//! What grows with the mesh is told in pages: how the next one is asked for, and several become one.

use prunella_core::limits::PAGES_MAX;

use super::{RegionsInfo, Request, Response};
use crate::api::error::{Error, ErrorKind};

impl Request {
    /// What asks for the page after `answer`; `None` if that was the last one, or no page at all.
    pub fn next_page(&self, answer: &Response) -> Option<Request> {
        let next = match (self, answer) {
            (Request::Peers { .. }, Response::Peers { peers, more: true }) => {
                Request::Peers { after: Some(peers.last()?.peer) }
            }
            (Request::Members { .. }, Response::Members(standing)) if standing.more => {
                Request::Members { after: Some(standing.members.last()?.peer) }
            }
            (Request::Topology { .. }, Response::Topology(info)) if info.more => {
                Request::Topology { after: Some(info.nodes.last()?.peer) }
            }
            (Request::Regions { from }, Response::Regions(info)) if info.more => {
                let told: usize = info.clusters.iter().map(|cluster| cluster.members.len()).sum();
                Request::Regions { from: from + told as u64 }
            }
            (Request::Services { .. }, Response::Services { services, more: true, .. }) => {
                let last = services.last()?;
                Request::Services { after: Some(last.name.clone()), after_provider: Some(last.provider) }
            }
            (Request::Records { node, kind, .. }, Response::Records { records, more: true }) => {
                Request::Records { node: node.clone(), kind: kind.clone(), after: Some(records.last()?.id.clone()) }
            }
            (Request::SharedList { .. }, Response::SharedList { shared, more: true }) => {
                Request::SharedList { after: Some(shared.last()?.key.clone()) }
            }
            _ => return None,
        };
        // Whoever answers a question with what came before it would be asked for ever.
        Some(next).filter(|next| next != self)
    }
}

impl Response {
    /// Takes in the page that follows; anything else takes the place of all that was told.
    pub fn append(&mut self, next: Response) {
        match (self, next) {
            (Response::Peers { peers, more }, Response::Peers { peers: rest, more: now }) => {
                peers.extend(rest);
                *more = now;
            }
            (Response::Members(told), Response::Members(rest)) => {
                let members = std::mem::take(&mut told.members);
                *told = rest;
                told.members.splice(0..0, members);
            }
            (Response::Topology(told), Response::Topology(rest)) => {
                told.nodes.extend(rest.nodes);
                told.more = rest.more;
            }
            (Response::Regions(told), Response::Regions(rest)) => told.append(rest),
            (Response::Services { services, more, .. }, Response::Services { services: rest, more: now, .. }) => {
                services.extend(rest);
                *more = now;
            }
            (Response::Records { records, more }, Response::Records { records: rest, more: now }) => {
                records.extend(rest);
                *more = now;
            }
            (Response::SharedList { shared, more }, Response::SharedList { shared: rest, more: now }) => {
                shared.extend(rest);
                *more = now;
            }
            (told, other) => *told = other,
        }
    }
}

impl RegionsInfo {
    fn append(&mut self, rest: RegionsInfo) {
        for cluster in rest.clusters {
            match self.clusters.last_mut().filter(|last| last.number == cluster.number) {
                Some(last) => {
                    last.members.extend(cluster.members);
                    last.names.extend(cluster.names);
                }
                None => self.clusters.push(cluster),
            }
        }
        self.hints.extend(rest.hints);
        self.more = rest.more;
    }
}

/// Pages that become one answer.
#[derive(Debug, Default)]
pub(in crate::api) struct Pages {
    told: Option<Response>,
    count: usize,
}

impl Pages {
    /// Takes in what `request` was answered with, and says what is to be asked next, if anything.
    ///
    /// # Errors
    /// [`ErrorKind::OverLimit`] if there are more than `limits::PAGES_MAX`.
    pub(in crate::api) fn take(&mut self, request: &Request, answer: Response) -> Result<Option<Request>, Error> {
        let next = request.next_page(&answer);
        self.count += 1;
        match &mut self.told {
            Some(told) => told.append(answer),
            None => self.told = Some(answer),
        }
        match next {
            Some(_) if self.count >= PAGES_MAX => {
                Err(Error::new(ErrorKind::OverLimit, format!("the node tells more than {PAGES_MAX} pages")))
            }
            next => Ok(next),
        }
    }

    /// All that was told.
    pub(in crate::api) fn into_answer(self) -> Response {
        self.told.unwrap_or(Response::Done)
    }
}

#[cfg(test)]
mod tests {
    use prunella_core::PeerId;

    use super::super::{ClusterInfo, PeerInfo, Reach, RegionHint};
    use super::*;

    fn peer(byte: u8) -> PeerId {
        PeerId::from_public_key([byte; 32])
    }

    fn peers(bytes: &[u8], more: bool) -> Response {
        let info = |byte: &u8| PeerInfo {
            peer: peer(*byte),
            name: String::new(),
            addresses: Vec::new(),
            state: Reach::Unreachable,
            relays: None,
        };
        Response::Peers { peers: bytes.iter().map(info).collect(), more }
    }

    #[test]
    fn all_pages_are_one_answer_in_their_order() {
        let (mut pages, mut next) = (Pages::default(), Some(Request::Peers { after: None }));
        let mut asked = Vec::new();
        for answer in [peers(&[1, 2], true), peers(&[3], true), peers(&[4], false)] {
            let request = next.expect("an answer to no question");
            next = pages.take(&request, answer).unwrap();
            asked.push(request);
        }
        assert_eq!(next, None);
        assert_eq!(pages.into_answer(), peers(&[1, 2, 3, 4], false));
        assert_eq!(asked, [None, Some(2), Some(3)].map(|byte| Request::Peers { after: byte.map(peer) }));
    }

    #[test]
    fn who_never_ends_is_not_asked_for_ever() {
        let (mut pages, mut request) = (Pages::default(), Request::Peers { after: None });
        for number in 1..PAGES_MAX {
            request = pages.take(&request, peers(&[number as u8 % 2], true)).unwrap().unwrap();
        }
        let endless = pages.take(&request, peers(&[0], true));
        assert_eq!(endless.unwrap_err().kind(), ErrorKind::OverLimit);
        let asked = Request::Peers { after: Some(peer(1)) };
        assert_eq!(asked.next_page(&peers(&[1], true)), None, "who repeats itself has nothing to add");
        assert_eq!(asked.next_page(&peers(&[], true)), None);
        assert_eq!(asked.next_page(&Response::Done), None);
    }

    #[test]
    fn a_cluster_that_goes_on_is_one_cluster() {
        let cluster = |number: usize, bytes: &[u8]| ClusterInfo {
            number,
            members: bytes.iter().map(|byte| peer(*byte)).collect(),
            names: bytes.iter().map(|byte| format!("n{byte}")).collect(),
            region: None,
            inside_us: None,
        };
        let hint =
            |byte: u8| RegionHint { peer: peer(byte), name: String::new(), named: String::new(), measured: "e".into() };
        let page = |clusters: Vec<ClusterInfo>, byte: u8, more: bool| {
            Response::Regions(RegionsInfo { clusters, hints: vec![hint(byte)], more })
        };
        let mut told = page(vec![cluster(1, &[1, 2]), cluster(2, &[3])], 1, true);
        let asked = Request::Regions { from: 7 };
        assert_eq!(asked.next_page(&told), Some(Request::Regions { from: 10 }));
        told.append(page(vec![cluster(2, &[4]), cluster(3, &[5])], 4, false));
        let mut whole = page(vec![cluster(1, &[1, 2]), cluster(2, &[3, 4]), cluster(3, &[5])], 1, false);
        if let Response::Regions(info) = &mut whole {
            info.hints.push(hint(4));
        }
        assert_eq!(told, whole);
        assert_eq!(asked.next_page(&told), None);
    }
}
