"""Build graphs in which nodes of ComfyUI find or make boxes."""

from __future__ import annotations

import json
from typing import Any

from .faces import FaceGraph
from .graphs import Link, Node
from .mediapipe import NAME

Box = dict[str, Any]
"""A box as the host's nodes output it: x, y, width and height in pixels, and possibly other keys."""


class BoxGraph(FaceGraph):
    """A graph with nodes that make boxes, and with Detect Faces, which takes them."""

    def create_boxes(self, boxes: list[Box], size: tuple[int, int] = (192, 512)) -> Link:
        # The page wraps the list in the same way. A plain list would mean a link.
        state = {"__value__": [{**box, "metadata": {}} for box in boxes]}
        return self.add("CreateBoundingBoxes", height=size[0], width=size[1], editor_state=state)[1]

    def detection_model(self, kind: str, boxes: list[Box]) -> Link:
        return self.add("RefldmProbeDetectionModel", kind=kind, boxes=json.dumps(boxes))[0]

    def rtdetr(self, image: Link, boxes: list[Box]) -> Link:
        model = self.detection_model("rtdetr", boxes)
        settings = {"threshold": 0.5, "class_name": "all", "max_detections": 100}
        return self.add("RTDETR_detect", model=model, image=image, **settings)[0]

    def sam3(self, image: Link, boxes: list[Box]) -> Link:
        model, prompt = self.detection_model("sam3", boxes), self.add("RefldmProbeConditioning")[0]
        settings = {"threshold": 0.5, "refine_iterations": 0, "individual_masks": False}
        return self.add("SAM3_Detect", model=model, image=image, conditioning=prompt, **settings)[1]

    def sdpose(self, box: Box, size: tuple[int, int], count: int) -> Link:
        corners = [box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]]
        settings = {"height": size[0], "width": size[1], "count": count}
        points = self.add("RefldmProbeKeypoints", box=json.dumps(corners), **settings)[0]
        return self.add("SDPoseFaceBBoxes", keypoints=points, scale=1.0, force_square=False)[0]

    def mediapipe(self, image: Link) -> tuple[Link, Link]:
        """Return the landmarks and the boxes."""
        network = self.add("LoadMediaPipeFaceLandmarker", model_name=NAME)[0]
        settings = {"num_faces": 1, "min_confidence": 0.5, "missing_frame_fallback": "empty"}
        node = self.add(
            "MediaPipeFaceLandmarker", face_detection_model=network, image=image, detector_variant="both", **settings
        )
        return node[0], node[1]

    def detect_in_boxes(self, image: Link, bboxes: Link, detector: Link | None = None, **settings: object) -> Node:
        """Add Detect Faces with boxes, and with a face detector if there is one."""
        node = self.detect(image, detector or bboxes, bboxes=bboxes, **settings)
        if detector is None:
            del self.api[node.number]["inputs"]["face_detector"]
        return node
