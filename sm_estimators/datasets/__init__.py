"""Small real tables with holes, packaged with their licences."""

from sm_estimators.datasets.concrete import load_concrete_mar
from sm_estimators.datasets.oceanbuoys import load_oceanbuoys, oceanbuoys_path

__all__ = ["load_concrete_mar", "load_oceanbuoys", "oceanbuoys_path"]
