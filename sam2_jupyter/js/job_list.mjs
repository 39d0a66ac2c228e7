// What runs: progress, how long it will take, pause and cancel; and why something failed.

import { button, element, takeAway } from "./dom.mjs";

const ENDED = new Set(["done", "failed", "cancelled"]);

export class JobList {
  /** @param control (id, "cancel" | "pause" | "resume" | "stop") @param onFailed (message, details) @param heir of the focus */
  constructor(control, onFailed, heir) {
    this.heir = heir;
    this.control = control;
    this.onFailed = onFailed;
    this.jobs = new Map();
    this.root = element("div", { class: "sam2-jobs" });
  }

  get active() {
    return [...this.jobs.values()].map((entry) => entry.job).filter((job) => !ENDED.has(job.state));
  }

  /** Show all jobs; those that are not listed are gone. */
  setAll(jobs) {
    const ids = new Set(jobs.map((job) => job.id));
    for (const id of [...this.jobs.keys()]) if (!ids.has(id)) this._remove(id);
    for (const job of jobs) if (!ENDED.has(job.state)) this.show(job);
  }

  show(job) {
    const known = this.jobs.get(job.id);
    // several threads report: what is over stays so
    if (known && ENDED.has(known.job.state)) return;
    if (ENDED.has(job.state)) {
      this._remove(job.id);
      this.jobs.set(job.id, { job, row: null });
      if (job.state === "failed") this.onFailed(`${job.label}: ${job.error?.message ?? "failed"}`, job.error?.details);
      return;
    }
    const entry = known ?? this._add(job);
    entry.job = job;
    // answers to clicks are over before a bar could be read
    entry.row.hidden = job.kind === "segment";
    if (job.total) {
      entry.bar.max = job.total;
      entry.bar.value = job.done;
    } else entry.bar.removeAttribute("value");
    const eta = job.eta_seconds === null ? "" : `, ${duration(job.eta_seconds)} left`;
    // a training counts the seconds of its budget
    const count = job.total ? ` ${job.done} of ${job.total}${job.kind === "train" ? " s" : ""}` : "";
    entry.text.textContent = `${job.label}: ${job.state}${count}${eta}`;
    if (job.kind !== "train") entry.pause.firstChild.textContent = job.state === "paused" ? "Resume" : "Pause";
    entry.row.dataset.state = job.state;
    entry.row.dataset.done = job.done;
  }

  _add(job) {
    const entry = { job };
    entry.text = element("span", { id: `sam2-job-${job.id}-${Math.random().toString(36).slice(2)}` });
    entry.bar = element("progress", { "aria-labelledby": entry.text.id });
    // the time of a training would go on in a pause; it can be ended with what it has come to
    entry.pause = job.kind === "train"
      ? button("Stop", () => this.control(job.id, "stop"), { name: `stop ${job.label} and keep the best` })
      : button("Pause", () => this.control(job.id, entry.job.state === "paused" ? "resume" : "pause"));
    entry.cancel = button("Cancel", () => this.control(job.id, "cancel"), { name: `cancel ${job.label}` });
    entry.row = element("div", { class: "sam2-job", "data-kind": job.kind }, entry.text, entry.bar, entry.pause, entry.cancel);
    this.root.append(entry.row);
    this.jobs.set(job.id, entry);
    return entry;
  }

  _remove(id) {
    const row = this.jobs.get(id)?.row;
    if (row) takeAway(row, this.heir);
    this.jobs.delete(id);
  }
}

export function duration(seconds) {
  if (seconds < 1) return "less than 1 s";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
