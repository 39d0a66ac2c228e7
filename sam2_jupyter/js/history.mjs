// Drawings that were sent and not answered yet: shown at once, and taken away when the answer is there or they failed.

export class GestureHistory {
  constructor() {
    this.entries = [];
    this.nextId = 1;
  }

  /** Note a drawing that goes out; returns its number. */
  add(frame, object, drawing) {
    const entry = { id: this.nextId++, frame, object, drawing, state: "sent" };
    this.entries.push(entry);
    return entry.id;
  }

  /** It is a prompt now; the mask is to come. */
  accept(id, objects) {
    const entry = this._find(id);
    if (entry) Object.assign(entry, { state: "accepted", objects });
  }

  /** It was refused. */
  refuse(id) {
    this.entries = this.entries.filter((entry) => entry.id !== id);
  }

  /** Prompts of a frame came from Python: what was accepted is among them. */
  settle(frame) {
    this.entries = this.entries.filter((entry) => entry.frame !== frame || entry.state === "sent");
  }

  /** Those to draw on a frame. */
  pending(frame) {
    return this.entries.filter((entry) => entry.frame === frame);
  }

  clear() {
    this.entries = [];
  }

  _find(id) {
    return this.entries.find((entry) => entry.id === id);
  }
}
