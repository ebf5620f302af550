"""Score networks for tables."""

from sm_estimators.diffusion.networks._base import AbstractNetwork
from sm_estimators.diffusion.networks.column_attention import ColumnAttention
from sm_estimators.diffusion.networks.residual_mlp import ResidualMLP

__all__ = ["AbstractNetwork", "ColumnAttention", "ResidualMLP"]
