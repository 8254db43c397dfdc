//! Network namespaces with cables between them, and processes in them: what tests and comparisons of whole nodes stand on.
//!
//! A [`Lab`] is made of [`Host`]s, each a network namespace of its own, and of [`Cable`]s and [`Switch`]es that join them.
//! Everything in it is ended and removed when it is dropped, and what an earlier process left behind when it was killed is
//! removed by the next. A [`Mesh`] is Prunella's own program on such hosts.
//!
//! Needs Linux, root, and the commands `ip` and `nft`; without them [`Lab::new`] says [`LabError::Unavailable`]. Nothing in
//! a lab has a way out of it, and nothing outside is touched.

mod lab;
mod mesh;
mod process;
pub mod traffic;
mod waiting;

pub use lab::{Cable, Delay, DelayedCable, End, Host, Lab, Switch};
pub use mesh::{Mesh, MeshLink, Node, Plan};
pub use process::{Process, Told};
pub use waiting::{LabError, interrupt, until};
