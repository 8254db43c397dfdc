//! The half of the datapath that is in the kernel, if a node is to have one.

use crate::datapath::Port;

/// Has frames forwarded in the kernel, if the configuration wants it. A node that cannot have that works all the same, and
/// says so once.
pub(super) fn attach(port: &Port, interfaces: &[String]) {
    if interfaces.is_empty() {
        return;
    }
    match port.attach_kernel(interfaces) {
        Ok(attached) => {
            let interfaces = format!("{:?}", attached.interfaces);
            match attached.shortcomings.join("; ") {
                none if none.is_empty() => tracing::info!(interfaces, "frames are forwarded in the kernel"),
                some => tracing::warn!(interfaces, "frames are forwarded in the kernel, but {some}"),
            }
        }
        Err(error) => tracing::warn!(%error, "frames are not forwarded in the kernel; user space does it"),
    }
}
