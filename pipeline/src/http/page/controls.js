// What an operator may change: pause, resume, throttle, heed the target's health, accept, refuse, log level. Always in two steps: what, and then once more with its
// consequences.
//
// The token is asked for once and kept in a private field of one object: not in storage, not in the address, not in the document. It leaves
// this page in one header only, to where the page came from. A token that is refused is forgotten.

import { byId, make, setText, show } from "./dom.js";
import { plural } from "./units.js";

// Longer than the service's own limit for a change, so that its word is heard.
const PATIENCE_MS = 30_000;
// The notice at the foot of the page stays so long.
const NOTICE_MS = 6_000;

// A header takes these and no more: anything else could not be the token, and must not look like a broken connection.
const TOKEN = /^[\x21-\x7e]+$/;
const NOT_A_TOKEN = { code: "not_a_token", detail: "A token has no spaces and no letters beyond ASCII." };

const who = (streams) => (streams.length === 0 ? "all streams" : streams.join(", "));

export class Controls {
  #token = null;
  #order = null;
  #streams = [];
  #sending = false;
  #notice = 0;

  // `changed()` is called when the service has done something.
  constructor(changed) {
    this.changed = changed;
    byId("choose-form").addEventListener("submit", (event) => this.#chosen(event));
    byId("choose-form").addEventListener("change", () => show(byId("rows-field"), this.#verb() === "throttle"));
    byId("choose-cancel").addEventListener("click", () => byId("choose").close());
    byId("confirm-form").addEventListener("submit", (event) => this.#send(event));
    byId("confirm-cancel").addEventListener("click", () => byId("confirm").close());
    byId("confirm").addEventListener("close", () => { byId("token").value = ""; });
    byId("forget").addEventListener("click", () => this.#remember(null));
  }

  // The header that reads carry where the service wants its token for them as well: beyond loopback it does.
  authorization() {
    return this.#token === null ? {} : { Authorization: `Bearer ${this.#token}` };
  }

  // Asks for the token alone: the service shows nothing without it. `wrong` says that the one there was is refused.
  unlock(wrong) {
    if (wrong) this.#remember(null);
    this.#confirm({ verb: "Continue", title: "This service wants its token", text: "It answers beyond its own machine and shows nothing to those who do not have it.", path: null });
    if (wrong) this.#wrong("", "The service refused that token.");
  }

  // Asks what to do with these streams (none: all). `state` says whether they are paused and throttled, where that is known.
  choose(streams, state = {}) {
    this.#streams = streams;
    setText(byId("choose-title"), `Control ${who(streams)}`);
    const likely = state.paused ? "resume" : "pause";
    for (const radio of byId("choose-form").elements.verb) {
      const idle = { pause: state.paused === true, resume: state.paused === false, unthrottle: state.throttled === false, ignore: state.ignores === true, heed: state.ignores === false };
      radio.disabled = idle[radio.value] === true;
      radio.checked = radio.value === likely;
    }
    byId("reason").value = "";
    show(byId("rows-field"), false);
    show(byId("choose-wrong"), false);
    byId("choose").showModal();
  }

  #verb() {
    return byId("choose-form").elements.verb.value;
  }

  #chosen(event) {
    event.preventDefault();
    const streams = this.#streams;
    const reason = byId("reason").value.trim();
    const rows = Number(byId("rows").value);
    if (this.#verb() === "throttle" && !(Number.isSafeInteger(rows) && rows > 0)) {
      setText(byId("choose-wrong"), "A throttle is a whole number of rows, at least 1. To stop a stream, pause it.");
      show(byId("choose-wrong"), true);
      return;
    }
    const orders = {
      pause: { path: "pause", body: { streams, reason }, verb: "Pause", done: "paused", text: "Capture goes on and the queue grows; nothing is applied until it is resumed. A pause outlives the service." },
      resume: { path: "resume", body: { streams, reason }, verb: "Resume", done: "resumed", text: "What waits in the queue is applied in its order, as fast as the target and the throttle allow." },
      throttle: { path: "throttle", body: { streams, rows_per_second: rows, reason }, verb: "Throttle", done: "throttled", text: `At most ${plural(rows, "row")} a second are written. A throttle outlives the service.` },
      unthrottle: { path: "throttle", body: { streams, rows_per_second: null, reason }, verb: "Take the throttle off", done: "no longer throttled", text: "Rows are written as fast as the target takes them." },
      ignore: { path: "throttle", body: { streams, target_health: "ignore", reason }, verb: "Ignore the target's health", done: "the target's health is ignored", text: "Rows are written even while a limit of the target's health is passed. It outlives the service." },
      heed: { path: "throttle", body: { streams, target_health: "heed", reason }, verb: "Heed the target's health", done: "the target's health is heeded", text: "Nothing is written while a limit of the target's health is passed; capture goes on." },
    };
    const order = orders[this.#verb()];
    byId("choose").close();
    this.#confirm({ ...order, title: `${order.verb}: ${who(streams)}?`, done: `${who(streams)}: ${order.done}.` });
  }

  // Accepts or refuses what is held.
  decide({ stream, subject, accept, detail, held }) {
    const verb = accept ? "Accept" : "Refuse";
    const ofRevision = accept ? "Accepting takes exactly this revision: what it deletes is deleted." : "Refusing leaves the table as it is; the stream waits for the next good revision.";
    const ofHalt = accept ? "Accepting lets the stream go on from here; what is lost stays lost, and rows may be deleted." : "Refusing lets the stream go on and keeps the rows.";
    const then = held ? ofRevision : ofHalt;
    this.#confirm({
      path: "decide", body: { stream, subject, accept }, verb, title: `${verb} for ${stream}?`, text: `${detail} ${then}`,
      done: `${stream}: ${subject} ${accept ? "accepted" : "refused"}.`, grave: accept,
    });
  }

  logLevel(level) {
    this.#confirm({
      path: "log-level", body: { level }, verb: `Log ${level}`, title: `Set the log level to ${level}?`, done: `Log level: ${level}.`,
      text: level === "debug" || level === "trace" ? "This writes a great deal. It lasts until it is set again or the service ends." : "It lasts until it is set again or the service ends.",
    });
  }

