"""ReF-LDM (Hsiao et al., NeurIPS 2024, arXiv 2412.05043): face restoration guided by photos of the same person.

Importing this package imports nothing heavy; the parts are imported where they are used.
"""

__version__ = "0.1.0"
