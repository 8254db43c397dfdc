// The dashboard of one node. What it shows comes from the node's API and from its event stream; what came from other
// nodes (names, regions, texts) is only ever set as text, never as markup.

const $ = (id) => document.getElementById(id);
const VIEWS = ["mesh", "incidents", "paths", "services", "actors", "events"];
const PHASES = ["detect", "analyze", "plan", "execute", "verify"];
const EVENTS_SHOWN = 300;
const INCIDENTS_SHOWN = 60;
const REFRESH_MS = 5000;
const TOKEN_KEY = "prunella.token";

const address = new URLSearchParams(location.hash.slice(1));

let token = address.get("token") ?? sessionStorage.getItem(TOKEN_KEY);
let cursor = null;
let names = new Map();
let shown = VIEWS.includes(address.get("view")) ? address.get("view") : "mesh";
let retryMs = 500;

// ---- elements ----------------------------------------------------------------------------------------------------------

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function drawn(tag, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// A column is [title, value of a row, class]; numbers stand right.
function table(id, caption, columns, rows) {
  const kind = (column) => (column[2] ? { class: column[2] } : {});
  const head = element("tr", {}, ...columns.map((c) => element("th", { scope: "col", ...kind(c) }, c[0])));
  const body = rows.map((row) =>
    element("tr", {}, ...columns.map((c) => {
      const value = c[1](row);
      return element("td", kind(c), value instanceof Node ? value : String(value ?? ""));
    })));
  $(id).replaceChildren(element("caption", {}, caption), element("thead", {}, head), element("tbody", {}, ...body));
}

function marked(text, good) {
  return element("span", { class: good ? "good" : "bad" }, text);
}

const short = (peer) => peer.slice(0, 10);
const called = (peer) => names.get(peer) || short(peer);
const clock = (ms) => new Date(ms).toLocaleTimeString([], { hour12: false });
const moment = (ms) => new Date(ms).toLocaleString([], { hour12: false });

function time(us) {
  if (us === null || us === undefined || us === 0) return "-";
  if (us < 1000) return `${us} µs`;
  if (us < 1e6) return `${(us / 1e3).toPrecision(3)} ms`;
  return `${(us / 1e6).toPrecision(3)} s`;
}

function bytes(count) {
  let unit = 0;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  while (count >= 1024 && unit < units.length - 1) { count /= 1024; unit += 1; }
  return `${unit ? count.toFixed(1) : count} ${units[unit]}`;
}

// ---- the node ----------------------------------------------------------------------------------------------------------

class Refused extends Error {}

async function ask(path) {
  const answer = await fetch(path, { headers: token ? { Authorization: `Bearer ${token}` } : {} });
  if (answer.status === 401) throw new Refused((await answer.json()).detail);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail);
  return body;
}

async function topology() {
  const nodes = [];
  let me = null;
  for (let after = "", more = true; more;) {
    const page = await ask(`/v1/topology${after && `?after=${after}`}`);
    me = page.me;
    nodes.push(...page.nodes);
    more = page.more && page.nodes.length > 0;
    after = nodes.at(-1)?.peer ?? "";
  }
  names = new Map(nodes.map((node) => [node.peer, node.name]));
  $("node").textContent = called(me);
  document.title = `${called(me)} · Prunella`;
  return { me, nodes };
}

// ---- views -------------------------------------------------------------------------------------------------------------

