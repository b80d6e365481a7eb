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
  const { model, problem, sample, verdict, error, seconds } = index.columns;
  const total = model.length;
  const packedChunks = Array.from(document.querySelectorAll("script.chunk"), (node) => node.firstChild);
  const unpacked = new Map();
  let prompts = null;

  async function texts(row) {
    const chunk = Math.floor(row / index.chunk_size);
    if (!unpacked.has(chunk)) {
      if (unpacked.size >= 40) unpacked.delete(unpacked.keys().next().value);
      unpacked.set(chunk, unpack(packedChunks[chunk].data));
    }
    return (await unpacked.get(chunk))[row % index.chunk_size];
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
    return found;
  }

  async function filter() {
    search += 1;
    const mine = search;
    const wanted = byId("f-text").value.toLowerCase();
    const rows = matching();
    if (wanted === "") {
      show(rows, "");
      return;
    }
    const found = [];
    for (let i = 0; i < rows.length; i += 1) {
      const t = await texts(rows[i]);
      if (mine !== search) return;
      if (`${t.completion}\n${t.program}\n${t.error}`.toLowerCase().includes(wanted)) found.push(rows[i]);
      if (i % 2000 === 1999) show(found.slice(), ` (searching, ${Math.round((100 * i) / rows.length)} %)`);
    }
    show(found, "");
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

  async function choose(row) {
    chosen = row;
    draw();
    if (prompts === null) prompts = unpack(index.prompts);
    const [t, allPrompts] = await Promise.all([texts(row), prompts]);
    if (chosen !== row) return;
    const where = index.problems[problem[row]];
    const detail = byId("detail");
    const facts = [
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
    const parts = [
      element("h3", "", `${where.task} ${where.id} #${sample[row]} · ${index.models[model[row]]}`),
      element("p", "", facts.filter((fact) => fact !== "").join(" · ")),
    ];
    const prompt = allPrompts[problem[row]];
    const blocks = [
      ["Error", t.error],
      ["Prompt", prompt === null ? `(not at hand; its SHA-256 begins with ${t.sha})` : prompt],
      ["Completion as the model wrote it", t.completion],
      ["Program that was executed", t.program],
    ];
    for (const [title, text] of blocks) {
      if (title === "Error" && text === "") continue;
      const block = element("pre", "", text);
      block.dataset.part = title.split(" ")[0].toLowerCase();
      parts.push(element("h4", "", title), block);
    }
    detail.replaceChildren(...parts);
    detail.scrollTop = 0;
    detail.dataset.row = row;
  }

  let timer = 0;
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(filter, 150);
  };
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  for (const id of ["f-task", "f-model", "f-verdicts"]) byId(id).addEventListener("change", filter);
  for (const id of ["f-problem", "f-text"]) byId(id).addEventListener("input", later);
  byId("f-failed").addEventListener("click", () => {
    for (const box of boxes) box.checked = box.dataset.verdict !== "passed";
    filter();
  });
  function reset() {
    for (const box of boxes) box.checked = true;
    for (const id of ["f-task", "f-model", "f-problem", "f-text"]) byId(id).value = "";
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

  await filter();
  document.documentElement.dataset.readyMilliseconds = Math.round(performance.now());
})();
