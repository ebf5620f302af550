"""Configuration of the documentation; build with ``sphinx-build -W --keep-going docs OUT``."""

import sys
import warnings
from pathlib import Path

from sphinx_gallery.sorting import ExplicitOrder

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import sm_estimators  # noqa: E402

project = "sm_estimators"
author = "The sm_estimators developers"
project_copyright = f"2026, {author}"
release = version = sm_estimators.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "gallery/**/*.ipynb", "gallery/*.py", "gallery/*.py.md5"]
templates_path = ["_templates"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"sm_estimators {release}"
html_show_copyright = False

autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

GALLERY = [
    "plot_oceanbuoys.py",
    "plot_choosing_a_density.py",
    "plot_noise_conditional.py",
    "plot_mar_and_mcar.py",
    "plot_pipeline.py",
    "plot_exponential_family.py",
    "plot_numpyro.py",
]
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "within_subsection_order": ExplicitOrder(GALLERY),
    "show_memory": False,
    "show_signature": False,
    "download_all_examples": False,
    "write_computation_times": False,
    "remove_config_comments": True,
}

# Sphinx turns its own warnings into errors; those of the examples are meant for their readers.
warnings.filterwarnings("ignore", message="The NumPy module was reloaded")
