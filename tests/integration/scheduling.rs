//! How the system's scheduler treats a node.

use std::fs;

use super::mesh::{Mesh, Plan};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_thread_of_a_node_is_as_nice_as_its_configuration_says() {
    let mut plan = Plan::alone();
    plan.config.insert("nice".to_owned(), 5.into());
    let mesh = Mesh::found(plan).await;
    let threads = fs::read_dir(format!("/proc/{}/task", mesh.nodes[0].pid())).unwrap();
    // A thread may have ended in the meantime.
    let told = threads.filter_map(|thread| fs::read_to_string(thread.unwrap().path().join("stat")).ok());
    // The name in parentheses may hold anything; how nice it is is the 19th field.
    let nice: Vec<String> =
        told.map(|stat| stat.rsplit_once(')').unwrap().1.split_whitespace().nth(16).unwrap().to_owned()).collect();
    assert!(nice.len() > 2 && nice.iter().all(|nice| nice == "5"), "{nice:?}");
}