const SHOW = {
  async mesh() {
    const [{ me, nodes }, links] = await Promise.all([topology(), ask("/v1/links"), facts()]);
    map(me, nodes);
    table("links", "Links of this node", [
      ["Neighbor", (l) => called(l.peer)],
      ["State", (l) => marked(l.state, l.state === "up")],
      ["Round trip", (l) => time(l.rtt_us), "number"],
      ["Loss", (l) => `${l.loss_permille / 10} %`, "number"],
      ["Sent", (l) => bytes(l.sent_bytes), "number"],
      ["Received", (l) => bytes(l.received_bytes), "number"],
    ], links.links);
    table("nodes", "Nodes", [
      ["Node", (n) => called(n.peer) + (n.peer === me ? " (this node)" : "")],
      ["Status", (n) => marked(n.status, n.status === "alive")],
      ["Region", (n) => n.region],
      ["Linked with", (n) => n.links.map((l) => called(l.to) + (l.agreed ? "" : "?")).join(", ")],
    ], nodes);
  },

  async incidents() {
    const { incidents } = await ask("/v1/incidents");
    $("timeline").replaceChildren(...incidents.slice(0, INCIDENTS_SHOWN).map(incident));
    if (incidents.length === 0) $("timeline").replaceChildren(element("li", {}, "Nothing was wrong so far."));
  },

  async paths() {
    const { me, nodes } = await topology();
    const chosen = $("destination").value;
    const others = nodes.filter((node) => node.peer !== me);
    $("destination").replaceChildren(...others.map((n) => element("option", { value: n.peer }, called(n.peer))));
    if (others.some((node) => node.peer === chosen)) $("destination").value = chosen;
    if (!$("destination").value) return table("ways", "No other node is known", [], []);
    const { paths } = await ask(`/v1/paths/${$("destination").value}`);
    table("ways", `Paths to ${called($("destination").value)}`, [
      ["State", (p) => (["late", "dead"].includes(p.state) || p.state === "in-use" ? marked(p.state, p.state === "in-use") : p.state)],
      ["Round trip", (p) => time(p.rtt_us), "number"],
      ["Cost", (p) => p.cost, "number"],
      ["Over", (p) => p.hops.map(called).join(" → ")],
    ], paths);
  },

  async services() {
    const services = [];
    const forwards = [];
    for (let after = "", more = true; more;) {
      const page = await ask(`/v1/services${after}`);
      services.push(...page.services);
      forwards.push(...page.forwards);
      more = page.more && page.services.length > 0;
      const last = page.services.at(-1);
      after = last ? `?after=${encodeURIComponent(last.name)}&after_provider=${last.provider}` : "";
    }
    table("exposed", "Services of the mesh", [
      ["Service", (s) => s.name],
      ["Exposed by", (s) => s.provider_name || short(s.provider)],
      ["Target", (s) => s.target],
    ], services);
    table("forwards", "Forwards of this node", [
      ["Service", (f) => f.name],
      ["Listens at", (f) => f.listen],
      ["Open", (f) => f.open, "number"],
      ["Total", (f) => f.total, "number"],
    ], forwards);
  },

  async actors() {
    const { actors } = await ask("/v1/actors");
    table("tree", "Actors, under their supervisors", [
      ["Actor", (a) => "\u2003".repeat(a.depth) + a.name],
      ["State", (a) => marked(a.state, a.state === "running")],
      ["Waiting", (a) => a.mailbox, "number"],
      ["Handled", (a) => a.handled, "number"],
      ["Restarts", (a) => a.restarts, "number"],
      ["Last failure", (a) => a.last_failure ?? ""],
    ], actors);
  },

  async events() {},
};

async function facts() {
  // Some of it is asked of actors: without an answer the rest is shown all the same.
  let facts;
  try {
    const status = await ask("/v1/status");
    facts = [
      ["Trust domain", status.trust_domain],
      ["Links up", status.links_up],
      ["Reachable", `${status.peers_reachable} of ${status.peers_known - 1}`],
      ["Members", `${status.members.alive} alive, ${status.members.suspect} suspect, ${status.members.down} down`],
      ["Quorum", marked(status.has_quorum ? "within reach" : "NOT within reach", status.has_quorum)],
      ["Incidents open", marked(status.incidents_open, status.incidents_open === 0)],
      ["Certificate ends", moment(status.certificate_expires_unix * 1000)],
    ];
  } catch (error) {
    if (error instanceof Refused) throw error;
    facts = [["Status", marked(error.message, false)]];
  }
  $("facts").replaceChildren(...facts.map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value instanceof Node ? value : String(value)))));
}

