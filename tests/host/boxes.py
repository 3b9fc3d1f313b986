"""Graphs with ComfyUI's own nodes that find or make boxes."""

from __future__ import annotations

import json
from typing import Any

from .faces import FaceGraph
from .graphs import Link, Node
from .mediapipe import NAME

Place = dict[str, Any]
"""A box as the host's nodes give it: x, y, width and height in pixels, perhaps more."""


class BoxGraph(FaceGraph):
    """A graph under construction with these nodes, and Detect Faces behind them."""

    def create(self, boxes: list[Place], size: tuple[int, int] = (192, 512)) -> Link:
        # Wrapped as the page does it: a list alone would be a link.
        places = {"__value__": [{**box, "metadata": {}} for box in boxes]}
        return self.add("CreateBoundingBoxes", height=size[0], width=size[1], editor_state=places)[1]

    def network(self, kind: str, boxes: list[Place]) -> Link:
        return self.add("RefldmProbeDetectionModel", kind=kind, boxes=json.dumps(boxes))[0]

    def rtdetr(self, image: Link, boxes: list[Place]) -> Link:
        model = self.network("rtdetr", boxes)
        settings = {"threshold": 0.5, "class_name": "all", "max_detections": 100}
        return self.add("RTDETR_detect", model=model, image=image, **settings)[0]

    def sam3(self, image: Link, boxes: list[Place]) -> Link:
        model, prompt = self.network("sam3", boxes), self.add("RefldmProbeConditioning")[0]
        settings = {"threshold": 0.5, "refine_iterations": 0, "individual_masks": False}
        return self.add("SAM3_Detect", model=model, image=image, conditioning=prompt, **settings)[1]

    def sdpose(self, box: Place, size: tuple[int, int], count: int) -> Link:
        corners = [box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]]
        settings = {"height": size[0], "width": size[1], "count": count}
        points = self.add("RefldmProbeKeypoints", box=json.dumps(corners), **settings)[0]
        return self.add("SDPoseFaceBBoxes", keypoints=points, scale=1.0, force_square=False)[0]

    def mediapipe(self, image: Link) -> tuple[Link, Link]:
        """Landmarks and boxes."""
        network = self.add("LoadMediaPipeFaceLandmarker", model_name=NAME)[0]
        settings = {"num_faces": 1, "min_confidence": 0.5, "missing_frame_fallback": "empty"}
        detected = self.add(
            "MediaPipeFaceLandmarker", face_detection_model=network, image=image, detector_variant="both", **settings
        )
        return detected[0], detected[1]

    def boxed(self, image: Link, bboxes: Link, detector: Link | None = None, **settings: object) -> Node:
        """Detect Faces in boxes."""
        detected = self.detect(image, detector or bboxes, bboxes=bboxes, **settings)
        if detector is None:
            del self.api[detected.number]["inputs"]["face_detector"]
        return detected
