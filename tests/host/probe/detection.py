"""Stand-ins for the host's detection networks. The host's own nodes run them, and they find the boxes of a test."""

import json

import comfy.model_patcher
import torch


class FixedDetector(torch.nn.Module):
    """A network for RTDETR_detect and SAM3_Detect that finds the same boxes in every picture."""

    def __init__(self, kind, boxes):
        super().__init__()
        self.kind = kind
        self.boxes = boxes
        self.diffusion_model = self._find

    def get_dtype(self):
        return torch.float32

    def _find(self, images, size=None, **named):
        corners = torch.tensor([[b["x"], b["y"], b["x"] + b["width"], b["y"] + b["height"]] for b in self.boxes])
        scores = torch.tensor([b["score"] for b in self.boxes])
        if self.kind == "sam3":
            masks = torch.zeros(len(self.boxes), 8, 8)
            return {"boxes": [corners], "scores": [torch.logit(scores)], "masks": [masks]}
        labels = torch.tensor([b["class"] for b in self.boxes])
        return [{"boxes": corners, "scores": scores, "labels": labels}] * len(images)


class DetectionModel:
    """A MODEL for RTDETR_detect ("rtdetr") or SAM3_Detect ("sam3")."""

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "make"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"kind": ("STRING",), "boxes": ("STRING",)}}

    def make(self, kind, boxes):
        network, cpu = FixedDetector(kind, json.loads(boxes)), torch.device("cpu")
        return (comfy.model_patcher.ModelPatcher(network, load_device=cpu, offload_device=cpu),)


class FaceKeypoints:
    """The output of SDPoseKeypointExtractor for one person in each picture: 70 face points at the corners of a box."""

    RETURN_TYPES = ("POSE_KEYPOINT",)
    FUNCTION = "make"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"box": ("STRING",), "width": ("INT",), "height": ("INT",), "count": ("INT",)}}

    def make(self, box, width, height, count):
        left, top, right, bottom = json.loads(box)
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        points = [value for i in range(70) for value in (*corners[i % 4], 1.0)]
        people = [{"face_keypoints_2d": points}]
        return ([{"canvas_width": width, "canvas_height": height, "people": people} for _ in range(count)],)


NODES = {"RefldmProbeDetectionModel": DetectionModel, "RefldmProbeKeypoints": FaceKeypoints}