// This node in the middle, the others in rings by how many links away they are; the same mesh is always drawn the same.
function map(me, nodes) {
  const byId = new Map(nodes.map((node) => [node.peer, node]));
  const far = new Map([[me, 0]]);
  for (const peer of far.keys()) {
    for (const link of byId.get(peer)?.links ?? []) {
      if (!far.has(link.to) && byId.has(link.to)) far.set(link.to, far.get(peer) + 1);
    }
  }
  const outermost = Math.max(1, ...far.values());
  for (const node of nodes) if (!far.has(node.peer)) far.set(node.peer, outermost + 1);
  const rings = Math.max(1, ...far.values());
  const places = new Map();
  for (let ring = 0; ring <= rings; ring += 1) {
    const there = nodes.filter((node) => far.get(node.peer) === ring);
    there.forEach((node, i) => {
      // The second half is turned a little, so that no link between two of a ring runs through the node in the middle.
      const turn = i >= there.length / 2 ? 0.3 : 0;
      const angle = (2 * Math.PI * (i + (ring % 2) / 2)) / there.length - Math.PI / 2 + turn;
      const reach = ring / rings;
      places.set(node.peer, [400 + 350 * reach * Math.cos(angle), 232 + 195 * reach * Math.sin(angle)]);
    });
  }
  const lines = [];
  for (const node of nodes) {
    for (const link of node.links) {
      const [from, to] = [places.get(node.peer), places.get(link.to)];
      if (!to || (link.agreed && node.peer > link.to)) continue;
      const kind = link.agreed ? (link.loss_permille > 10 ? "lossy" : "sound") : "doubted";
      const line = drawn("line", { x1: from[0], y1: from[1], x2: to[0], y2: to[1], class: kind });
      line.append(drawn("title", {}, `${called(node.peer)} – ${called(link.to)}: ${time(link.rtt_us)}, ${link.loss_permille / 10} % lost`));
      lines.push(line);
    }
  }
  const size = nodes.length > 60 ? 4 : 9;
  const dots = nodes.map((node) => {
    const [cx, cy] = places.get(node.peer);
    const dot = drawn("circle", { cx, cy, r: size, class: `${node.status}${node.peer === me ? " me" : ""}` });
    dot.append(drawn("title", {}, `${called(node.peer)}: ${node.status}`));
    return dot;
  });
  const labels = nodes.length > 60 ? [] : nodes.map((node) => {
    const [x, y] = places.get(node.peer);
    return drawn("text", { x, y: y + size + 14 }, called(node.peer));
  });
  $("map").replaceChildren(...lines, ...dots, ...labels);
  $("map").setAttribute("aria-label", `Map of the mesh: ${nodes.length} nodes, ${lines.length} links`);
}

function incident(told) {
  const state = told.lasted_ms === null ? "open" : `lasted ${told.lasted_ms ? time(told.lasted_ms * 1000) : "less than 1 ms"}`;
  const subject = names.get(told.subject) ?? told.subject;
  const taken = PHASES.map((phase) => [phase, told.phases[`${phase}_us`]]).filter(([, us]) => us);
  const steps = told.actions.map((action) => element("p", {}, `+${time(action.after_us)} ${action.phase}: ${action.what}`));
  const item = element("li", { class: told.lasted_ms === null ? "open" : "over" },
    element("h2", {}, `#${told.id} ${told.kind} ${subject}`),
    element("p", {}, `${moment(told.opened_unix_ms)}, ${told.severity}, ${state}. ${told.evidence}`));
  if (taken.length > 0) {
    item.append(bar(taken), element("p", {}, taken.map(([phase, us]) => `${phase} ${time(us)}`).join(", ")));
  }
  if (told.follows_from !== null) item.append(element("p", {}, `follows from #${told.follows_from}`));
  if (steps.length > 0) {
    const details = element("details", {}, element("summary", {}, `${steps.length} steps`), ...steps);
    details.open = $(`incident-${told.id}`)?.querySelector("details")?.open ?? false;
    item.append(details);
  }
  item.id = `incident-${told.id}`;
  return item;
}

// Phases next to each other, each as wide as it took.
function bar(taken) {
  const whole = taken.reduce((sum, [, us]) => sum + us, 0);
  const svg = drawn("svg", { class: "phases", viewBox: "0 0 1000 14", preserveAspectRatio: "none", "aria-hidden": "true" });
  let x = 0;
  for (const [phase, us] of taken) {
    const width = Math.max(4, (1000 * us) / whole);
    svg.append(drawn("rect", { x, y: 0, width, height: 14, class: phase }));
    x += width;
  }
  return svg;
}

// ---- what happens ------------------------------------------------------------------------------------------------------

