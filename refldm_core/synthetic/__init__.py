"""People who do not exist, rendered in three dimensions with numpy and scipy alone.

`person(seed)` is somebody, `conditions(seed)` everything else about a picture; `portrait` renders an aligned face,
`scene` a group photo and `clip` a video.
"""
