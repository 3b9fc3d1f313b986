"""People who do not exist, rendered in three dimensions with numpy and scipy alone.

`person(seed)` is somebody, `conditions(seed)` everything else about a picture; `portrait` renders an aligned face,
`scene` a group photo and `clip` a video.
"""

from .clip import Clip, clip
from .conditions import Conditions, conditions
from .identity import person
from .portrait import Portrait, portrait
from .scene import Scene, scene
from .traits import Person

__all__ = [
    "Clip",
    "Conditions",
    "Person",
    "Portrait",
    "Scene",
    "clip",
    "conditions",
    "person",
    "portrait",
    "scene",
]
