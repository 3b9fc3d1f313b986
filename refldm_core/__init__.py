"""ReF-LDM (Hsiao et al., NeurIPS 2024, arXiv 2412.05043): face restoration guided by photos of the same person.

Importing this package imports no large library. The code that uses a module imports it.
"""

__version__ = "0.1.0"