  #confirm(order) {
    this.#order = order;
    setText(byId("confirm-title"), order.title);
    setText(byId("confirm-text"), order.text);
    setText(byId("confirm-do"), order.verb);
    byId("confirm-do").classList.toggle("grave", order.grave === true);
    show(byId("confirm-wrong"), false);
    show(byId("token-field"), this.#token === null);
    byId("token").value = "";
    byId("confirm").showModal();
    // The way back has the focus: Enter alone changes nothing.
    byId(this.#token === null ? "token" : "confirm-cancel").focus();
  }

  #remember(token) {
    this.#token = token;
    show(byId("forget"), token !== null);
    if (token === null) show(byId("token-field"), true);
  }

  async #send(event) {
    event.preventDefault();
    // A second press while the first is under way is no second order.
    if (this.#sending) return;
    const token = this.#token ?? byId("token").value.trim();
    if (token === "") return this.#wrong("", "The service wants its token for this: what http.token in its configuration says.");
    const order = this.#order;
    if (order.path === null) {
      if (!TOKEN.test(token)) return this.#wrong(NOT_A_TOKEN.code, NOT_A_TOKEN.detail);
      this.#remember(token);
      byId("confirm").close();
      return this.changed();
    }
    this.#sending = true;
    byId("confirm-do").disabled = true;
    setText(byId("confirm-do"), "Sending…");
    try {
      const refused = await post(order, token);
      if (refused === null) {
        this.#remember(token);
        byId("confirm").close();
        this.#say(order.done);
        this.changed();
      } else {
        if (refused.status === 401) this.#remember(null);
        else if (refused.status !== 403) this.#remember(token);
        this.#wrong(refused.code, refused.detail);
      }
    } catch {
      this.#wrong("no_answer", "No answer came. Whether it was done is not known: look at the state before you try again.");
    } finally {
      this.#sending = false;
      byId("confirm-do").disabled = false;
      setText(byId("confirm-do"), order.verb);
    }
  }

  #wrong(code, detail) {
    byId("confirm-wrong").replaceChildren(...(code ? [make("code", { text: code }), " "] : []), detail);
    show(byId("confirm-wrong"), true);
    if (this.#token === null) byId("token").select();
  }

  #say(text) {
    setText(byId("said"), text);
    show(byId("said"), true);
    clearTimeout(this.#notice);
    this.#notice = setTimeout(() => show(byId("said"), false), NOTICE_MS);
  }
}

// Sends an order; null when it was done, the refusal otherwise. Throws when there is no answer.
async function post({ path, body }, token) {
  if (!TOKEN.test(token)) return { status: 401, ...NOT_A_TOKEN };
  const answer = await fetch(`/api/v1/${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
    body: JSON.stringify(body),
    cache: "no-store", credentials: "omit", redirect: "error",
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  if (answer.ok) return null;
  const said = await answer.json().catch(() => ({}));
  return { status: answer.status, code: String(said.code ?? answer.status), detail: String(said.detail ?? "The service refused and did not say why.") };
}
