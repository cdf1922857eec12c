"""What an evaluation adds to its table: one function for each topic, called in the page's order."""

from medjepa.evaluation.across_sections import across_sections, subgroup_sections
from medjepa.evaluation.calibration_sections import calibration_sections
from medjepa.evaluation.comparisons import comparison_sections
from medjepa.evaluation.context import Context, Origin
from medjepa.evaluation.few_shot_section import few_shot_sections
from medjepa.evaluation.neighbours import neighbour_sections
from medjepa.evaluation.robustness_sections import robustness_sections
from medjepa.evaluation.sections import Section

__all__ = ["Context", "Origin", "extra_sections"]


def extra_sections(context: Context) -> list[Section]:
    """Every topic's tables; a topic that has nothing to say of this evaluation gives none."""
    sections: list[Section] = []
    sections += comparison_sections(context)
    sections += neighbour_sections(context)
    sections += few_shot_sections(context)
    sections += calibration_sections(context)
    sections += across_sections(context)
    sections += subgroup_sections(context)
    sections += robustness_sections(context)
    return sections
