//! A replay: what was the same, what was not played, and the first divergence.

use super::page::Page;
use super::quantity::{moment, span};
use super::table::{Column, Table};
use crate::api::recording::replay::{DivergenceInfo, ReplayReport, RoleReplay};

pub(in crate::cli) fn replay(report: &ReplayReport) -> String {
    let mut page = Page::default();
    let ReplayReport { node, recorded_by, replayed_by, run_unix_ms, roles, divergences } = report;
    page.line(&format!("node      {node}"));
    page.line(&format!("run       {}, recorded by version {recorded_by}", moment(*run_unix_ms)));
    if recorded_by != replayed_by {
        page.line(&format!("note      this is version {replayed_by}: roles may have changed since"));
    }
    table(roles, &mut page);
    roles.iter().for_each(|role| notes(role, &mut page));
    divergences.iter().for_each(|divergence| diverges(divergence, &mut page));
    let last = match (divergences.is_empty(), report.is_same()) {
        (true, true) => "every input that was played has the same effects again",
        (true, false) => "nothing could be compared",
        (false, _) => "effects differ",
    };
    page.line(last);
    page.into_text()
}

fn table(roles: &[RoleReplay], page: &mut Page) {
    let mut table = Table::new([
        Column::Left("ROLE"),
        Column::Right("LIVES"),
        Column::Right("ENTRIES"),
        Column::Right("SAME"),
        Column::Right("NOT PLAYED"),
        Column::Right("OVER"),
    ]);
    for role in roles {
        let over = role.span_ns.map(|(first, last)| span(last.saturating_sub(first) / 1_000_000));
        table.row([
            role.role.clone(),
            role.lives.to_string(),
            role.entries.to_string(),
            role.same.to_string(),
            role.unplayed.values().sum::<u64>().to_string(),
            over.unwrap_or_default(),
        ]);
    }
    table.write(page, "no roles");
}

fn notes(role: &RoleReplay, page: &mut Page) {
    let name = &role.role;
    for (why, count) in &role.unplayed {
        page.line(&format!("{name}: {count} inputs were not played: {why}"));
    }
    if role.dropped > 0 {
        page.line(&format!("{name}: there is a gap: the recorder dropped {} entries", role.dropped));
    }
    if role.passed > 0 {
        page.line(&format!("{name}: {} inputs were played without comparing", role.passed));
    }
    if role.panicked > 0 {
        page.line(&format!("{name}: it panicked on {} inputs, then and now", role.panicked));
    }
    if role.torn {
        page.line(&format!("{name}: the last entry is cut off; the node was stopped while it was written"));
    }
}

fn diverges(divergence: &DivergenceInfo, page: &mut Page) {
    let DivergenceInfo { role, entry, actor, life, number, at_ns, input, then, now, effects } = divergence;
    let at = *at_ns as f64 / 1e9;
    page.line(&format!(
        "{role}: diverges at entry {entry}: input {number} of {actor}, life {life}, {at:.3} s after boot"
    ));
    page.line(&format!("    heard  {input}"));
    page.line(&format!("    then   {then}"));
    page.line(&format!("    now    {now}"));
    effects.iter().for_each(|effect| page.line(&format!("           {effect}")));
}
