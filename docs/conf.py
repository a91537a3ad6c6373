"""How the site is built: ``sphinx-build -W -n docs docs/_build`` in an environment with ``smash-gpu[cpu,docs]``."""

import os
import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "smash-gpu"
author = "smash-gpu developers"
project_copyright = author
release = metadata.version("smash-gpu")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx_autodoc_typehints",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinxcontrib.bibtex",
    "command_line",
]
bibtex_bibfiles = ["references.bib"]
exclude_patterns = ["_build", "jupyter_execute", "generated/command-line.md"]
templates_path = ["_templates"]
nitpicky = True
default_role = "py:obj"

autosummary_generate = True
autosummary_imported_members = True
autosummary_ignore_module_all = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = False
napoleon_use_rtype = False
always_use_bars_union = True
typehints_defaults = "braces"

myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_output_stderr = "remove"  # progress bars
nb_execution_raise_on_error = True
nb_execution_timeout = 600
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "sphinx_book_theme"
html_title = "smash-gpu"
html_static_path = ["_static"]
html_css_files = ["narrow.css"]
html_theme_options = {"show_toc_level": 2, "home_page_in_toc": True, "navbar_persistent": []}  # one search field

# Names of other projects are links where their inventories can be fetched, and plain text elsewhere.
if os.environ.get("READTHEDOCS"):
    intersphinx_mapping = {
        "anndata": ("https://anndata.readthedocs.io/en/stable", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "pandas": ("https://pandas.pydata.org/docs", None),
        "python": ("https://docs.python.org/3", None),
        "scanpy": ("https://scanpy.readthedocs.io/en/stable", None),
        "scipy": ("https://docs.scipy.org/doc/scipy", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
    }
OTHERS = r"(anndata|collections|cupy|dask|matplotlib|np|numpy|pandas|pathlib|pd|scipy|sklearn|torch|typing|zarr)\..*"
BUILT_IN = r"(Any|bool|float|int|str|None|dict|list|tuple|type|object)"
PRIVATE = r"smash_gpu\.(annotated|data|models\.network)\..*"  # types in signatures
nitpick_ignore_regex = [("py:.*", OTHERS), ("py:.*", BUILT_IN), ("py:.*", PRIVATE)]
suppress_warnings = ["mystnb.unknown_mime_type", "sphinx_autodoc_typehints.forward_reference"]


def _short_name(app, env, node, contnode):
    """``tl.smash`` in a docstring is ``smash_gpu.tl.smash``."""
    if node.get("refdomain") != "py":
        return None
    domain = env.get_domain("py")
    target = f"smash_gpu.{node['reftarget']}"
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, contnode)


def setup(app):
    """Connect the resolver of short names."""
    app.connect("missing-reference", _short_name)
