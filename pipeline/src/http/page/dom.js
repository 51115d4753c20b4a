// Making and updating elements. All text enters as text: there is no way from here to markup, to a style or to a handler by name.
//
// Cells are updated in place and only when they change, so that a poll of a hundred streams touches a few dozen nodes, keeps the focus
// where it is and lets a screen reader be.

export const byId = (id) => document.getElementById(id);

// An element with attributes (`text` is its text, `null` and `undefined` are left out) and children, nodes or strings.
export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") node.textContent = value;
    else if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// The same for SVG.
export function draw(tag, attributes = {}) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// `null` takes the attribute away.
export function setAttribute(node, name, value) {
  if (value === null) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) {
    node.setAttribute(name, value);
  }
}

export function show(node, wanted) {
  if (node.hidden === wanted) node.hidden = !wanted;
}

const lists = new WeakMap();

// Makes the children of `parent` those of `items`, in their order. `build(item)` makes `{ node, … }` for a key seen first and `update(part,
// item)` brings it up to date. What stays is not moved, so that it keeps focus and selection.
export function reconcile(parent, items, { key, build, update }) {
  const kept = lists.get(parent) ?? new Map();
  lists.set(parent, kept);
  const wanted = new Set(items.map(key));
  for (const [name, part] of kept) {
    if (!wanted.has(name)) {
      part.node.remove();
      kept.delete(name);
    }
  }
  let at = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    let part = kept.get(name);
    if (!part) {
      part = build(item);
      kept.set(name, part);
    }
    update(part, item);
    if (part.node === at) at = at.nextElementSibling;
    else parent.insertBefore(part.node, at);
  }
}

// A command line with a button that copies it. Where the browser has no clipboard for us, the line is selected instead.
export function command(line) {
  const code = make("code", { text: line });
  const button = make("button", { type: "button", class: "copy", "aria-label": `Copy: ${line}`, text: "Copy" });
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(line);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  return make("div", { class: "command" }, code, button);
}
