import assert from "node:assert/strict";
import { test } from "node:test";
import { estimateInWords } from "../../../sam2_jupyter/js/preset_choice.mjs";

const PRESETS = [{ name: "exact", label: "whole frames" }, { name: "crops", label: "close-ups" }];

test("the time of close-ups is the most it takes, and what is not known is left out", () => {
  assert.equal(estimateInWords(PRESETS, { exact: 12.4, crops: 0.3 }), "whole frames: about 12 s; close-ups: at most 1 s");
  assert.equal(estimateInWords(PRESETS, { exact: 600 }), "whole frames: about 10 min");
  assert.equal(estimateInWords(PRESETS, {}), "nothing is known of how long it takes");
});
