/** The panels that this pack adds to the page: views of a node's widgets and results. Nodes work without them too. */

import { app } from "../../scripts/app.js";
import { addGallery, refreshGalleries } from "./gallery.js";
import { addPeople } from "./people.js";
import { addPicker } from "./picker.js";
import { addSlider } from "./slider.js";

const PANELS = {
  ReFLDM_DetectFaces: addPicker,
  ReFLDM_MatchPeople: addPeople,
  ReFLDM_PasteFaces: addSlider,
  ReFLDM_LoadReferences: addGallery,
};

app.registerExtension({
  name: "ReFLDM",
  nodeCreated(node) {
    PANELS[node.comfyClass]?.(node);
  },
  // ComfyUI calls this when the user presses R to load the choices again.
  refreshComboInNodes: refreshGalleries,
});
