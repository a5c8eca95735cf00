"""Layer 7: quantum kernels: fidelity and projected, their Gram matrices and gradients."""

from ketgrad.kernels.alignment import alignment_loss, target_alignment
from ketgrad.kernels.fidelity import FidelityKernel, GramGradient
from ketgrad.kernels.kernel import Kernel
from ketgrad.kernels.projected import ProjectedKernel

__all__ = [
    "FidelityKernel",
    "GramGradient",
    "Kernel",
    "ProjectedKernel",
    "alignment_loss",
    "target_alignment",
]


def __dir__() -> list[str]:
    return __all__
