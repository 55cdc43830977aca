"use strict";
// Draws what /api/state says, each second. Names come from configurations and statistics: they become text, never markup.

const SVG = "http://www.w3.org/2000/svg";
const COLOURS = 8;
const EVENT_NAMES = {
  fallbacks: "fallback", ejections: "ejection", recoveries: "recovery", faults: "fault", mirrors: "mirror", overrides: "override",
};
const CONDITIONS = { unknown: "connecting", answers: "live", silent: "no answer", "without-filter": "no filter" };
let seconds = 300;

const byId = (id) => document.getElementById(id);
const integer = new Intl.NumberFormat("en");
const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function drawn(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return node;
}

// Numbers for people.
const count = (number) => integer.format(number);
const percent = (share) => {
  if (share === null) return "–";
  const text = (share * 100).toFixed(1);
  if (share > 0 && text === "0.0") return "< 0.1 %";
  if (share < 1 && text === "100.0") return "> 99.9 %";
  return `${text} %`;
};
const rate = (number) => (number > 0 && number < 0.05 ? "< 0.1" : number.toFixed(number < 100 ? 1 : 0));
const duration = (milliseconds) => {
  if (milliseconds < 1) return "< 1 ms";
  if (milliseconds < 1000) return `${Math.floor(milliseconds)} ms`;
  return `${(milliseconds / 1000).toFixed(milliseconds < 10000 ? 2 : 1)} s`;
};
const ago = (then, now) => {
  if (then === null) return "before the board";
  const passed = Math.max(0, Math.round((now - then) / 1000));
  if (passed < 2) return "now";
  if (passed < 120) return `${passed} s ago`;
  return passed < 7200 ? `${Math.round(passed / 60)} min ago` : `${Math.round(passed / 3600)} h ago`;
};
const span = (length) => (length < 60 ? `${length} s` : `${length / 60} min`);
const versionName = (version) => (version === "-" || version === "" ? "(no subset)" : version);
const colour = (index) => `c${index % COLOURS}`;

// The first label of a full name; all of it is shown beside.
function serviceName(host) {
  if (host === "-") return "Answered by a rule";
  if (host === "") return "(no name)";
  return /\.svc\./.test(host) ? host.split(".")[0] : host;
}

const WIDTH = 1120, LEFT = 44, RIGHT = 1010, TOP = 8, SHARE = 170, GAP = 16, RATES = 44;
const BOTTOM = TOP + SHARE + GAP + RATES;

