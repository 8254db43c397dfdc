//! A node all of whose neighbors are gone for good leaves them and joins the mesh again.

use std::fs;

use toml::{Table, Value};

use super::mesh::{Mesh, PATIENCE, Plan, until};

/// From n0 to n2 it is two links, over n1 or n3. n0 takes no more than two neighbors, and has them: while they are on its
/// roster it neither dials n2 nor lets it in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_only_dead_neighbors_leaves_them_for_whoever_else_is_known() {
    let mut mesh = Mesh::found(Plan::diamond()).await;
    for (node, most) in [(0, 2), (2, 8)] {
        let file = mesh.nodes[node].dir.join("config.toml");
        let mut config: Table = fs::read_to_string(&file).unwrap().parse().unwrap();
        let neighbors =
            Table::from_iter([("target", 2), ("max", most)].map(|(key, count)| (key.to_owned(), Value::from(count))));
        config.insert("neighbors".to_owned(), neighbors.into());
        fs::write(&file, config.to_string()).unwrap();
        mesh.nodes[node].stop().await;
        mesh.nodes[node].start().await;
    }
    mesh.whole().await;
    mesh.nodes[1].kill();
    mesh.nodes[3].kill();
    let node = &mesh.nodes[0];
    let over = until("the node not cut off any more", 3 * PATIENCE, async || {
        let told = node.incidents().await?;
        let cut_off = told.into_iter().find(|told| told.kind == "cut-off").ok_or("nothing is told")?;
        if cut_off.lasted_ms.is_some() { Ok(cut_off) } else { Err(format!("{:?}", cut_off.actions)) }
    })
    .await;
    let story = node.run(&["incident", &over.id.to_string()]).await.ok();
    assert!(story.contains("find-neighbors: did not help") && story.contains("rejoin: helped"), "{story}");
    node.run(&["ping", "n2", "--count", "1"]).await.ok();
}
