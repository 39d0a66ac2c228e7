// What each action of the keys and buttons does.

/** The actions by name, for a view as it stands. */
export function commandsOf(view) {
  const frame = view.store.get("frame");
  const selected = view.store.get("selected");
  const withObject = (act) => () => (selected ? act() : view.say("Choose an object first: click on it in the list."));
  const cursor = (dx, dy) => () => view.drawing.moveCross(dx, dy);
  return {
    segment: withObject(() => view.ask("segment", { object: selected, frame })),
    accept: withObject(() => view.ask("accept", { object: selected, frame, locked: !view.book.masks(frame).get(selected)?.record.locked })),
    clear: withObject(() => view.ask("clear_prompt", { object: selected, frame })),
    divide: withObject(() => view.ask("divide_object", { object: selected })),
    delete_object: withObject(() => view.ask("delete_objects", { objects: [selected] })),
    propagate: withObject(() => view.ask("propagate", { objects: [selected], ...view.panels.propagation() })),
    propagate_all: () => view.ask("propagate", { objects: null, ...view.panels.propagation() }),
    everything: () => view.ask("everything", { frame, options: view.panels.everythingOptions() }),
    train: () => view.panels.training?.start(),
    sign: () => view.store.set({ positive: !view.store.get("positive") }),
    new_object: () => view.store.set({ selected: 0 }),
    carry: withObject(() => view.panels.carrying.start([selected])),
    next_review: () => view.panels.review.next(),
    accept_review: () => view.panels.review.accept(),
    compare: () => view.panels.review.compare(),
    undo: () => view.ask("undo", {}),
    redo: () => view.ask("redo", {}),
    save: () => view.panels.save(),
    cancel: () => view.cancel(),
    frame_next: () => view.go(view.stepped(1)),
    frame_back: () => view.go(view.stepped(-1)),
    frame_next_10: () => view.go(view.stepped(10)),
    frame_back_10: () => view.go(view.stepped(-10)),
    frame_first: () => view.go(view.stepped(-Infinity)),
    frame_last: () => view.go(view.stepped(Infinity)),
    position_next: () => view.panels.stepPosition(1),
    position_back: () => view.panels.stepPosition(-1),
    object_next: () => view.step(1),
    object_back: () => view.step(-1),
    masks: () => {
      view.showMasks = !view.showMasks;
      view.changed();
    },
    zoom_in: () => view.zoom(1.25),
    zoom_out: () => view.zoom(0.8),
    fit: () => view.fit(),
    brush_larger: () => view.drawing.setBrush(view.drawing.brushRadius * 1.25),
    brush_smaller: () => view.drawing.setBrush(view.drawing.brushRadius / 1.25),
    cursor_left: cursor(-1, 0),
    cursor_right: cursor(1, 0),
    cursor_up: cursor(0, -1),
    cursor_down: cursor(0, 1),
    cursor_left_10: cursor(-10, 0),
    cursor_right_10: cursor(10, 0),
    cursor_up_10: cursor(0, -10),
    cursor_down_10: cursor(0, 10),
    draw: () => view.drawing.drawAtCross(),
    finish: () => view.drawing.finish(),
    back: () => {
      if (view.drawing.gesture && !view.drawing.gesture.back()) view.drawing.cancelGesture();
      view.changed();
    },
    help: () => view.panels.toggleHelp(),
  };
}
