// The thin part that knows anywidget: its model holds the values that are kept, and carries the messages.

import { Client } from "./protocol.mjs";
import { AnnotationView } from "./view.mjs";

let viewCount = 0;

function storeOf(model) {
  return {
    get: (name) => model.get(name),
    set(values) {
      for (const [name, value] of Object.entries(values)) model.set(name, value);
      model.save_changes();
    },
    on(name, callback, signal) {
      model.on(`change:${name}`, callback);
      signal?.addEventListener("abort", () => model.off(`change:${name}`, callback));
    },
  };
}

function render({ model, el, signal }) {
  // hosts before anywidget 0.10 give no signal, and call what is returned instead
  const ending = new AbortController();
  signal?.addEventListener("abort", () => ending.abort());
  const view = `${Date.now().toString(36)}-${++viewCount}`;
  const client = new Client((message) => model.send(message), { view });
  const root = document.createElement("div");
  el.append(root);
  const shown = new AnnotationView(root, storeOf(model), client, ending.signal);
  const hear = (message, buffers) => client.receive(message, buffers ?? []);
  // Jupyter says so when a kernel restarts or a connection is cut
  const doubt = () => client.doubt();
  model.on("msg:custom", hear);
  model.on("comm_live_update", doubt);
  ending.signal.addEventListener("abort", () => {
    model.off("msg:custom", hear);
    model.off("comm_live_update", doubt);
    shown.close();
    root.remove();
  });
  shown.start();
  return () => ending.abort();
}

export default { render };
