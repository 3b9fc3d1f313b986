"""The list of nodes, and what is registered once when ComfyUI loads them."""
# pyright: reportMissingImports=false

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from . import host, saved_people
from .degradation import Degrade
from .detection import DetectFaces
from .evaluation import FaceSimilarity
from .face_loaders import LoadFaceDetector, LoadFaceParser, LoadFaceRecognizer
from .landmarks import FacesFromLandmarks
from .loaders import LoadModel
from .paste import PasteFaces
from .people import MatchPeople
from .reference_selection import SelectReferences
from .references import BatchReferences, EncodeReferences, LoadReferences, SaveReferences
from .sampling import Sampler
from .stock_sampling import Conditioning, GuidanceInterval, Scheduler
from .video import RestoreVideo


class ReFLDMExtension(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        # ComfyUI 0.3.64 has no on_load, so this is the place to register. No folder is created before its first file.
        host.register_folders()
        host.register_routes(
            get={"people": saved_people.describe_people},
            pictures={"people/thumbnails": saved_people.thumbnail_strip},
            post={"people/rename": saved_people.rename_person, "people/delete": saved_people.delete_person},
        )
        return [
            LoadModel,
            EncodeReferences,
            BatchReferences,
            SaveReferences,
            LoadReferences,
            Conditioning,
            Sampler,
            Scheduler,
            GuidanceInterval,
            LoadFaceDetector,
            LoadFaceRecognizer,
            LoadFaceParser,
            DetectFaces,
            FacesFromLandmarks,
            SelectReferences,
            MatchPeople,
            PasteFaces,
            RestoreVideo,
            FaceSimilarity,
            Degrade,
        ]
