"""What the face detectors and recognizers of the pack achieve on unseen rendered people, and on photographs."""