function plot(service, view) {
  const steps = view.steps.length;
  const x = (step) => Math.round(LEFT + ((RIGHT - LEFT) * step) / steps);
  const y = (share) => TOP + SHARE * (1 - share);
  const svg = drawn("svg", { viewBox: `0 0 ${WIDTH} ${BOTTOM + 24}`, role: "img", "aria-label": summary(service, view) });
  const hatch = drawn("pattern", { id: "hatch", width: 8, height: 8, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
  hatch.append(drawn("line", { class: "hatch", x1: 0, y1: 0, x2: 0, y2: 8 }));
  svg.append(drawn("defs", {}, hatch));
  svg.append(drawn("rect", { class: "idle", x: LEFT, y: TOP, width: RIGHT - LEFT, height: SHARE }));
  const sums = view.steps.map((_, step) => service.versions.reduce((sum, version) => sum + version.plot[step], 0));
  view.steps.forEach((step, index) => {
    const silent = step.known === 0 && sums[index] === 0;
    if (silent) svg.append(drawn("rect", { class: "silent", x: x(index), y: TOP, width: x(index + 1) - x(index), height: SHARE }));
  });
  const base = sums.map(() => 0);
  service.versions.forEach((version, number) => {
    const layer = layerOf(version, sums, base, x, y);
    if (layer) svg.append(drawn("path", { class: `${colour(number)} edge`, d: layer }, drawn("title", {}, versionName(version.version))));
  });
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    svg.append(drawn("line", { class: "grid", x1: LEFT - 4, x2: share % 1 === 0 ? RIGHT : LEFT, y1: y(share), y2: y(share) }));
    if (share * 2 % 1 === 0) svg.append(drawn("text", { x: LEFT - 8, y: y(share) + 4, "text-anchor": "end" }, `${share * 100} %`));
  }
  svg.append(...labels(service, sums, y));
  svg.append(...rates(service, view, sums, x));
  for (const change of view.changes) {
    const at = LEFT + ((RIGHT - LEFT) * (change - view.steps[0].at)) / (view.step * 1000 * steps);
    svg.append(drawn("line", { class: "change", x1: at, x2: at, y1: TOP, y2: BOTTOM }, drawn("title", {}, "another configuration")));
    const isFree = at > LEFT + 80 && at < RIGHT - 60;
    if (isFree) svg.append(drawn("text", { x: at, y: BOTTOM + 18, "text-anchor": "middle" }, "new config"));
  }
  const edges = [[LEFT, "start", `−${span(view.window)}`], [RIGHT, "end", "now"]];
  for (const [at, anchor, text] of edges) svg.append(drawn("text", { x: at, y: BOTTOM + 18, "text-anchor": anchor }, text));
  return svg;
}

// The area of one version on top of those before it, in pieces where nobody asked.
function layerOf(version, sums, base, x, y) {
  let path = "";
  let upper = [], lower = [];
  const close = () => {
    if (upper.length) path += `M${upper.join("L")}L${lower.reverse().join("L")}Z`;
    upper = [];
    lower = [];
  };
  sums.forEach((sum, step) => {
    if (sum === 0) return close();
    const from = base[step], to = from + version.plot[step] / sum;
    base[step] = to;
    if (from === to) return close();
    upper.push(`${x(step)},${y(to)}`, `${x(step + 1)},${y(to)}`);
    lower.push(`${x(step)},${y(from)}`, `${x(step + 1)},${y(from)}`);
  });
  close();
  return path;
}

// Names and shares beside the last step that has any, kept apart.
function labels(service, sums, y) {
  const last = sums.findLastIndex((sum) => sum > 0);
  if (last < 0) return [drawn("text", { x: (LEFT + RIGHT) / 2, y: TOP + SHARE / 2 + 4, "text-anchor": "middle" }, "no requests in this window")];
  let base = 0;
  const all = service.versions.map((version) => {
    const share = version.plot[last] / sums[last];
    base += share;
    return { name: versionName(version.version), share, at: y(base - share / 2) };
  }).filter((label) => label.share > 0);
  for (let index = 1; index < all.length; index += 1) all[index].at = Math.min(all[index].at, all[index - 1].at - 15);
  const below = TOP - Math.min(...all.map((label) => label.at));
  return all.map(({ name, share, at }) => {
    const text = drawn("text", { x: RIGHT + 8, y: at + 4 + Math.max(0, below) });
    text.append(drawn("tspan", { class: "name" }, name.length > 8 ? `${name.slice(0, 7)}…` : name), ` ${Math.round(share * 100)} %`);
    return text;
  });
}

// Requests a second, those answered with 5xx at the bottom.
function rates(service, view, sums, x) {
  const each = (numbers) => numbers.map((number, step) => number / Math.max(1, view.steps[step].known / 1000));
  const all = each(sums);
  const failed = each(sums.map((_, step) => service.versions.reduce((sum, version) => sum + version.failed[step], 0)));
  const most = Math.max(...all, 0);
  const height = (number) => (most > 0 ? (RATES * Math.min(number, most)) / most : 0);
  const bars = (kind, numbers, least) => {
    const path = numbers.map((number, step) => (number > 0 ? `M${x(step)},${BOTTOM}V${BOTTOM - Math.max(least, height(number))}H${x(step + 1) - 1}V${BOTTOM}Z` : "")).join("");
    return path ? [drawn("path", { class: kind, d: path })] : [];
  };
  const unit = drawn("text", { x: RIGHT + 8, y: BOTTOM - RATES + 20 }, "requests/s");
  const error = drawn("text", { x: RIGHT + 8, y: BOTTOM - RATES + 36 });
  if (failed.some((number) => number > 0)) error.append(drawn("tspan", { class: "failed" }, "■"), " 5xx");
  return [
    ...bars("rate", all, 1), ...bars("failed", failed, 3),
    drawn("line", { class: "grid", x1: LEFT - 4, x2: RIGHT, y1: BOTTOM, y2: BOTTOM }),
    drawn("text", { x: LEFT - 8, y: BOTTOM - RATES + 10, "text-anchor": "end" }, most > 0 ? rate(most) : ""),
    drawn("text", { x: LEFT - 8, y: BOTTOM + 1, "text-anchor": "end" }, "0"), unit, error,
  ];
}

function summary(service, view) {
  const shares = service.versions.filter((version) => version.requests > 0).map((version) => `${versionName(version.version)} ${percent(version.share)}`);
  return `Share of the requests for ${service.host} in the last ${span(view.window)}: ${shares.join(", ") || "no requests"}`;
}

function reasonsOf(reasons) {
  return Object.entries(reasons).sort(([, one], [, other]) => other - one).map(([reason, requests]) => `${reason} ${count(requests)}`).join(" · ");
}

const HEAD = [
  ["Version", ""], ["Share", "number"], ["Requests/s", "number"], ["Requests", "number"], ["5xx", "number"], ["4xx", "number"],
  ["Client gone", "number"], ["p50", "number"], ["p95", "number"], ["p99", "number"], ["Why", ""],
];

function versionsTable(service) {
  const head = HEAD.map(([name, kind]) => element("th", { scope: "col", class: kind }, name));
  const rows = service.versions.map((version, number) => {
    const answers = Object.values(version.classes).reduce((sum, one) => sum + one, 0);
    const part = (kind) => (answers > 0 ? count(version.classes[kind] || 0) : "–");
    const latency = version.latency ? version.latency.map(duration) : ["–", "–", "–"];
    const failing = version.errors > 0 ? `${count(version.classes["5xx"])} (${percent(version.errors)})` : part("5xx");
    const cells = [percent(version.share), rate(version.rate), count(version.requests)].map((text) => element("td", { class: "number" }, text));
    cells.push(element("td", { class: version.errors > 0 ? "number bad" : "number" }, failing));
    cells.push(...[part("4xx"), part("none"), ...latency].map((text) => element("td", { class: "number" }, text)));
    cells.push(element("td", { class: "reasons" }, reasonsOf(version.reasons)));
    const name = element("th", { scope: "row" }, element("span", { class: `swatch ${colour(number)}` }), versionName(version.version));
    return element("tr", { "data-version": version.version, class: version.requests > 0 ? "" : "dim" }, name, ...cells);
  });
  const table = element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
  return element("div", { class: "scroll" }, table);
}

function card(service, view) {
  const name = serviceName(service.host);
  const title = element("div", { class: "title" }, element("h2", {}, name));
  if (service.host !== name && service.host !== "-") title.append(element("span", { class: "full" }, service.host));
  title.append(element("span", { class: "sum" }, `${count(service.requests)} requests in ${span(view.window)}`));
  const section = element("section", { class: "card", "data-host": service.host, "aria-label": name }, title);
  if (service.host === "-") {
    section.append(element("p", { class: "empty" }, "No version was asked: a redirect, a direct response, or no rule matched (no-rule)."), versionsTable(service));
  } else {
    section.append(plot(service, view), versionsTable(service));
  }
  return section;
}

function drawServices(view) {
  const busy = view.services.filter((service) => service.requests > 0);
  const idle = view.services.filter((service) => service.requests === 0);
  const cards = busy.sort((one, other) => other.requests - one.requests).map((service) => card(service, view));
  if (idle.length) {
    const names = idle.map((service) => serviceName(service.host)).join(", ");
    cards.push(element("p", { class: "empty" }, `No requests in the last ${span(view.window)} for ${names}.`));
  } else if (!busy.length && view.configurations.length) {
    const empty = element("p", { class: "empty" }, "No request for a host that the configuration knows so far. As soon as there is one, its service appears here.");
    cards.push(element("section", { class: "card" }, element("h2", {}, "Waiting for requests"), empty));
  }
  byId("services").replaceChildren(...cards);
}

function drawEvents(view) {
  const all = Object.entries(view.events).flatMap(([kind, events]) => events.map((event) => ({ kind, ...event })));
  all.sort((one, other) => (other.last || 0) - (one.last || 0));
  const rows = all.map(({ kind, labels, count: own, total, last }) => {
    const what = labels.from ? `${labels.from} → ${labels.to}` : labels.version || (labels.cluster ? `to ${labels.cluster}` : labels.type || "");
    const why = labels.reason || labels.result || (labels.version ? labels.type || "" : "");
    const texts = [labels.host ? serviceName(labels.host) : "", what, why].map((text) => element("td", {}, text));
    const numbers = [count(own), count(total), ago(last, view.now)].map((text) => element("td", { class: "number" }, text));
    return element("tr", { "data-event": kind, class: own > 0 ? "" : "dim" }, element("th", { scope: "row" }, EVENT_NAMES[kind]), ...texts, ...numbers);
  });
  const table = byId("events").querySelector("table");
  table.hidden = rows.length === 0;
  byId("no-events").hidden = rows.length > 0;
  table.tBodies[0].replaceChildren(...rows);
}

function drawHead(envoy, view) {
  const condition = byId("condition");
  condition.textContent = CONDITIONS[envoy.condition] || envoy.condition;
  condition.className = `pill ${envoy.condition}`;
  byId("address").textContent = `Envoy at ${envoy.address}`;
  const configurations = view.configurations.map(({ plugin, version, refused }) => {
    const name = view.configurations.length > 1 ? ` of ${plugin}` : "";
    return `configuration${name} ${version}${refused > 0 ? ` (${count(refused)} × refused another)` : ""}`;
  });
  byId("configuration").textContent = configurations.join(", ");
  const since = clock.format(envoy.since);
  let text = "";
  if (envoy.condition === "silent") text = `Envoy does not answer since ${since}: ${envoy.reason}`;
  if (envoy.condition === "without-filter") {
    text = `Envoy answers, but shows no metric of the filter since ${since}: it is not loaded, its first configuration was refused, or its statistics (wasmcustom.) are left out.`;
  }
  if (view.truncated) text += " There are too many series: some are left out.";
  notice(text, envoy.condition);
}

function notice(text, kind) {
  const node = byId("notice");
  node.hidden = !text;
  node.className = kind;
  if (node.textContent !== text) node.textContent = text;
}

async function refresh() {
  try {
    const response = await fetch(`/api/state?window=${seconds}`);
    if (!response.ok) throw new Error(await response.text());
    const { envoy, view } = await response.json();
    drawHead(envoy, view);
    drawServices(view);
    drawEvents(view);
  } catch (error) {
    notice(`The board itself does not answer: ${error.message}`, "silent");
  }
}

async function explain(event) {
  event.preventDefault();
  const form = new FormData(event.target);
  const question = { method: form.get("method"), url: form.get("url"), headers: form.get("headers").split("\n") };
  const shown = [];
  try {
    const response = await fetch("/api/explain", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(question) });
    const said = await response.json();
    if (said.error) shown.push(element("pre", { class: "bad" }, said.error));
    for (const { text, answer } of said.answers || []) {
      shown.push(element("pre", {}, text), element("details", {}, element("summary", {}, "As data"), element("pre", {}, JSON.stringify(answer, null, 2))));
    }
  } catch (error) {
    shown.push(element("pre", { class: "bad" }, `The board does not answer: ${error.message}`));
  }
  byId("answers").replaceChildren(...shown);
}

byId("explain").addEventListener("submit", explain);
byId("windows").addEventListener("click", ({ target }) => {
  if (!target.dataset.seconds) return;
  seconds = Number(target.dataset.seconds);
  for (const button of byId("windows").children) button.setAttribute("aria-pressed", String(button === target));
  refresh();
});
refresh();
setInterval(refresh, 1000);
