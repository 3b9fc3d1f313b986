"""People who do not exist, rendered in three dimensions with numpy and scipy alone.

`person(seed)` draws a person. `conditions(seed)` draws everything else about a picture, such as pose, expression, light
and background. `portrait` renders an aligned face, `scene` a group photo, and `clip` a video.
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
