"""DINO: a student says of every view what the teacher says of another view of the image.

Legend: S views of the student, T views of the teacher (the first T of the student's), B images,
K prototypes.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from medjepa.objectives.distributed import sum_in_place, world
from medjepa.objectives.sigreg import at_least_float32


def distillation_loss(
    student: Float[Tensor, "s b k"],
    teacher: Float[Tensor, "t b k"],
    centre: Float[Tensor, " k"],
    *,
    student_temperature: float,
    teacher_temperature: float,
) -> Float[Tensor, ""]:
    """Mean cross-entropy between the teacher's and the student's distributions of other views.

    The teacher's scores are centred and sharpened, and are constants. A view is never compared with
    itself: there are T (S - 1) pairs.
    Source: Caron et al., arXiv 2104.14294, equations 1 to 3 and algorithm 1.

    Raises:
        ValueError: the student has no view that the teacher has not.
    """
    num_student, num_teacher = len(student), len(teacher)
    if num_student < 2 or num_teacher > num_student:
        raise ValueError(f"{num_student} views of the student for {num_teacher} of the teacher")
    wanted = ((at_least_float32(teacher).detach() - centre) / teacher_temperature).softmax(-1)
    logits = F.log_softmax(at_least_float32(student) / student_temperature, dim=-1)
    crossed = -torch.einsum("tbk,sbk->ts", wanted, logits) / student.shape[1]
    itself = torch.eye(num_teacher, num_student, dtype=torch.bool, device=crossed.device)
    return crossed.masked_fill(itself, 0.0).sum() / (num_teacher * (num_student - 1))


@torch.no_grad()
def next_centre(
    centre: Float[Tensor, " k"], teacher: Float[Tensor, "t b k"], *, momentum: float
) -> Float[Tensor, " k"]:
    """Move the centre towards the mean score of all views of all processes' images.

    Source: as `distillation_loss`, equation 4.
    """
    mean = sum_in_place(at_least_float32(teacher).mean((0, 1))) / world()[1]
    return momentum * centre + (1 - momentum) * mean


def warmed_temperature(first: float, last: float, *, share: float, warmup_share: float) -> float:
    """Rise linearly from `first` to `last` over the first `warmup_share` of the run.

    `share` is how much of the run is done, in [0, 1].
    """
    if warmup_share <= 0:
        return last
    return first + (last - first) * min(share / warmup_share, 1.0)
