/** What this pack adds to the page: views of a node's own widgets and results. Without it, the nodes work the same. */

import { app } from "../../scripts/app.js";
import { addPicker } from "./picker.js";

const PANELS = {
  ReFLDM_DetectFaces: addPicker,
};

app.registerExtension({
  name: "ReFLDM",
  nodeCreated(node) {
    PANELS[node.comfyClass]?.(node);
  },
});
