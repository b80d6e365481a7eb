// The browser of completions: filters over an index of small numbers; texts are unpacked chunk by chunk when looked at.
// Everything that a model wrote enters the page through textContent.
"use strict";
(async () => {
  const ROW = 26;
  const byId = (id) => document.getElementById(id);
  const element = (tag, className, text) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  async function unpack(base64) {
    const bytes = Uint8Array.from(atob(base64.trim()), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  const index = await unpack(byId("index").textContent);
  const { model, problem, sample, verdict, error, seconds, at } = index.columns;
  const total = model.length;
  const packedChunks = Array.from(document.querySelectorAll("script.chunk"), (node) => node.firstChild);
  const unpacked = new Map();
  let problemTexts = null;

  async function texts(row) {
    const chunk = Math.floor(at[row] / index.chunk_size);
    if (!unpacked.has(chunk)) {
      if (unpacked.size >= 40) unpacked.delete(unpacked.keys().next().value);
      unpacked.set(chunk, unpack(packedChunks[chunk].data));
    }
    return (await unpacked.get(chunk))[at[row] % index.chunk_size];
  }

  // Filters. `shown` holds the rows that pass all of them, in order.
  const taskOf = index.problems.map((p) => index.tasks.indexOf(p.task));
  const nameOf = index.problems.map((p) => p.id.toLowerCase());
  let shown = [];
  let chosen = -1;
  let search = 0;

  function options(select, names) {
    select.append(new Option("all", ""));
    names.forEach((name, i) => select.append(new Option(name, i)));
  }
  options(byId("f-task"), index.tasks);
  options(byId("f-model"), index.models);
  const counts = new Array(index.verdicts.length).fill(0);
  for (const v of verdict) counts[v] += 1;
  const boxes = index.verdicts.map((name, i) => {
    const label = element("label");
    const box = element("input");
    box.type = "checkbox";
    box.checked = true;
    box.dataset.verdict = name;
    label.append(box, element("i", `mark v-${name}`), `${name} ${counts[i].toLocaleString("en")}`);
    byId("f-verdicts").append(label);
    return box;
  });

  function matching() {
    const task = byId("f-task").value;
    const wantedModel = byId("f-model").value;
    const text = byId("f-problem").value.trim().toLowerCase();
    const allowed = index.problems.map((_, p) =>
      (task === "" || taskOf[p] === Number(task)) &&
      (text === "" || (text.startsWith("=") ? nameOf[p] === text.slice(1) : nameOf[p].includes(text))));
    const on = boxes.map((box) => box.checked);
    const found = [];
    for (let row = 0; row < total; row += 1) {
      if (allowed[problem[row]] && on[verdict[row]] && (wantedModel === "" || model[row] === Number(wantedModel))) {
        found.push(row);
      }
    }
    const sort = byId("f-sort").value;
    const by = { model: (a, b) => model[a] - model[b], verdict: (a, b) => verdict[a] - verdict[b], slow: (a, b) => seconds[b] - seconds[a] }[sort];
    return by ? found.sort((a, b) => by(a, b) || a - b) : found;
  }

  // The state in the address: filters, the chosen completion and the one beside it.
  let beside = -1;
  const FIELDS = { task: "f-task", model: "f-model", problem: "f-problem", text: "f-text", sort: "f-sort" };

  function remember() {
    const state = new URLSearchParams();
    for (const [key, id] of Object.entries(FIELDS)) if (byId(id).value !== "") state.set(key, byId(id).value);
    if (boxes.some((box) => !box.checked)) state.set("verdicts", boxes.filter((b) => b.checked).map((b) => b.dataset.verdict).join(","));
    if (chosen >= 0) state.set("row", chosen);
    if (beside >= 0) state.set("beside", beside);
    const text = state.toString();
    if (text !== "" || location.hash.includes("=")) history.replaceState(null, "", text === "" ? "#browse" : `#${text}`);
  }

  function recall() {
    if (!location.hash.includes("=")) return -1;
    const state = new URLSearchParams(location.hash.slice(1));
    for (const [key, id] of Object.entries(FIELDS)) byId(id).value = state.get(key) ?? "";
    const wanted = state.has("verdicts") ? state.get("verdicts").split(",") : null;
    for (const box of boxes) box.checked = wanted === null || wanted.includes(box.dataset.verdict);
    const number = (key) => (/^\d+$/.test(state.get(key) ?? "") && Number(state.get(key)) < total ? Number(state.get(key)) : -1);
    beside = number("beside");
    return number("row");
  }

  async function filter() {
    remember();
    search += 1;
    const mine = search;
    const wanted = byId("f-text").value.toLowerCase();
    const rows = matching();
    if (wanted === "") {
      show(rows, "");
      return;
    }
    const found = new Set(); // looked for chunk by chunk, shown in the order asked for
    const inOrder = rows.slice().sort((a, b) => at[a] - at[b]);
    for (let i = 0; i < inOrder.length; i += 1) {
      const t = await texts(inOrder[i]);
      if (mine !== search) return;
      if (`${t.completion}\n${t.program}\n${t.error}`.toLowerCase().includes(wanted)) found.add(inOrder[i]);
      if (i % 2000 === 1999) show(rows.filter((row) => found.has(row)), ` (searching, ${Math.round((100 * i) / rows.length)} %)`);
    }
    show(rows.filter((row) => found.has(row)), "");
  }

  function show(rows, remark) {
    shown = rows;
    byId("count").textContent = `${rows.length.toLocaleString("en")} of ${total.toLocaleString("en")}${remark}`;
    byId("space").style.height = `${rows.length * ROW}px`;
    byId("list").scrollTop = 0;
    draw();
  }

  // Only the rows in view exist in the page.
  function draw() {
    const list = byId("list");
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 5);
    const last = Math.min(shown.length, first + Math.ceil(list.clientHeight / ROW) + 10);
    const made = [];
    for (let place = first; place < last; place += 1) {
      const row = shown[place];
      const line = element("div", row === chosen ? "row chosen" : "row");
      line.dataset.row = row;
      line.setAttribute("role", "option");
      line.title = index.verdicts[verdict[row]];
      const name = `${index.problems[problem[row]].id} #${sample[row]}`;
      const rest = `${index.models[model[row]]} · ${index.verdicts[verdict[row]]} ${index.errors[error[row]]}`;
      line.append(element("i", `mark v-${index.verdicts[verdict[row]]}`), element("b", "", name), element("span", "", rest));
      made.push(line);
    }
    byId("rows").style.top = `${first * ROW}px`;
    byId("rows").replaceChildren(...made);
  }

  const label = (row) => `${index.models[model[row]]} #${sample[row]}, ${index.verdicts[verdict[row]]}`;

  async function choose(row, other = -1) {
    chosen = row;
    beside = other;
    remember();
    draw();
    if (problemTexts === null) problemTexts = unpack(index.texts);
    const [t, allTexts, u] = await Promise.all([texts(row), problemTexts, other >= 0 ? texts(other) : null]);
    if (chosen !== row || beside !== other) return;
    const known = allTexts[problem[row]];
    const detail = byId("detail");
    const where = index.problems[problem[row]];
    const parts = [element("h3", "", `${where.task} ${where.id}`), element("p", "", facts(row, t)), chooser(row, other)];
    parts.push(...(u === null ? alone(row, t, known) : sideBySide(row, t, other, u)));
    parts.push(...aboutProblem(t, known, u === null));
    detail.replaceChildren(...parts);
    detail.scrollTop = 0;
    detail.dataset.row = row;
    detail.dataset.beside = other;
  }

  function facts(row, t) {
    const found = [
      `${index.models[model[row]]} #${sample[row]}`,
      `${index.verdicts[verdict[row]]}`,
      t.temperature === null ? "" : `T=${t.temperature}`,
      t.tokens ? `${t.tokens} tokens` : "",
      t.forwards ? `${t.forwards} forwards` : "",
      t.stop === "given" ? "" : `ended by ${t.stop}`,
      `${t.seconds} s wall`,
      `${t.cpu} s CPU`,
      t.bytes ? `${(t.bytes / 1048576).toFixed(0)} MiB` : "",
      t.retries ? `run again ${t.retries} times` : "",
      t.same_interpreter ? "judged in its own interpreter" : "",
    ];
    return found.filter((fact) => fact !== "").join(" · ");
  }

  // Other completions for the same problem, to be put beside this one.
  function chooser(row, other) {
    const line = element("label", "", "Beside it ");
    const select = element("select");
    select.id = "beside";
    select.append(new Option("nothing", "-1"));
    let count = 0;
    for (let i = 0; i < total && count < 300; i += 1) {
      if (i === row || problem[i] !== problem[row]) continue;
      select.append(new Option(label(i), i));
      count += 1;
    }
    select.value = String(other);
    select.addEventListener("change", () => choose(row, Number(select.value)));
    line.append(select);
    return line;
  }

  function block(title, text, part, open) {
    if (!text) return [];
    const made = element("details");
    made.open = open;
    const pre = element("pre", "", text);
    pre.dataset.part = part;
    made.append(element("summary", "", title), pre);
    return [made];
  }

  function alone(row, t) {
    const parts = [];
    const told = [
      ["failed", t.expression ? `${t.line === null ? "" : `line ${t.line} of the tests: `}${t.expression}` : ""],
      ["expected", t.expected],
      ["got", t.actual],
      ["error", t.expression && t.error.includes(t.expression) ? "" : t.error],
    ].filter(([, text]) => text);
    if (told.length > 0) {
      const box = element("div");
      box.id = "facts";
      for (const [name, text] of told) {
        const value = element("span", "", text);
        value.dataset.part = name;
        box.append(element("b", "", name), value);
      }
      parts.push(box);
    }
    parts.push(...block("Program that was executed", t.program, "program", true));
    return parts;
  }

  function aboutProblem(t, known, open) {
    const line = t.line;
    const parts = [];
    if (known !== null) {
      parts.push(...block("Tests", known.tests, "tests", open && known.tests.length < 4000));
      if (line !== null && parts.length > 0) markLine(parts[0].querySelector("pre"), known.tests, line);
      parts.push(...block("Reference solution", known.reference, "reference", false));
    }
    parts.push(...block("Completion as the model wrote it", t.completion, "completion", false));
    parts.push(...block("Prompt", known === null ? `(not at hand; its SHA-256 begins with ${t.sha})` : known.prompt || "(not known: the completions were read from a file)", "prompt", false));
    return parts;
  }

  function markLine(pre, text, number) {
    const lines = text.split("\n").map((line, i) => element("span", i + 1 === number ? "line failing" : "line", line));
    pre.replaceChildren(...lines);
  }

  // The two programs line by line; what stands in one only is coloured.
  function sideBySide(row, t, other, u) {
    const left = t.program.split("\n");
    const right = u.program.split("\n");
    const common = longestCommon(left, right);
    const pair = element("div", "pair");
    for (const [title, lines, kept, colour, error] of [
      [label(row), left, common[0], "gone", t.error],
      [label(other), right, common[1], "new", u.error],
    ]) {
      const side = element("div");
      const pre = element("pre");
      pre.append(...lines.map((line, i) => element("span", kept.has(i) ? "line" : `line ${colour}`, line)));
      side.append(element("h4", "", title), element("p", "", error), pre);
      pair.append(side);
    }
    return [pair];
  }

  // Indices of the lines that both have, in order (dynamic programming over at most 1,000 lines each).
  function longestCommon(a, b) {
    const n = Math.min(a.length, 1000);
    const m = Math.min(b.length, 1000);
    const best = Array.from({ length: n + 1 }, () => new Uint16Array(m + 1));
    for (let i = n - 1; i >= 0; i -= 1) {
      for (let j = m - 1; j >= 0; j -= 1) {
        best[i][j] = a[i] === b[j] ? best[i + 1][j + 1] + 1 : Math.max(best[i + 1][j], best[i][j + 1]);
      }
    }
    const kept = [new Set(), new Set()];
    for (let i = 0, j = 0; i < n && j < m; ) {
      if (a[i] === b[j]) {
        kept[0].add(i++);
        kept[1].add(j++);
      } else if (best[i + 1][j] >= best[i][j + 1]) i += 1;
      else j += 1;
    }
    return kept;
  }

  let timer = 0;
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(filter, 150);
  };
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  for (const id of ["f-task", "f-model", "f-sort", "f-verdicts"]) byId(id).addEventListener("change", filter);
  for (const id of ["f-problem", "f-text"]) byId(id).addEventListener("input", later);
  byId("f-failed").addEventListener("click", () => {
    for (const box of boxes) box.checked = box.dataset.verdict !== "passed";
    filter();
  });
  function reset() {
    for (const box of boxes) box.checked = true;
    for (const id of Object.values(FIELDS)) byId(id).value = "";
  }
  byId("f-reset").addEventListener("click", () => {
    reset();
    filter();
  });
  byId("list").addEventListener("scroll", () => requestAnimationFrame(draw));
  byId("rows").addEventListener("click", (event) => {
    const line = event.target.closest(".row");
    if (line) choose(Number(line.dataset.row));
  });
  byId("list").addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || shown.length === 0) return;
    event.preventDefault();
    const place = Math.min(shown.length - 1, Math.max(0, shown.indexOf(chosen) + step));
    const list = byId("list");
    if (place * ROW < list.scrollTop) list.scrollTop = place * ROW;
    if ((place + 1) * ROW > list.scrollTop + list.clientHeight) list.scrollTop = (place + 1) * ROW - list.clientHeight;
    choose(shown[place]);
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.problem");
    if (!link) return;
    reset();
    byId("f-task").value = index.tasks.indexOf(link.dataset.task);
    byId("f-problem").value = `=${link.dataset.problem}`;
    filter();
  });
  window.addEventListener("resize", draw);
  window.addEventListener("hashchange", () => {
    if (!location.hash.includes("=")) return;
    const row = recall();
    filter().then(() => (row >= 0 ? choose(row, beside) : undefined));
  });

  const first = recall();
  const second = beside;
  chosen = first;
  await filter();
  if (first >= 0) {
    await choose(first, second);
    byId("browse").scrollIntoView();
  }
  document.documentElement.dataset.readyMilliseconds = Math.round(performance.now());
})();
