// Requests to Python and their answers: numbered, cancellable, and with a word for a kernel that does not answer.
//
// A request is {v, view, id, kind, payload}. Answers carry the same view and id and a type: "ok", "error", "progress" or
// "cancelled". What happens without being asked for comes as {v, type: "event", kind, seq, payload}.

export const PROTOCOL_VERSION = 1;
export const PATIENCE_MS = 4000;
/** A web socket of a notebook server takes about 10 MB; nothing that a person draws comes near this. */
export const MAX_REQUEST_CHARACTERS = 1_000_000;

export class RequestError extends Error {
  constructor(kind, message, details = "") {
    super(message);
    this.name = kind;
    this.details = details;
  }
}

export class Client {
  /**
   * @param send called with a message that can be written as JSON
   * @param options view: name of this view; onEvent(kind, payload, buffers, seq); onLink("ok" | "waiting" | "gone");
   *   patience in milliseconds
   */
  constructor(send, { view, onEvent = () => {}, onLink = () => {}, patience = PATIENCE_MS } = {}) {
    this.sendMessage = send;
    this.view = view;
    this.onEvent = onEvent;
    this.onLink = onLink;
    this.patience = patience;
    this.link = "ok";
    this.nextId = 1;
    this.open = new Map();
    this.timer = null;
    this.isDoomed = false;
  }

  get isBusy() {
    return this.open.size > 0;
  }

  /** Ask for something; resolves with {payload, buffers}, rejects with a RequestError. */
  request(kind, payload = {}, { signal, onProgress } = {}) {
    const id = this.nextId++;
    const message = { v: PROTOCOL_VERSION, view: this.view, id, kind, payload };
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(new RequestError("Cancelled", "given up before it was sent"));
        return;
      }
      const size = JSON.stringify(message).length;
      if (size > MAX_REQUEST_CHARACTERS) {
        reject(new RequestError("TooLarge", `This is too much to send at once (${size} characters); draw less in one go.`));
        return;
      }
      this.open.set(id, { resolve, reject, onProgress });
      signal?.addEventListener("abort", () => this.cancel(id), { once: true });
      this._send(message);
      this._watch();
    });
  }

  /** Give a request up; Python is told, so that work that has not begun is left out. */
  cancel(id) {
    const entry = this.open.get(id);
    if (!entry) return;
    this.open.delete(id);
    entry.reject(new RequestError("Cancelled", "given up"));
    this._send({ v: PROTOCOL_VERSION, view: this.view, id, kind: "cancel", payload: {} });
  }

  /** Take a message from Python in. */
  receive(message, buffers = []) {
    if (typeof message !== "object" || message === null || !("v" in message)) return;
    if (message.v !== PROTOCOL_VERSION) {
      this._fail(new RequestError(
        "VersionError",
        `This view speaks version ${PROTOCOL_VERSION}, the kernel version ${message.v}: reload the page, or run the cell again.`
      ));
      return;
    }
    if (message.type === "event") {
      this._heard();
      this.onEvent(message.kind, message.payload, buffers, message.seq);
      return;
    }
    if (message.view !== this.view) return;
    this._heard();
    const entry = this.open.get(message.id);
    if (!entry) return; // given up meanwhile
    if (message.type === "progress") {
      entry.onProgress?.(message.payload);
      return;
    }
    this.open.delete(message.id);
    if (message.type === "ok") entry.resolve({ payload: message.payload, buffers });
    else if (message.type === "cancelled") entry.reject(new RequestError("Cancelled", "given up"));
    else entry.reject(new RequestError(message.error?.kind ?? "Error", message.error?.message ?? "", message.error?.details));
  }

  /** The connection was cut or made anew: whoever is there has to answer soon. */
  doubt() {
    this.isDoomed = true;
    this.request("hello", {}).catch(() => {});
  }

  close() {
    clearTimeout(this.timer);
    this.timer = null;
    this.open.clear();
    this.sendMessage = () => {};
  }

  _send(message) {
    try {
      this.sendMessage(message);
    } catch {
      this._setLink("gone");
    }
  }

  _watch() {
    if (this.timer !== null) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      if (!this.open.size) return;
      if (this.isDoomed) {
        this._setLink("gone");
        this._fail(new RequestError("KernelGone", "The kernel does not answer."));
      } else {
        this._setLink("waiting");
        this._watch();
      }
    }, this.patience);
  }

  _heard() {
    clearTimeout(this.timer);
    this.timer = null;
    this.isDoomed = false;
    this._setLink("ok");
    queueMicrotask(() => this.open.size && this._watch());
  }

  _fail(error) {
    const open = [...this.open.values()];
    this.open.clear();
    for (const entry of open) entry.reject(error);
  }

  _setLink(link) {
    if (this.link === link) return;
    this.link = link;
    this.onLink(link);
  }
}