function log(event) {
  const { cursor: _, unix_ms, event: kind, ...rest } = event;
  const said = Object.entries(rest).map(([name, value]) => {
    const texts = [value].flat().map((one) => names.get(one) || String(one));
    return `${name} ${texts.join(" ")}`;
  });
  $("log").prepend(element("li", {}, `${clock(unix_ms)}  ${kind}  ${said.join(", ")}`));
  while ($("log").childElementCount > EVENTS_SHOWN) $("log").lastElementChild.remove();
}

// What the node still remembers of what happened before.
async function past() {
  for (let more = true; more;) {
    const page = await ask(`/v1/events${cursor ? `?after=${cursor}` : ""}`);
    page.events.forEach(log);
    cursor = page.cursor;
    more = page.more;
  }
}

let wanted = null;

// Many events in a row cost one refresh.
function refreshSoon() {
  wanted ??= setTimeout(() => { wanted = null; refresh(); }, 250);
}

async function refresh() {
  if (document.hidden || cursor === null) return;
  try {
    await SHOW[shown]();
  } catch (error) {
    if (error instanceof Refused) return login(error.message);
    say("away", error.message);
  }
}

function follow() {
  const stream = new URL("/v1/events/stream", location.origin);
  stream.protocol = stream.protocol.replace("http", "ws");
  if (cursor) stream.searchParams.set("after", cursor);
  const socket = new WebSocket(stream, ["prunella.events.v1", `bearer.${token}`]);
  socket.onopen = () => { retryMs = 500; say("live", "Live"); refresh(); };
  socket.onmessage = (message) => {
    const event = JSON.parse(message.data);
    cursor = event.cursor;
    if (!event.missed) log(event);
    refreshSoon();
  };
  socket.onclose = () => {
    say("away", "The node does not answer; what is shown may be old. Trying again …");
    setTimeout(connect, retryMs);
    retryMs = Math.min(2 * retryMs, 10_000);
  };
}

function say(kind, text) {
  $("state").className = kind;
  $("state").textContent = text;
}

async function connect() {
  try {
    await topology();
    $("login").hidden = true;
    if (cursor === null) await past();
    follow();
  } catch (error) {
    if (error instanceof Refused) return login(error.message);
    say("away", "The node does not answer. Trying again …");
    setTimeout(connect, retryMs);
    retryMs = Math.min(2 * retryMs, 10_000);
  }
}

function login(reason) {
  say("away", "Not connected");
  $("refused").textContent = token ? reason : "";
  $("login").hidden = false;
  $("token").focus();
}

// ---- the page ----------------------------------------------------------------------------------------------------------

function select(view) {
  shown = view;
  // A token that came in the address is kept neither in the history nor where somebody sees it on the screen.
  history.replaceState(null, "", `#view=${view}`);
  for (const name of VIEWS) {
    $(name).hidden = name !== view;
    $(`tab-${name}`).setAttribute("aria-selected", String(name === view));
    $(`tab-${name}`).tabIndex = name === view ? 0 : -1;
  }
  if (!$("login").hidden || cursor === null) return;
  refresh();
}

// As the pattern for tabs has it: arrows, Home and End move between them.
function move(event) {
  const steps = { ArrowRight: 1, ArrowLeft: -1, Home: -VIEWS.indexOf(shown), End: VIEWS.length - 1 - VIEWS.indexOf(shown) };
  if (!(event.key in steps)) return;
  event.preventDefault();
  select(VIEWS[(VIEWS.indexOf(shown) + steps[event.key] + VIEWS.length) % VIEWS.length]);
  $(`tab-${shown}`).focus();
}

for (const view of VIEWS) $(`tab-${view}`).addEventListener("click", () => select(view));
document.querySelector("nav").addEventListener("keydown", move);
document.addEventListener("visibilitychange", refresh);
$("destination").addEventListener("change", refresh);
$("login").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value.trim();
  sessionStorage.setItem(TOKEN_KEY, token);
  connect();
});
for (const phase of PHASES) $("legend").append(element("span", { class: phase }), phase);
setInterval(refresh, REFRESH_MS);
if (token) sessionStorage.setItem(TOKEN_KEY, token);
select(shown);
connect();
