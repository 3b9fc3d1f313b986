/** What this pack adds to the page: views of a node's own widgets and results. Without it, the nodes work the same. */

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
  // The key R, which asks the server for the choices again.
  refreshComboInNodes: refreshGalleries,
});
